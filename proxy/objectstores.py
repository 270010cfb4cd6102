"""A client of an object store: S3 and what speaks its language, Google Cloud Storage, Azure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from obstore import exceptions
from obstore.store import ObjectStore, from_url

from proxy import __version__

SCHEMES = ("s3", "gs", "az")

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT")


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
    # Who asks decides what is tried again.
    retries: Any = {"max_retries": 0, "retry_timeout": timedelta(seconds=timeout)}
    try:
        return from_url(url, config=told or None, client_options=client, retry_config=retries)
    except exceptions.BaseError as failure:
        raise ValueError(f"the object store cannot be opened: {_kind(failure)}") from None


def _kind(failure: Exception) -> str:
    return type(failure).__name__.removesuffix("Error")
