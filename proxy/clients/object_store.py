"""A client of an object store: S3 and what speaks its language, Google Cloud Storage, Azure."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from obstore import exceptions
from obstore.store import ObjectStore, from_url

from proxy import __version__
from proxy.clients.address import TierAddress, scheme_of

ENDPOINTS: Mapping[str, tuple[str, ...]] = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
ACCOUNTS: Mapping[str, tuple[str, ...]] = {"az": ("AZURE_STORAGE_ACCOUNT_NAME",)}
_OTHER_NAMES: Mapping[str, Mapping[str, str]] = {"gs": {"endpoint": "base_url"}}

_CREDENTIALS = {"secret_access_key", "account_key", "sas_key"}
"""With one of these a store is all that its client talks to: no machine is asked who we are."""

_REASON = re.compile(
    r"Missing (?:SecretAccessKey|AccessKeyId|component in SAS query pair)|Account must be specified"
    r"|Invalid Access Key|Unable to decode service account file|Error reading pem file"
)

_NOWHERE = "http://127.0.0.1:0"
"""A proxy that nothing gets through."""

_EVERYWHERE = "*,0.0.0.0/0,::/0"


def from_environment(variables: Mapping[str, tuple[str, ...]], scheme: str) -> str:
    return next(filter(None, map(os.environ.get, variables.get(scheme, ()))), "")


def open_store(url: str, options: Mapping[str, str], timeout: float) -> ObjectStore:
    """
    The store at `s3://bucket/prefix`, `gs://` or `az://`. What `options` (by obstore's names) does not say
    comes from the provider's own variables, such as AWS_ACCESS_KEY_ID. Raises ValueError, which quotes no
    secret.

    Proxies of the environment are not used. Where an endpoint and credentials are told, no other host is
    talked to, whatever the store redirects to.
    """
    if "@" in urlsplit(url).netloc:
        raise ValueError("the URL of an object store takes no credentials: environment or files have them")
    scheme = scheme_of(url)
    names = _OTHER_NAMES.get(scheme, {})
    endpoint = options.get("endpoint") or from_environment(ENDPOINTS, scheme)
    known = {**options, **({"endpoint": endpoint} if endpoint else {})}
    told: Any = {names.get(name, name): value for name, value in known.items()}
    client: Any = {
        "timeout": timedelta(seconds=timeout),
        "connect_timeout": timedelta(seconds=min(timeout, 5.0)),
        "user_agent": f"image-proxy/{__version__}",
        # obstore knows no other way to pass over HTTP_PROXY, or over a redirect.
        "proxy_url": _NOWHERE,
        "proxy_excludes": _talked_to(options) or _EVERYWHERE,
        **({"allow_http": True} if endpoint.lower().startswith("http://") else {}),
    }
    # Who asks decides what is tried again.
    retries: Any = {"max_retries": 0, "retry_timeout": timedelta(seconds=timeout)}
    try:
        return from_url(url, config=told or None, client_options=client, retry_config=retries)
    except exceptions.BaseError as failure:
        raise ValueError(f"the object store cannot be opened: {_reason(failure)}") from None


def _talked_to(options: Mapping[str, str]) -> str:
    """The only host that there is a reason to talk to, if it is known."""
    known = _CREDENTIALS & options.keys() or options.get("skip_signature") == "true"
    return (urlsplit(options.get("endpoint", "")).hostname or "") if known else ""


def _reason(failure: Exception) -> str:
    """In obstore's words where they are known to quote nothing, else the kind of failure."""
    known = _REASON.search(str(failure))
    return known[0] if known else type(failure).__name__.removesuffix("Error")


def open_tier_store(address: TierAddress, timeout: float) -> ObjectStore:
    """`timeout` is in seconds. Raises ValueError."""
    address.allow({"max_value", "endpoint", "region"})
    told = {name: text for name, text in address.options.items() if name != "max_value"}
    if not address.place.strip("/"):
        raise ValueError(f"{address.scheme}:// takes a bucket, not {str(address)!r}")
    return open_store(f"{address.scheme}://{address.place}", told, timeout)
