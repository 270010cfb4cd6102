"""Renderer processes that may be killed, and the way to them: libvips cannot be interrupted from inside.

In: a job, from any web process, through one socket that all share. Out: a reply, or a typed error. Renderers
import this room too: its door is the protocol, and knows neither the event loop nor what is counted.
"""

from proxy.renderers.protocol import (
    BatchTask,
    Job,
    JobKind,
    JobVariant,
    RenderedFile,
    Reply,
    SourceImage,
    SupportedFormats,
    Task,
)

__all__ = [
    "BatchTask",
    "Job",
    "JobKind",
    "JobVariant",
    "RenderedFile",
    "Reply",
    "SourceImage",
    "SupportedFormats",
    "Task",
]
