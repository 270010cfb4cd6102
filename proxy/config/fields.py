"""What settings take besides numbers and texts, and what is refused of it."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from proxy.config.units import BYTES, PIXELS, SECONDS
from proxy.url.signing import parse_secrets

PLACEHOLDERS = re.compile(
    rb"(?:(?:my|your|top)?(?:admin|secret|secrets|token|password)(?:here)?|"
    rb"change(?:it|me)?|default|example|placeholder|replaceme|test|todo|x)+"
)
_HOST = re.compile(r"(?:\.?[\w-]+(?:\.[\w-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
_RATE_UNITS = ("second", "minute", "hour", "day")
_RATE = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,3})?(s|m|h|d|second|minute|hour|day)")
_MOUNT = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")


def _split(given: object) -> object:
    return [item.strip() for item in given.split(",") if item.strip()] if isinstance(given, str) else given


def _lower(given: object) -> object:
    return given.lower() if isinstance(given, str) else given


def _hosts(given: tuple[str, ...]) -> tuple[str, ...]:
    hosts = tuple(host.lower() for host in given)
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise ValueError(
                "takes host names such as 'a.example.com' or 'a.example.com:8443', or '.example.com' for "
                f"subdomains, not {host!r}"
            )
    return hosts


def _networks(given: object) -> object:
    items = _split(given)
    return tuple(map(_network, items)) if isinstance(items, list | tuple) else items


def _network(given: object) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(given) if isinstance(given, str) else given
    except ValueError as error:
        raise ValueError(
            f"takes addresses and networks such as '10.0.0.0/8' or '2001:db8::7', not {given!r}: {error}"
        ) from None
    if not isinstance(network, IPv4Network | IPv6Network):
        raise ValueError(f"takes addresses and networks, not {given!r}")  # noqa: TRY004  pydantic's
    if network.prefixlen == 0:
        raise ValueError(f"{str(network)!r} would believe everybody; name the networks of the proxies")
    return network


def _rate(given: str) -> str:
    found = _RATE.fullmatch(given.strip().lower())
    if found is None:
        raise ValueError(f"takes a rate such as '60/minute', '10/s' or '600/5m', not {given!r}")
    number, count, unit = found.groups()
    return f"{number}/{count or ''}{next(name for name in _RATE_UNITS if name.startswith(unit[0]))}"


def _origin(given: str) -> str:
    if given != "*" and not _ORIGIN.fullmatch(given):
        raise ValueError(f"takes '*' or an origin such as 'https://www.example.com', not {given!r}")
    return given


def _mount(given: str) -> str:
    mount = "/" + given.strip("/") if given.strip("/") else ""
    if not _MOUNT.fullmatch(mount):
        raise ValueError(f"takes a path such as '/_ipx', not {given!r}")
    return mount


def _refuse_placeholder(secret: bytes) -> None:
    if PLACEHOLDERS.fullmatch(re.sub(rb"[^a-z0-9]", b"", secret.lower())):
        raise ValueError("a placeholder protects nothing; make a secret with `openssl rand -hex 32`")


def _secrets(given: SecretStr) -> SecretStr:
    for secret in parse_secrets(given.get_secret_value()):
        _refuse_placeholder(secret.value)
    return given


def _token(given: SecretStr) -> SecretStr:
    token = given.get_secret_value()
    if not re.fullmatch(r"[!-~]+", token):
        raise ValueError("takes visible ASCII characters without spaces: it is sent in an HTTP header")
    _refuse_placeholder(token.encode())
    return given


Port = Annotated[int, Field(ge=0, le=65_535)]
Count = Annotated[int, Field(ge=1)]
ProcessCount = Annotated[int, Field(ge=1, le=1024)]
Bytes = Annotated[int, BYTES, BeforeValidator(BYTES.parse), Field(ge=1)]
Pixels = Annotated[int, PIXELS, BeforeValidator(PIXELS.parse), Field(ge=1)]
Timeout = Annotated[float, SECONDS, BeforeValidator(SECONDS.parse), Field(gt=0, le=3600)]
Delay = Annotated[float, SECONDS, BeforeValidator(SECONDS.parse), Field(ge=0, le=3600)]
Lifetime = Annotated[int, SECONDS, BeforeValidator(SECONDS.parse), Field(ge=0, lt=2**31)]  # RFC 9111 1.2.2
CaseInsensitive = BeforeValidator(_lower)
"""For what is written in any case."""
HostNames = Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_hosts)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)]
Rate = Annotated[str, AfterValidator(_rate)]
"""A number of times in a number of units of time, as the library `limits` writes it."""
ScriptsOrigin = Annotated[str, AfterValidator(_origin)]
MountPoint = Annotated[str, AfterValidator(_mount)]
Secrets = Annotated[SecretStr, AfterValidator(_secrets)]
Token = Annotated[SecretStr, AfterValidator(_token)]
