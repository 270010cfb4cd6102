"""URLs as clients send them: the inverse of `path.split_path`."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from proxy.model.errors import InvalidRequest
from proxy.url.path import split_path
from proxy.url.signing import Secret, sign

_SEGMENT = "!$&'()*+,;=:@"  # allowed in a segment besides unreserved characters: RFC 3986 section 3.3
_UNSENDABLE = re.compile(rf"%(?![0-9A-Fa-f]{{2}})|[^A-Za-z0-9._~%/{re.escape(_SEGMENT)}-]")


def format_path(options: str, key: str) -> str:
    """
    Build `/options/key`, percent-encoded (RFC 3986 section 2.1).

    The key is plain text: all that needs it is encoded, `%` included. The options may be encoded already, so
    only what cannot stand in a URL is encoded. Raises InvalidRequest for a key that no URL can have.
    """
    options = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", options)
    segment = quote(options, safe=_SEGMENT + "%", errors="surrogatepass")
    path = f"/{segment}/{quote(key, safe='/:', errors='surrogatepass')}"
    split_path(path.encode())
    return path


def with_expiry(path: str, expires: int) -> str:
    """Add an expiry, in Unix seconds, to the options of a path."""
    options, slash, key = path[1:].partition("/")
    items = [*([] if options == "_" else [options]), f"exp_{expires}"]
    return f"/{','.join(items)}{slash}{key}"


def format_url(
    path: str, *, secret: Secret | None = None, in_query: bool = False, mount: str = "", base: str = ""
) -> str:
    """
    Build the URL of a path: `base`, `mount`, and the path, signed if there is a `secret`.

    The signature stands before the path (`/s--...--`), or after it (`?s=...`) with `in_query`. The mount is
    not repeated if the path of `base` ends with it.
    """
    if secret is not None:
        signature = sign(secret.value, path.encode())
        path = f"{path}?s={signature}" if in_query else f"/s--{signature}--{path}"
    base = base.rstrip("/")
    return base + ("" if mount and urlsplit(base).path.endswith(mount) else mount) + path


def refuse_unsendable(path: str) -> None:
    """Raise InvalidRequest for a path that clients rewrite before sending, which breaks its signature."""
    if not path.startswith("/"):
        raise InvalidRequest(f"a path starts with '/', such as /w_300,h_200/cats/tom.jpg, not {path[:64]!r}")
    if path.startswith("/s--"):
        raise InvalidRequest("this path has a signature already; sign what follows it")
    if found := _UNSENDABLE.search(path):
        encoded = quote(found[0], safe="", errors="surrogatepass")
        raise InvalidRequest(
            f"a path is signed as it is sent, and {found[0]!r} is sent as {encoded!r}: write it so"
        )


def refuse_base(base: str) -> None:
    """Raise InvalidRequest unless `base` is an http or https URL without query and fragment."""
    try:
        parts = urlsplit(base)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[?#\s]", base):
        raise InvalidRequest(f"a base is a URL such as https://images.example.com, not {base[:64]!r}")
