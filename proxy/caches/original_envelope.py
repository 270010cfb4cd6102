"""The serialised form of a cached original, with what its origin said about caching it."""

from __future__ import annotations

import math
import struct

from proxy.caches.envelope import CONTENT_OFFSET, has_seal, seal, split
from proxy.caches.protocol import CacheEntry, EntryCodec, ReadBody
from proxy.model.media import CachePolicy, Original

# expires_at, received_at, fresh_for, stale while revalidate, stale if error, last_modified (NaN: absent),
# purge, bytes of the version and of the etag (-1: absent)
_FACTS = struct.Struct(">ddddddQHh")


def pack_original(original: Original, key: str, expires_at: float) -> bytes:
    """Serialise for storage under `key`. `expires_at` is in unix seconds."""
    version, policy = original.version.encode(), original.cache_policy
    etag = None if original.etag is None else original.etag.encode()
    facts = _FACTS.pack(
        expires_at,
        policy.received_at,
        _written(policy.fresh_for),
        policy.stale_while_revalidate,
        _written(policy.stale_if_error),
        _written(original.last_modified),
        original.after_purge,
        len(version),
        -1 if etag is None else len(etag),
    )
    return seal(key, facts, version, etag or b"", original.body)


def unpack_original(
    packed: bytes, key: str, read_body: ReadBody | None = None
) -> CacheEntry[Original] | None:
    """
    The original and when it expires; `None` for what `pack_original` did not make for this key. With
    `read_body`, `packed` may end after the etag.
    """
    if len(packed) < CONTENT_OFFSET + _FACTS.size:
        return None
    *times, after_purge, version_size, etag_size = _FACTS.unpack_from(packed, CONTENT_OFFSET)
    expires_at, received_at, fresh_for, stale_while_revalidate, stale_if_error, modified = map(_read, times)
    version_at = CONTENT_OFFSET + _FACTS.size
    etag_at = version_at + version_size
    body_at = etag_at + max(etag_size, 0)
    head, body = split(packed, body_at, read_body)
    if not has_seal(head, body, key) or len(head) != body_at:
        return None
    if expires_at is None or received_at is None or stale_while_revalidate is None:
        return None
    try:
        version, etag = head[version_at:etag_at].decode(), head[etag_at:].decode()
    except UnicodeDecodeError:
        return None
    original = Original(
        body=body,
        version=version,
        etag=None if etag_size < 0 else etag,
        last_modified=modified,
        cache_policy=CachePolicy(
            received_at=received_at,
            fresh_for=fresh_for,
            stale_while_revalidate=stale_while_revalidate,
            stale_if_error=stale_if_error,
        ),
        after_purge=after_purge,
    )
    return CacheEntry(original, expires_at)


def _written(seconds: float | None) -> float:
    return math.nan if seconds is None else seconds


def _read(seconds: float) -> float | None:
    return None if math.isnan(seconds) else seconds


ORIGINAL_CODEC = EntryCodec(pack_original, unpack_original)
