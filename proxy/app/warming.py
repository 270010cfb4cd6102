"""
Make renditions before clients ask for them, in the way that requests are answered: what is there already is
left alone, so a second run goes on where the first one stopped, and what another machine makes is not made
here.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from proxy.app.wiring import open_renderers, open_renditions, serving_terms
from proxy.config.deployment import deployed_presets, deployed_sources
from proxy.config.settings import Settings
from proxy.model.errors import Overloaded, ProxyError
from proxy.model.negotiation import Bucket
from proxy.purges.log import open_purge_log
from proxy.renderers.admission import MAX_BACKGROUND_JOBS
from proxy.renderers.client import RendererClient
from proxy.renderers.sandbox import hide_memory
from proxy.renditions import RenditionRequest, Renditions, Served
from proxy.requests.read import ParsedRequest, ServingTerms, read_request
from proxy.url.build import format_path

BROWSERS = (Bucket(avif=True, webp=True), Bucket(webp=True), Bucket())
"""What browsers accept: each gets its own picture where a URL leaves the format open."""

OVERLOAD_TIMEOUT = 60.0
"""Seconds for which a rendition is tried again that is refused because of overload."""


@dataclass(slots=True)
class Tally:
    """
    Numbers of renditions: `made` here, found `there` already, made `elsewhere` meanwhile, `failed`. `reasons`
    are sentences, one for all renditions of a picture that failed alike. `stopped`: by Ctrl-C, too soon.
    """

    made: int = 0
    there: int = 0
    elsewhere: int = 0
    failed: int = 0
    reasons: list[str] = field(default_factory=list)
    stopped: bool = False

    def count(self, served: Served) -> None:
        self.there += served.hit
        self.elsewhere += not served.hit and served.collapsed
        self.made += not served.hit and not served.collapsed

    def count_failed(self, reason: str, renditions: int = 1) -> None:
        self.failed += renditions
        if reason not in self.reasons[-len(BROWSERS) :]:
            self.reasons.append(reason)


class Warming:
    """
    `options` are those of URLs, and are wanted of every key. Raises ProxyError for options that no URL may
    have, InvalidPresets and InvalidSources.
    """

    def __init__(self, settings: Settings, options: Sequence[str]) -> None:
        self._settings = settings
        self._options = list(dict.fromkeys(options))
        self._presets = deployed_presets(settings)
        self._sources = deployed_sources(settings)
        terms = serving_terms(settings, self._sources)
        # Any URL may be warmed, as if it were signed.
        self._terms: ServingTerms = replace(terms, mount="", secrets=(), policy="allow")
        self._renditions = {each: len(list(self._asks(each, "a"))) for each in self._options}

    def renditions_of(self, pictures: int) -> int:
        """How many renditions are wanted of so many pictures."""
        return pictures * sum(self._renditions.values())

    def run(self, keys: Iterable[str], *, at_once: int, done: Callable[[], None]) -> Tally:
        """`at_once` renditions at a time; `done` is called after each. Raises ValueError and OSError."""
        settings = self._settings
        tally = Tally()
        hide_memory()
        try:
            with open_renderers(settings) as renderers:
                asyncio.run(self._run(list(keys), renderers.socket_path, at_once, tally, done))
        except KeyboardInterrupt:
            tally.stopped = True
        return tally

    async def _run(
        self, keys: list[str], renderers: str, at_once: int, tally: Tally, done: Callable[[], None]
    ) -> None:
        settings = self._settings
        # None of those at once is refused a place that an AVIF in the background has.
        client = RendererClient(renderers, queue_size=at_once + MAX_BACKGROUND_JOBS)
        purging = open_purge_log(
            settings.cache,
            settings.originals_cache,
            Path(renderers).parent,
            lease_duration=settings.purge_lease,
        )
        # Machines that are given the same keys each take them in an order of their own, so as not to meet
        # at every single one.
        random.shuffle(keys)
        jobs = ((key, options) for key in keys for options in self._options)
        opened = open_renditions(settings, self._sources, client, purging)
        async with opened as renditions, asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(self._work(renditions, jobs, tally, done))

    async def _work(
        self, renditions: Renditions, jobs: Iterator[tuple[str, str]], tally: Tally, done: Callable[[], None]
    ) -> None:
        for key, options in jobs:
            try:
                asks = list(self._asks(options, key))
            except ProxyError as error:
                tally.count_failed(f"{key} {options}: {error.message}", self._renditions[options])
                for _ in range(self._renditions[options]):
                    done()
                continue
            for ask in asks:
                try:
                    tally.count(await _made(renditions, ask.rendition_request))
                except ProxyError as error:
                    tally.count_failed(f"{key} {options}: {error.message}")
                done()

    def _asks(self, options: str, key: str) -> Iterator[ParsedRequest]:
        path = format_path(options, key).encode()
        ask = read_request(self._terms, self._presets, path, b"", BROWSERS[0])
        yield ask
        if ask.varies:
            yield from (read_request(self._terms, self._presets, path, b"", each) for each in BROWSERS[1:])


async def _made(renditions: Renditions, request: RenditionRequest) -> Served:
    """Retries after an overload when the refusal says so (Retry-After), as any client would."""
    given_up = time.monotonic() + OVERLOAD_TIMEOUT
    while True:
        try:
            return await renditions.get(request)
        except Overloaded as refusal:
            if time.monotonic() > given_up:
                raise
            await asyncio.sleep(refusal.facts.get("retry_after", 1))
