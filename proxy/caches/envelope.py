"""
A rendition as bytes that prove themselves, for places that others can write to: a folder, a Redis, a bucket.

    magic and version (4) | digest (16) | facts | etag | notes | body

The digest is the start of SHA-256 over the name of the key and everything after the digest, so a flipped
bit, a cut tail and an entry that lies under another key all look the same: not ours.
"""

from __future__ import annotations

import math
import struct
from hashlib import sha256
from typing import TYPE_CHECKING

from proxy.caches import Entry, Packing
from proxy.model.media import Note, Rendition, written_as

if TYPE_CHECKING:
    from _hashlib import HASH

_MAGIC = b"IPR\x02"
_DIGEST = slice(len(_MAGIC), len(_MAGIC) + 16)
# expires_at, made_at, last_modified (NaN: absent), purge, width, height, format, bytes of etag and notes
_FACTS = struct.Struct(">dddQII8sHH")
_ETAG_AT = _DIGEST.stop + _FACTS.size
# Year 5138: what is later would break the dates of HTTP, and none of our clocks says so.
_LATEST = 1e11

LONGEST = 10 * 365 * 86_400.0
"""Seconds that an entry lives at most: "for ever" is no date that a file or Redis can hold."""


class Unverified(Exception):
    """What was found is not an envelope of ours for this key."""


def name(key: str) -> str:
    """
    64 hexadecimal digits that stand for a key outside of this process. They change with the version of
    the envelope, so two releases that share a Redis never read, or delete, each other's entries.
    """
    return _name(key).hexdigest()


def pack(rendition: Rendition, key: str, expires_at: float) -> bytes:
    etag, notes = rendition.etag.encode("ascii"), ",".join(rendition.notes).encode("ascii")
    modified = math.nan if rendition.last_modified is None else rendition.last_modified
    facts = _FACTS.pack(
        expires_at,
        rendition.made_at,
        modified,
        rendition.after_purge,
        rendition.width,
        rendition.height,
        rendition.format.encode("ascii"),
        len(etag),
        len(notes),
    )
    return sealed(key, facts, etag, notes, rendition.body)


def unpack(packed: bytes, key: str) -> Entry[Rendition] | None:
    """`None` for everything that `pack` did not make for this key. Expiry is the caller's to check."""
    return _open(packed) if is_sealed(packed, key, _FACTS.size) else None


def _open(packed: bytes) -> Entry[Rendition] | None:
    """A digest is no signature: who can write here can make one, so the facts are looked at as well."""
    expires_at, made_at, modified, purge, width, height, format, etag_size, notes_size = _FACTS.unpack_from(
        packed, _DIGEST.stop
    )
    last_modified = None if math.isnan(modified) else modified
    notes_at = _ETAG_AT + etag_size
    body_at = notes_at + notes_size
    try:
        etag = packed[_ETAG_AT:notes_at].decode("ascii")
        notes = tuple(map(Note, packed[notes_at:body_at].decode("ascii").split(",") if notes_size else ()))
        format = written_as(format.rstrip(b"\0").decode("ascii"))
    except ValueError:
        return None
    times = (expires_at, made_at, last_modified or 0.0)
    if len(packed) < body_at or not etag.isprintable() or not all(abs(t) < _LATEST for t in times):
        return None
    rendition = Rendition(
        body=packed[body_at:],
        format=format,
        width=width,
        height=height,
        etag=etag,
        last_modified=last_modified,
        made_at=made_at,
        after_purge=purge,
        notes=notes,
    )
    return Entry(rendition, expires_at)


RENDITIONS = Packing(pack, unpack)

SEALED_AT = _DIGEST.stop
"""Where what was sealed begins."""


def sealed(key: str, *parts: bytes) -> bytes:
    seal = _name(key)
    for part in parts:
        seal.update(part)
    return b"".join((_MAGIC, seal.digest()[:16], *parts))


def is_sealed(packed: bytes, key: str, least: int) -> bool:
    """Whether `sealed` made it for this key, of at least so many bytes."""
    if len(packed) < SEALED_AT + least or not packed.startswith(_MAGIC):
        return False
    seal = _name(key)
    seal.update(memoryview(packed)[SEALED_AT:])
    return seal.digest()[:16] == packed[_DIGEST]


def _name(key: str) -> HASH:
    # A key is any text, a lone surrogate included.
    return sha256(b"image-proxy\0" + _MAGIC + key.encode("utf-8", "surrogatepass"))
