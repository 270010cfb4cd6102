"""The grammar of URLs, in both directions: split, parse, sign, verify, build; pure, no network.

In: a raw path and query, or options and a key. Out: an `Address` and a spec, or a URL.
"""

from proxy.url.build import format_path, format_url
from proxy.url.grammar import canonical_text, format_options, parse_options
from proxy.url.path import Address, split_path
from proxy.url.signing import Secret, sign, verify

__all__ = [
    "Address",
    "Secret",
    "canonical_text",
    "format_options",
    "format_path",
    "format_url",
    "parse_options",
    "sign",
    "split_path",
    "verify",
]
