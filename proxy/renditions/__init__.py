"""The road of a rendition: cache, single-flight, origin, renderer, cache.

In: a rendition request. Out: the rendition and how it was come by; asyncio, no HTTP words, no pixels.
"""
