"""Several renditions of one original from as few decodes as there can be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import pyvips

from proxy.geometry.boxes import Box, Size
from proxy.model import negotiation
from proxy.model.errors import ProxyError
from proxy.model.limits import Limits
from proxy.options.spec import Spec
from proxy.pipeline.decode.header import Header
from proxy.pipeline.decode.pixels import PLAIN_SCALING
from proxy.pipeline.decode.shared import SharedSource, decode_shared, own_shrink
from proxy.pipeline.decode.source import OpenedOriginal, open_original
from proxy.pipeline.render_plan import RenderPlan, plan_render
from proxy.pipeline.stages import Rendered, compose, decode, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchedRendition:
    """`shared_decode`: decoded for itself the file would have other bytes."""

    rendered: Rendered
    shared_decode: bool


class Batch:
    """
    The renditions of one original under several specs, each with what `f_auto` and `f_best` may choose among.

    Those that show the whole picture share its decode. Of a baseline JPEG, which is decoded faster in fewer
    pixels, those that need all of them share one, and the others another one, of as many as the largest of
    them needs; a progressive one takes its time for either, and is decoded once.
    """

    def __init__(
        self,
        body: bytes | memoryview,
        limits: Limits,
        variants: Sequence[tuple[Spec, negotiation.Bucket]],
    ) -> None:
        self._body = body
        self._limits = limits
        self._variants = variants
        self._shared: dict[int, _SharedPlan] | None = None

    def render(self, number: int) -> BatchedRendition:
        """Make that of the variants; the first call decodes for all. Raises what `render.render` raises."""
        started = perf_counter()
        if self._shared is None:
            self._shared = self._share()
        # Pixels are freed with the last plan that has them.
        shared = self._shared.pop(number, None)
        plan = self._plan(number) if shared is None else shared.plan
        pixels = decode(plan)
        decoded = perf_counter()
        picture = compose(pixels, None, self._limits)
        composed = perf_counter()
        rendered = encode(picture, avif_budget=self._limits.avif_budget)
        encoded = perf_counter()
        timings = {"decode": decoded - started, "transform": composed - decoded, "encode": encoded - composed}
        return BatchedRendition(
            rendered=replace(rendered, timings=timings),
            shared_decode=shared is not None and shared.changes_bytes,
        )

    def _open(self, number: int) -> OpenedOriginal:
        spec, _ = self._variants[number]
        return open_original(self._body, self._limits, page=spec.page or 0, autoorient=spec.autoorient)

    def _plan(self, number: int) -> RenderPlan:
        spec, accepted = self._variants[number]
        return plan_render(self._open(number), spec, self._limits, accepted)

    def _share(self) -> dict[int, _SharedPlan]:
        """The plans of those that share a decode, by the variant's number."""
        groups: dict[tuple[int, bool], list[_Candidate]] = defaultdict(list)
        for number in range(len(self._variants)):
            if (candidate := self._candidate(number)) is not None:
                header = candidate.original.header
                groups[header.page, candidate.shrink > 1 or header.whole].append(candidate)
        found = {}
        for group in groups.values():
            if len(group) < 2:
                continue
            shared = decode_shared(group[0].original, min(candidate.shrink for candidate in group))
            if shared is None:
                continue
            for each in group:
                source = SharedSource(original=each.original, decoded=shared)
                found[each.number] = _SharedPlan(
                    plan=replace(each.plan, source=source), changes_bytes=each.shrink != shared.shrink
                )
        return found

    def _candidate(self, number: int) -> _Candidate | None:
        spec, accepted = self._variants[number]
        try:
            original = self._open(number)
            plan = plan_render(_Unseen(header=original.header), spec, self._limits, accepted)
        except (ProxyError, _PixelsNeeded):  # comes again in its own turn, if it is an error
            return None
        if plan.frames > 1:
            return None
        geometry = plan.geometry
        shrink = own_shrink(original.header, geometry.region, geometry.resize, spec)
        if shrink is None:
            return None
        return _Candidate(number=number, original=original, plan=plan, shrink=shrink)


class _PixelsNeeded(Exception):
    """A plan has to look for something in the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unseen:
    """An original of which nothing is decoded while plans are made. It is a `PixelSource`."""

    header: Header
    body: None = None

    def scaled(self, region: Box, size: Size, *, spec: Spec = PLAIN_SCALING) -> pyvips.Image:
        raise _PixelsNeeded

    def frames(
        self, count: int, region: Box, size: Size, *, spec: Spec = PLAIN_SCALING
    ) -> Iterator[pyvips.Image]:
        raise _PixelsNeeded


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A variant that may share a decode, and the shrink of its own."""

    number: int
    original: OpenedOriginal
    plan: RenderPlan
    shrink: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _SharedPlan:
    plan: RenderPlan
    changes_bytes: bool
