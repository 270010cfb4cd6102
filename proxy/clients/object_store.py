"""A client of an object store: S3 and what speaks its language, Google Cloud Storage, Azure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from obstore import exceptions
from obstore.store import ObjectStore, from_url

from proxy import __version__
from proxy.clients.address import TierAddress, scheme_of
from proxy.clients.store_errors import configuration_problem

_VARIABLES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "s3": {"endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")},
    "gs": {"endpoint": ("GOOGLE_BASE_URL",)},
    "az": {
        "endpoint": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
        "account_name": ("AZURE_STORAGE_ACCOUNT_NAME",),
    },
}
"""
The providers' variables for what says which of several stores is meant, by obstore's names; the first wins.
"""

_CREDENTIAL_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "s3": (
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ROLE_ARN", "AWS_REGION", "AWS_DEFAULT_REGION",
        "AWS_SKIP_SIGNATURE", "AWS_REQUEST_PAYER", "AWS_REQUESTER_PAYS",
    ),
    "gs": ("GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_BEARER_TOKEN", "GOOGLE_SKIP_SIGNATURE"),
    "az": (
        "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_MASTER_KEY",
        "AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_CLIENT_ID", "AZURE_CLIENT_ID",
        "AZURE_STORAGE_CLIENT_SECRET", "AZURE_CLIENT_SECRET", "AZURE_STORAGE_TENANT_ID", "AZURE_TENANT_ID",
        "AZURE_STORAGE_AUTHORITY_ID", "AZURE_AUTHORITY_ID", "AZURE_OBJECT_ID", "AZURE_MSI_RESOURCE_ID",
        "AZURE_SKIP_SIGNATURE",
    ),
}  # fmt: skip
"""
The providers' variables that say who asks a store. Session tokens are not among them: they come with a key
of their own, and containers have paths of their own to the same role.
"""

_CREDENTIAL_FILES: Mapping[str, tuple[str, ...]] = {
    "gs": ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_APPLICATION_CREDENTIALS"),
}

_OTHER_NAMES: Mapping[str, Mapping[str, str]] = {"gs": {"endpoint": "base_url"}}

_CREDENTIALS = {"secret_access_key", "account_key", "sas_key"}
"""With one of these the store is the only host to talk to: no metadata service is asked for credentials."""

_CLOSED_PROXY = "http://127.0.0.1:0"
"""A proxy that nothing gets through."""

_ALL_HOSTS = "*,0.0.0.0/0,::/0"


def environment_options(scheme: str) -> dict[str, str]:
    """Endpoint and account that the environment gives for `s3`, `gs` or `az`, by obstore's names."""
    found = {
        option: next(filter(None, map(os.environ.get, names)), "")
        for option, names in _VARIABLES.get(scheme, {}).items()
    }
    return {option: text for option, text in found.items() if text}


def environment_credentials(scheme: str) -> dict[str, str]:
    """
    Return what the environment says of who asks a store of `s3`, `gs` or `az`, by the names of the variables.
    Of a file its content counts: in containers all have the same path.
    """
    names = _CREDENTIAL_VARIABLES.get(scheme, ())
    found = {name: os.environ[name] for name in names if os.environ.get(name)}
    for name in _CREDENTIAL_FILES.get(scheme, ()):
        if path := os.environ.get(name):
            found[name] = path + _content(path)
    return found


def _content(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # a store that needs it says so


def open_store(url: str, options: Mapping[str, str], timeout: float) -> ObjectStore:
    """
    Open the store at `s3://bucket/prefix`, `gs://` or `az://`. What `options` (by obstore's names) does not
    say comes from the provider's own variables, such as AWS_ACCESS_KEY_ID. Raises ValueError, which quotes
    no secret.

    Proxies of the environment are not used. Where endpoint and credentials are given, no other
    host is connected to, wherever the store redirects.
    """
    if "@" in urlsplit(url).netloc:
        raise ValueError("the URL of an object store takes no credentials: environment or files have them")
    scheme = scheme_of(url)
    names = _OTHER_NAMES.get(scheme, {})
    endpoint = options.get("endpoint") or environment_options(scheme).get("endpoint", "")
    known = {**options, **({"endpoint": endpoint} if endpoint else {})}
    config: Any = {names.get(name, name): value for name, value in known.items()}
    client: Any = {
        "timeout": timedelta(seconds=timeout),
        "connect_timeout": timedelta(seconds=min(timeout, 5.0)),
        "user_agent": f"image-proxy/{__version__}",
        # obstore has no other way to ignore HTTP_PROXY, or a redirect.
        "proxy_url": _CLOSED_PROXY,
        "proxy_excludes": _only_host(options) or _ALL_HOSTS,
        **({"allow_http": True} if endpoint.lower().startswith("http://") else {}),
    }
    # Callers retry, each in its own way.
    retries: Any = {"max_retries": 0, "retry_timeout": timedelta(seconds=timeout)}
    try:
        return from_url(url, config=config or None, client_options=client, retry_config=retries)
    except exceptions.BaseError as failure:
        raise ValueError(f"the object store cannot be opened: {configuration_problem(failure)}") from None


def _only_host(options: Mapping[str, str]) -> str:
    """The one host that there is a reason to talk to; empty when it is not known."""
    known = _CREDENTIALS & options.keys() or options.get("skip_signature") == "true"
    return (urlsplit(options.get("endpoint", "")).hostname or "") if known else ""


def open_tier_store(address: TierAddress, timeout: float) -> ObjectStore:
    """The store of a cache tier such as `s3://bucket/prefix`; `timeout` is in seconds. Raises ValueError."""
    address.allow({"max_value", "endpoint", "region"})
    options = {name: text for name, text in address.options.items() if name != "max_value"}
    if not address.place.strip("/"):
        raise ValueError(f"{address.scheme}:// takes a bucket, not {str(address)!r}")
    return open_store(f"{address.scheme}://{address.place}", options, timeout)
