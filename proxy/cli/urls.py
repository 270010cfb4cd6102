"""The commands `sign` and `url`, which write URLs."""

from __future__ import annotations

import math
import time
from typing import Annotated

import typer

from proxy.cli.refused import Refused
from proxy.config.deployment import deployed_presets
from proxy.config.environment import variable_name
from proxy.config.presets import NO_PRESETS
from proxy.config.settings import Settings, load_settings
from proxy.config.units import SECONDS
from proxy.url.build import format_path, format_url, refuse_base, refuse_unsendable, with_expiry
from proxy.url.grammar import parse_options, read_options
from proxy.url.path import info_prefix_of, split_path

SINCE_1970 = 10**9  # a larger number of seconds is a date: as a delay it would be more than thirty years

Expiry = Annotated[
    str | None,
    typer.Option(
        "--exp", metavar="TIME", help="When the URL ends: 3600, 10m or 7d from now, or unix seconds."
    ),
]
InQuery = Annotated[bool, typer.Option("--query", help="Put the signature into the query, as ?s=…")]
Base = Annotated[
    str, typer.Option(metavar="URL", help="Print a whole URL at this address: https://images.example.com")
]


def sign_command(
    path: Annotated[str, typer.Argument(metavar="PATH", help="/options/key, encoded as it will be sent.")],
    exp: Expiry = None,
    query: InQuery = False,
    base: Base = "",
) -> None:
    """
    Sign a path with the first secret, and print it.

    \b
    image-proxy sign /w_300,h_200/cats/tom.jpg
    image-proxy sign /w_300/cats/tom.jpg --exp 7d --base https://images.example.com
    image-proxy sign /-/info/w_300/cats/tom.jpg

    Secret and mount are those of the environment, as `serve` reads them.
    """
    settings = load_settings()
    if not settings.secrets:
        raise Refused(
            f"there is no secret to sign with: set {variable_name('secrets')}, or "
            f"{variable_name('secrets')}_FILE to a file that has it; `openssl rand -hex 32` makes one"
        )
    if settings.mount and path.startswith(f"{settings.mount}/"):
        path = path.removeprefix(settings.mount)
    refuse_unsendable(path)
    typer.echo(written_url(path, settings, exp=exp, query=query, base=base))


def url_command(
    options: Annotated[str, typer.Argument(metavar="OPTIONS", help="Such as w_300,h_200; '_' for none.")],
    key: Annotated[str, typer.Argument(metavar="KEY", help="Plain, not encoded: 'cats/tom & co.jpg'.")],
    exp: Expiry = None,
    query: InQuery = False,
    base: Base = "",
) -> None:
    """
    Print the URL of a picture, signed when there are secrets.

    \b
    image-proxy url w_300,h_200 cats/tom.jpg
    image-proxy url s_300x200,f_auto 'https://shop.example/tom.jpg?v=2' --base https://images.example.com

    Secrets and mount are those of the environment, as `serve` reads them.
    """
    typer.echo(written_url(format_path(options, key), load_settings(), exp=exp, query=query, base=base))


def written_url(path: str, settings: Settings, *, exp: str | None, query: bool, base: str) -> str:
    if base:
        refuse_base(base)
    below = info_prefix_of(path)
    if exp is not None:
        path = below + with_expiry(path.removeprefix(below), expiry(exp, time.time()))
    options = split_path(path.encode(), below=below).options
    presets = deployed_presets(settings)
    if presets is NO_PRESETS:  # URLs are written on other machines too, where their presets are not at hand
        read_options(options)
    else:
        parse_options(options, presets.options, presets.defaults, presets.layers)
    secret = next(iter(settings.signing_secrets), None)
    return format_url(path, secret=secret, in_query=query, mount=settings.mount, base=base)


def expiry(text: str, now: float) -> int:
    """Read a time from now, or a date in unix seconds; return unix seconds. Raises Refused."""
    try:
        seconds = SECONDS.parse(text)
    except ValueError as error:
        raise Refused(f"--exp {error}") from error
    assert isinstance(seconds, int | float)
    until = math.ceil(seconds if seconds >= SINCE_1970 else now + seconds)
    if until <= now:
        raise Refused(f"--exp {text} is not in the future")
    return until
