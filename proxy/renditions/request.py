"""What somebody wants, as a value: what caches, renderers and ETags know a rendition by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from proxy.model.freshness import Lifetimes
from proxy.model.media import RECIPE
from proxy.model.negotiation import Bucket, format_bucket
from proxy.options.spec import Spec
from proxy.url.grammar import canonical_text


@dataclass(frozen=True, slots=True, kw_only=True)
class RenditionRequest:
    """
    One rendition that somebody wants. `options` are the canonical ones. `task` is what a renderer does for
    it: `render` the picture, or `describe` it. `overlay` is the key of what lies over the picture.
    """

    options: str
    key: str
    accepted: Bucket
    open_format: bool
    lifetimes: Lifetimes
    task: str = "render"
    overlay: str | None = None
    presets: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The request without its original. What a client accepts counts only where it decides."""
        accepted = f";{format_bucket(self.accepted)}" if self.open_format else ""
        return f"{RECIPE}\n{self.task}\n{self.options}{accepted}"


def rendition_request(
    spec: Spec, key: str, accepted: Bucket, lifetimes: Lifetimes, task: str = "render"
) -> RenditionRequest:
    return RenditionRequest(
        options=canonical_text(spec),
        key=key,
        accepted=accepted,
        open_format=spec.negotiates,
        lifetimes=lifetimes,
        task=task,
        overlay=spec.overlay,
        presets=spec.presets,
    )


def identity(request: RenditionRequest, format: str, version: str) -> str:
    """
    A strong ETag (RFC 9110 section 8.8.1): the same for the same bytes over restarts and machines, another
    for another format, spec, original or recipe.
    """
    parts = (RECIPE, request.options, format, request.key, version)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
