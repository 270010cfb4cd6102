"""Tiered caches of renditions and originals. A cache may forget; it may not fail.

In: an address such as `memory://256MB,redis://host:6379/0`, then keys and values with a lifetime in seconds.
Out: a value that has not expired, or `None`.
"""

from proxy.caches.protocol import Cache, Cacheable, CacheEntry, EntryCodec, LayeredCache, T, Tier
from proxy.caches.tiers import TieredCache, open_cache, open_originals_cache

__all__ = [
    "Cache",
    "CacheEntry",
    "Cacheable",
    "EntryCodec",
    "LayeredCache",
    "T",
    "Tier",
    "TieredCache",
    "open_cache",
    "open_originals_cache",
]
