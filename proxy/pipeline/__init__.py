"""Pixels. The only room besides `samples` that imports pyvips; everything in it is synchronous.

In: a job (bytes, canonical options, limits). Out: a rendered body, or an error about the original.
"""

from proxy.pipeline.render import render
from proxy.pipeline.stages import Rendered

__all__ = ["Rendered", "render"]
