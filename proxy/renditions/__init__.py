"""The way of a rendition: cache, single-flight, origin, renderer, cache.

In: a `RenditionRequest`. Out: a `Served` rendition, with how it was come by, or a ProxyError; asyncio, no
HTTP words, no pixels.
"""

from proxy.renditions.cluster import open_leadership
from proxy.renditions.originals import Originals
from proxy.renditions.request import RenditionRequest, rendition_request, with_spec
from proxy.renditions.served import Served
from proxy.renditions.service import Renditions

__all__ = [
    "Originals",
    "RenditionRequest",
    "Renditions",
    "Served",
    "open_leadership",
    "rendition_request",
    "with_spec",
]
