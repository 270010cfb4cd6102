"""`image-proxy purge`: ask a running server to purge, by its page /-/purge and with its admin token."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from proxy.cli.refused import Refused
from proxy.config.defaults import url_host
from proxy.config.settings import Settings, load_settings

Keys = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY]...", help="Originals, and all that was made of them.")
]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="As Cache-Tag shows them.")]
PresetNames = Annotated[
    list[str] | None, typer.Option("--preset", metavar="NAME", help="What it was used for.")
]
Prefixes = Annotated[
    list[str] | None, typer.Option("--prefix", metavar="PREFIX", help="All keys that begin so: cats/")
]
Soft = Annotated[bool, typer.Option("--soft", help="Only make stale: served on while new ones are made.")]
Server = Annotated[str, typer.Option(metavar="URL", help="Where it runs; as settings say when not given.")]


SINGULAR = {"keys": "key", "tags": "tag", "presets": "preset", "prefixes": "prefix"}


def purge_command(
    keys: Keys = None,
    tag: Tags = None,
    preset: PresetNames = None,
    prefix: Prefixes = None,
    soft: Soft = False,
    server: Server = "",
) -> None:
    """
    Make a running server, and all that share its caches, forget. Each option may be repeated.

    \b
    image-proxy purge cats/tom.jpg
    image-proxy purge --prefix cats/ --preset thumb --soft --server https://images.example.com

    The token is the admin token of the environment.
    """
    named = {"keys": keys or [], "tags": tag or [], "presets": preset or [], "prefixes": prefix or []}
    if not any(named.values()):
        raise Refused("name something to purge: a KEY, --tag, --preset or --prefix")
    settings = load_settings()
    counts = send_purge(server or local_address(settings), named | {"soft": soft}, settings)
    done = "made stale" if soft else "purged"
    for name in counts.get("unknown_presets", ()):
        typer.echo(f"the presets in use have no {name!r}: nothing may have been made with it", err=True)
    typer.echo(f"{done}: {', '.join(counted(field, counts[field]) for field in named if counts[field])}")


def counted(field: str, count: int) -> str:
    """`1 key`, `2 keys`: `field` is one of `SINGULAR`."""
    return f"{count} {field if count != 1 else SINGULAR[field]}"


def local_address(settings: Settings) -> str:
    """The URL at which the settings of this machine would have a server run."""
    return f"http://{url_host(settings.host)}:{settings.port}{settings.mount}"


def send_purge(server: str, asked: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Ask `server` to purge, and return how many names it counted by field. Raises Refused."""
    import httpx  # which no other command needs

    token = settings.admin_token.get_secret_value() if settings.admin_token else None
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx.post(f"{server.rstrip('/')}/-/purge", json=asked, headers=headers, timeout=30)
        said = answer.json()
        counts, detail = dict(said), str(said.get("detail", ""))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Refused(f"no answer from {server}: {error or type(error).__name__}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise Refused(f"what answers at {server} is no image-proxy") from error
    if answer.status_code != httpx.codes.OK:
        raise Refused(f"{server} answers {answer.status_code}: {detail}")
    return counts
