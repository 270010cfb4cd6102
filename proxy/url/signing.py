"""Signatures of URLs: HMAC-SHA256 (RFC 2104) over the path as it was sent, in base64url (RFC 4648)."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from proxy.model.errors import BadSignature

SIGNATURE_LENGTH = 43  # 32 bytes in base64 without padding
MIN_SIGNATURE_LENGTH = 22  # characters of a shortened signature: 132 bits

_SIGNATURE = re.compile(rb"[A-Za-z0-9_-]*")
_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_TRIPLET = re.compile(rb"%(?:([0-9A-Fa-f]{2})|)")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A key that signs URLs. The `id`, if any, names it in logs; the `value` is never logged."""

    value: bytes = field(repr=False)
    id: str | None = None


def parse_secrets(text: str) -> tuple[Secret, ...]:
    """
    Parse a list of secrets, such as `id:secret,secret2`; the first one signs, all of them verify.

    Text before the first colon is an id if it matches `[A-Za-z0-9_-]{1,32}`, and part of the secret if not.
    Raises ValueError, which gives the position of the secret and never its text.
    """
    secrets: list[Secret] = []
    for place, item in enumerate(text.split(","), start=1):
        head, colon, tail = item.strip().partition(":")
        named = bool(colon) and _ID.fullmatch(head) is not None
        secret = Secret(id=head if named else None, value=(tail if named else head + colon + tail).encode())
        if not secret.value:
            raise ValueError(f"secret {place} is empty")
        if secret.id is not None and any(secret.id == other.id for other in secrets):
            raise ValueError(f"two secrets have the id {secret.id!r}")
        secrets.append(secret)
    return tuple(secrets)


def sign(secret: str | bytes, path: bytes) -> str:
    """
    Return the signature of `path`: 43 characters, HMAC-SHA256 in base64url without padding.

    `path` is `/options/key` as sent, still percent-encoded, without mount, signature and query.
    """
    key = secret.encode() if isinstance(secret, str) else secret
    return base64.urlsafe_b64encode(hmac.digest(key, path, "sha256")).rstrip(b"=").decode()


def verify(secrets: Sequence[Secret], path: bytes, signature: str | bytes | None) -> None:
    """
    Check that one of `secrets` signed `path`; a signature may be shortened to its first 22 characters.

    Raises BadSignature, whose `reason` is `missing`, `too_short` or `wrong`.

    Signatures are compared as text, because decoding base64 would accept four spellings of each. All secrets
    are tried, so the time taken does not tell which of them signed.
    """
    if not signature:
        raise BadSignature("this URL needs a signature and has none", reason="missing")
    given = signature if isinstance(signature, bytes) else signature.encode("utf-8", "replace")
    if len(given) < MIN_SIGNATURE_LENGTH:
        raise BadSignature(
            f"a signature has {SIGNATURE_LENGTH} characters, or at least {MIN_SIGNATURE_LENGTH} when it is "
            f"shortened, not {len(given)}",
            reason="too_short",
        )
    right = False
    if len(given) <= SIGNATURE_LENGTH and _SIGNATURE.fullmatch(given):
        for spelling in {path, normalise_path(path)}:
            for secret in secrets:
                expected = sign(secret.value, spelling).encode()[: len(given)]
                right |= hmac.compare_digest(expected, given)
    if not right:
        raise BadSignature("the signature does not belong to this URL", reason="wrong")


def normalise_path(path: bytes) -> bytes:
    """
    Normalise a path as proxies may do: decode unreserved characters, write hex digits in upper case.

    RFC 3986 section 6.2.2. A path with a stray `%` is returned as it is, since decoding one triplet could
    complete another one and change the meaning.
    """
    if any(triplet[1] is None for triplet in _TRIPLET.finditer(path)):
        return path
    return _TRIPLET.sub(_normal, path)


def _normal(triplet: re.Match[bytes]) -> bytes:
    byte = int(triplet[1], 16)
    return bytes([byte]) if byte in _UNRESERVED else triplet[0].upper()
