"""Originals in an object store: S3 and what speaks its language, Google Cloud Storage, Azure."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import obstore
from obstore import exceptions
from obstore.store import ObjectStore

from proxy.clients.store_errors import (
    STORE_ERRORS,
    STORE_NOT_FOUND,
    FailureKind,
    StoreFailure,
    error_kind,
    read_store_failure,
)
from proxy.model.errors import OriginFailed, OriginRefused
from proxy.model.limits import Limits
from proxy.model.media import Original
from proxy.origins.breaker import origin_answered
from proxy.origins.cache_control import cache_policy
from proxy.origins.keys import KeyRewrite, forbidden, not_found, segments, too_large, unchanged
from proxy.origins.listing import PAGE_KEYS, KeyPage, ListingFailed, folder_names, is_hidden
from proxy.origins.retry import Retrier, TransientFailure

_PART = 1 << 20  # bytes
_HEADERS = {"Cache-Control": "cache-control"}
_GONE = 410
_TRANSIENT_STATUSES = {429, 500, 502, 503, 504}
"""Statuses with which object stores ask for a retry, 500 and 503 above all."""


class BucketOrigin:
    """
    The objects of a bucket, or of a prefix in it. `fetch_timeout` is in seconds, for a fetch and its retry;
    `None` where the caller has a deadline.
    """

    def __init__(
        self,
        store: ObjectStore,
        limits: Limits,
        *,
        fetch_timeout: float | None = None,
        rewrite: KeyRewrite = unchanged,
    ) -> None:
        self._store = store
        self._rewrite = rewrite
        self._max_bytes = limits.max_source_bytes
        self._retrier = Retrier(fetch_timeout)

    async def fetch(self, key: str, known: Original | None = None) -> Original:
        path = "/".join(segments(key, self._rewrite))
        return await self._retrier.fetch_with_retry(key, lambda: self._ask(key, path, known))

    async def list_keys(self, prefix: str = "", cursor: str | None = None, limit: int = PAGE_KEYS) -> KeyPage:
        """
        In the store's order, by the bytes of the keys. A page may have fewer keys than were read for it.
        """
        folder_names(prefix)
        if is_hidden(prefix):
            return KeyPage((), None)
        try:
            found = await asyncio.to_thread(self._list, prefix, cursor, limit)
        except (*STORE_ERRORS, ValueError) as failure:
            raise ListingFailed(error_kind(failure)) from failure
        keys = tuple(key for key in found if not is_hidden(key))
        return KeyPage(keys, found[-1] if len(found) == limit else None)

    def _list(self, prefix: str, cursor: str | None, limit: int) -> list[str]:
        # Not obstore's asynchronous list: a process that ends right after it is aborted now and then, because
        # a thread of obstore's is still releasing Python objects.
        found: list[str] = []
        for page in obstore.list(self._store, prefix or None, offset=cursor, chunk_size=limit):
            found += [meta["path"] for meta in page]
            if len(found) >= limit:
                break
        return found[:limit]

    def version(self, key: str) -> str | None:
        return None

    def refresh(self, key: str) -> None:
        return None

    async def close(self) -> None:
        """A store holds nothing open that its end would not close."""

    async def _ask(self, key: str, path: str, known: Original | None) -> Original:
        options: Any = {"if_none_match": known.etag} if known is not None and known.etag else {}
        try:
            found = await obstore.get_async(self._store, path, options=options)
            origin_answered()
            if found.meta["size"] > self._max_bytes:
                raise too_large(key, self._max_bytes)
            parts, size = [], 0
            async for part in found.stream(min_chunk_size=_PART):
                size += len(part)
                if size > self._max_bytes:
                    raise too_large(key, self._max_bytes)
                parts.append(bytes(part))
        except exceptions.NotModifiedError:
            assert known is not None
            return replace(known, cache_policy=cache_policy({}, time.time(), known.cache_policy))
        except STORE_NOT_FOUND as failure:
            raise not_found(key, origin_status=404) from failure
        except exceptions.InvalidPathError as failure:
            raise not_found(key) from failure
        except (*STORE_ERRORS, ValueError) as failure:
            raise _error(key, read_store_failure(failure)) from failure
        said = {_HEADERS[name]: value for name, value in found.attributes.items() if name in _HEADERS}
        etag = found.meta["e_tag"]
        changed = found.meta["last_modified"].timestamp()
        return Original(
            body=b"".join(parts),
            version=etag or f"{changed}-{size}",
            etag=etag,
            last_modified=changed,
            cache_policy=cache_policy(said, time.time()),
        )


def _error(key: str, failure: StoreFailure) -> Exception:
    status = failure.status
    match failure.kind:
        case FailureKind.UNAUTHENTICATED:
            return OriginRefused(f"the origin of '{key}' does not know us", origin_status=status or 401)
        case FailureKind.FORBIDDEN:
            return forbidden(key, origin_status=403)
        case FailureKind.UNREACHABLE:
            return TransientFailure(OriginFailed(f"the origin of '{key}' cannot be talked to"))
    if status == _GONE:
        return not_found(key, origin_status=status)
    error = OriginFailed(f"the origin answered {status} for '{key}'", origin_status=status)
    return TransientFailure(error) if status in _TRANSIENT_STATUSES else error
