"""
The serialised form of a cached rendition. It proves its integrity: others can write to a folder, a Redis or a
bucket, too.

    magic and version (4) | digest (16) | facts | etag | notes | body

The digest is the start of SHA-256 over the name of the key and everything after the digest, so a flipped
bit, a cut tail and an entry that lies under another key all look the same: not ours.
"""

from __future__ import annotations

import math
import struct
from hashlib import sha256
from typing import TYPE_CHECKING

from proxy.caches.protocol import CacheEntry, EntryCodec, ReadBody
from proxy.model.media import Note, Rendition, parse_format

if TYPE_CHECKING:
    from _hashlib import HASH

_MAGIC = b"IPR\x02"
_DIGEST = slice(len(_MAGIC), len(_MAGIC) + 16)
# expires_at, made_at, last_modified (NaN: absent), purge, width, height, format, bytes of etag and notes
_FACTS = struct.Struct(">dddQII8sHH")
_ETAG_AT = _DIGEST.stop + _FACTS.size
# Year 5138: what is later would break the dates of HTTP, and none of our clocks says so.
_LATEST = 1e11

MAX_LIFETIME = 10 * 365 * 86_400.0
"""Seconds that an entry lives at most: "for ever" is no date that a file or Redis can hold."""


class Unverified(Exception):
    """Stored bytes that are no intact envelope for their key."""


def entry_name(key: str) -> str:
    """
    The name of a key outside of this process: 64 hexadecimal digits. They change with the version of
    the envelope, so two releases that share a Redis never read, or delete, each other's entries.
    """
    return _keyed_digest(key).hexdigest()


def pack_rendition(rendition: Rendition, key: str, expires_at: float) -> bytes:
    """Serialise for storage under `key`. `expires_at` is in unix seconds."""
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
    return seal(key, facts, etag, notes, rendition.body)


def unpack_rendition(
    packed: bytes, key: str, read_body: ReadBody | None = None
) -> CacheEntry[Rendition] | None:
    """
    The rendition and when it expires, which is the caller's to check; `None` for everything that
    `pack_rendition` did not make for this key. With `read_body`, `packed` may end after the notes.
    """
    if len(packed) < _ETAG_AT:
        return None
    *_, etag_size, notes_size = _FACTS.unpack_from(packed, _DIGEST.stop)
    head, body = split(packed, _ETAG_AT + etag_size + notes_size, read_body)
    return _open(head, body) if has_seal(head, body, key) else None


def _open(packed: bytes, body: bytes) -> CacheEntry[Rendition] | None:
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
        format = parse_format(format.rstrip(b"\0").decode("ascii"))
    except ValueError:
        return None
    times = (expires_at, made_at, last_modified or 0.0)
    if len(packed) != body_at or not etag.isprintable() or not all(abs(t) < _LATEST for t in times):
        return None
    rendition = Rendition(
        body=body,
        format=format,
        width=width,
        height=height,
        etag=etag,
        last_modified=last_modified,
        made_at=made_at,
        after_purge=purge,
        notes=notes,
    )
    return CacheEntry(rendition, expires_at)


RENDITION_CODEC = EntryCodec(pack_rendition, unpack_rendition)

CONTENT_OFFSET = _DIGEST.stop
"""Where the content begins, after magic and digest (bytes)."""


def seal(key: str, *parts: bytes) -> bytes:
    """Join `parts` behind a digest over them and `key`."""
    digest = _keyed_digest(key)
    for part in parts:
        digest.update(part)
    return b"".join((_MAGIC, digest.digest()[:16], *parts))


def split(packed: bytes, body_at: int, read_body: ReadBody | None) -> tuple[bytes, bytes]:
    """The head and the body of an entry, the latter not copied where `read_body` reads it by itself."""
    if read_body is None:
        return packed[:body_at], packed[body_at:]
    if len(packed) < body_at:
        return split(read_body(0), body_at, None)
    return packed[:body_at], read_body(body_at)


def has_seal(head: bytes, body: bytes, key: str) -> bool:
    """Whether `seal` made this for this key, be it cut there or elsewhere."""
    if not head.startswith(_MAGIC):
        return False
    digest = _keyed_digest(key)
    digest.update(memoryview(head)[CONTENT_OFFSET:])
    digest.update(body)
    return digest.digest()[:16] == head[_DIGEST]


def _keyed_digest(key: str) -> HASH:
    # A key is any text, a lone surrogate included.
    return sha256(b"image-proxy\0" + _MAGIC + key.encode("utf-8", "surrogatepass"))
