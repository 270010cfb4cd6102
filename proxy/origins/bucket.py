"""Originals in an object store: S3 and what speaks its language, Google Cloud Storage, Azure."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore import exceptions
from obstore.store import ObjectStore, from_url

from proxy import __version__
from proxy.errors import OriginFailed, OriginRefused
from proxy.limits import Limits
from proxy.media import Original
from proxy.origins.keeping import keeping
from proxy.origins.keys import forbidden, not_found, segments, too_large
from proxy.origins.trying import Passing, Trier

_PART = 1 << 20  # bytes
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT")
_ENTITY = {"Cache-Control": "cache-control"}


def open_store(url: str, options: Mapping[str, str], timeout: float) -> ObjectStore:
    """
    The store at `s3://bucket/prefix`, `gs://` or `az://`. What `options` (by obstore's names) does not say
    comes from the provider's own variables, such as AWS_ACCESS_KEY_ID. Raises ValueError, which quotes no
    secret.
    """
    if "@" in urlsplit(url).netloc:
        raise ValueError("the URL of an object store takes no credentials: environment or files have them")
    told: Any = dict(options)
    endpoint = told.get("endpoint") or next(filter(None, map(os.environ.get, _ENDPOINTS)), "")
    client: Any = {
        "timeout": timedelta(seconds=timeout),
        "connect_timeout": timedelta(seconds=min(timeout, 5.0)),
        "user_agent": f"image-proxy/{__version__}",
        **({"allow_http": True} if endpoint.lower().startswith("http://") else {}),
    }
    # Tries are counted and paid for here, with those of the other origins.
    retries: Any = {"max_retries": 0, "retry_timeout": timedelta(seconds=timeout)}
    try:
        return from_url(url, config=told or None, client_options=client, retry_config=retries)
    except exceptions.BaseError as failure:
        raise ValueError(f"the object store of an origin cannot be opened: {_kind(failure)}") from None


class BucketOrigin:
    """`timeout` is in seconds, for one answer and its second try together."""

    def __init__(self, store: ObjectStore, limits: Limits, *, fetch_timeout: float = 10.0) -> None:
        self._store = store
        self._max_bytes = limits.max_source_bytes
        self._trier = Trier(fetch_timeout)

    async def fetch(self, key: str, known: Original | None = None) -> Original:
        path = "/".join(segments(key))
        return await self._trier.persist(key, lambda: self._ask(key, path, known))

    def version(self, key: str) -> str | None:
        return None

    async def close(self) -> None:
        """A store holds nothing open that its end would not close."""

    async def _ask(self, key: str, path: str, known: Original | None) -> Original:
        options: Any = {"if_none_match": known.etag} if known is not None and known.etag else {}
        try:
            found = await obstore.get_async(self._store, path, options=options)
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
            return replace(known, keeping=keeping({}, time.time(), known.keeping))
        except (FileNotFoundError, exceptions.NotFoundError) as failure:
            raise not_found(key, origin_status=404) from failure
        except exceptions.InvalidPathError as failure:
            raise not_found(key) from failure
        except exceptions.PermissionDeniedError as failure:
            raise forbidden(key, origin_status=403) from failure
        except exceptions.UnauthenticatedError as failure:
            raise OriginRefused(f"the origin of '{key}' does not know us", origin_status=401) from failure
        except (exceptions.BaseError, OSError, ValueError) as failure:
            raise Passing(OriginFailed(f"the origin of '{key}' cannot be talked to")) from failure
        said = {_ENTITY[name]: value for name, value in found.attributes.items() if name in _ENTITY}
        etag = found.meta["e_tag"]
        changed = found.meta["last_modified"].timestamp()
        return Original(
            body=b"".join(parts),
            version=etag or f"{changed}-{size}",
            etag=etag,
            last_modified=changed,
            keeping=keeping(said, time.time()),
        )


def _kind(failure: Exception) -> str:
    return type(failure).__name__.removesuffix("Error")
