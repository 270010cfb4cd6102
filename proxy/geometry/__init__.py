"""Sizes and boxes, computed before a pixel is touched.

In: a spec, the size of an original, limits. Out: a `Plan` of exact whole pixels; pure, property-tested.
"""

from proxy.geometry.boxes import Box, Size
from proxy.geometry.plan import Plan

__all__ = ["Box", "Plan", "Size"]
