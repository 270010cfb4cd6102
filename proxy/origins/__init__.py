"""Where originals live: folders, HTTP servers and object stores, opened by `open.open_origins`.

In: a key. Out: an `Original`, or one of the errors that `Origin.fetch` raises; and a page of keys, where an
origin has a list of them (`open.open_listing`).
"""

from proxy.origins.listing import CannotList, KeyPage, Listing, ListingFailed, all_keys
from proxy.origins.protocol import Origin, Origins
from proxy.origins.sources import LocatedKey, Source, Sources

__all__ = [
    "CannotList",
    "KeyPage",
    "Listing",
    "ListingFailed",
    "LocatedKey",
    "Origin",
    "Origins",
    "Source",
    "Sources",
    "all_keys",
]
