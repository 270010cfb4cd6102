"""
The metrics for Prometheus: every name and label is chosen here. No label is ever made from a URL, so the
number of series does not grow with what clients request.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from proxy import __version__

METRICS_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that tells prometheus_client, when it is imported, to count in files that processes share."""

NAMESPACE = "image_proxy"
RENDER_STAGES = ("decode", "transform", "encode")
STAGES = ("queue", "fetch", *RENDER_STAGES)

REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
STAGE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The counters of one web process, in a registry of their own."""

    def __init__(self) -> None:
        # A second series beside each one, with the time when it began, for which nothing here has a use.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        counter = partial(Counter, namespace=NAMESPACE, registry=self.registry)
        histogram = partial(Histogram, namespace=NAMESPACE, registry=self.registry)
        requests = counter(
            "requests", "Requests, by status and by how they were answered.", ["status", "answer"]
        )
        duration = histogram(
            "request_duration_seconds", "From a request's headers to the end of its answer.", ["answer"],
            buckets=REQUEST_BUCKETS,
        )  # fmt: skip
        errors = counter(
            "errors", "Answers that an error decided, or a stale picture hid, by code.", ["code"]
        )
        stages = histogram(
            "stage_duration_seconds", "What fetches and renderings took, by stage.", ["stage"],
            buckets=STAGE_BUCKETS,
        )  # fmt: skip
        self._fetches = counter(
            "origin_fetches",
            "Originals asked for at their origin, by what came of it.",
            ["origin", "outcome"],
        )
        self._lookups = counter("cache_lookups", "Lookups in a cache's tiers.", ["cache", "tier", "outcome"])
        self._failures = counter("cache_failures", "Lookups and writes that went wrong.", ["cache", "tier"])
        self._connections_ended = counter(
            "connections_ended", "Connections that were ended for being slow or idle.", ["reason"]
        )
        self._presets_rejected = Gauge(
            "presets_rejected",
            "1 while the presets file as it is now is refused, and an older one is in use.",
            namespace=NAMESPACE, registry=self.registry, multiprocess_mode="livemax",
        )  # fmt: skip
        self._jobs = Gauge(
            "renderer_jobs", "Jobs that wait for a renderer, and that one is at.", ["state"],
            namespace=NAMESPACE, registry=self.registry, multiprocess_mode="livesum",
        )  # fmt: skip

        def both(answer: str, status: int) -> tuple[Callable[[], None], Callable[[float], None]]:
            return requests.labels(status, answer).inc, duration.labels(answer).observe

        # Looked up by C code: finding a child by its labels costs more than counting does.
        self._answered = cache(both)
        self._errors = errors
        self._stages = {stage: stages.labels(stage) for stage in STAGES}
        self._caches: dict[str, Callable[[], Iterable[Stats]]] = {}
        self._counted: dict[tuple[str, int], Stats] = {}

    def answered(self, answer: str, status: int, seconds: float, code: str | None = None) -> None:
        """
        Count a request. `answer` is its `Outcome.answer`, `code` that of the error that is the answer or is
        hidden by a stale rendition.
        """
        count, observe = self._answered(answer, status)
        count()
        observe(seconds)
        if code is not None:
            self._errors.labels(code).inc()

    def connection_ended(self, reason: str) -> None:
        """Count a connection that was ended by the server, for one of a few reasons."""
        self._connections_ended.labels(reason).inc()

    def presets_rejected(self, rejected: bool) -> None:
        """Say whether the presets file as it is now is refused."""
        self._presets_rejected.set(int(rejected))

    def rendered(self, queue_seconds: float, timings: Mapping[str, float]) -> None:
        """Count a rendering. `timings` are seconds by stage; only those in `RENDER_STAGES` are counted."""
        self._stages["queue"].observe(queue_seconds)
        for stage in RENDER_STAGES:
            if stage in timings:
                self._stages[stage].observe(timings[stage])

    def fetched(self, origin: str, outcome: str, seconds: float) -> None:
        """Count a fetch. `origin` is the name of a configured one, `outcome` an error's code or `fetched`."""
        self._stages["fetch"].observe(seconds)
        self._fetches.labels(origin, outcome).inc()

    def watch(self, cache: str, stats: Callable[[], Iterable[Stats]]) -> None:
        """Count what the tiers of `cache` count themselves, each time that `sample` is called."""
        self._caches[cache] = stats

    def cache_failures(self) -> dict[str, dict[str, int]]:
        """Return by cache and by tier how many lookups and writes of this process went wrong."""
        return {name: {each.tier: each.failures for each in stats()} for name, stats in self._caches.items()}

    def sample(self, *, waiting: int, running: int) -> None:
        """Count what is not counted as it happens. `waiting` and `running` are numbers of jobs."""
        self._jobs.labels("waiting").set(waiting)
        self._jobs.labels("running").set(running)
        for name, stats in self._caches.items():
            for depth, now in enumerate(stats()):
                before = self._counted.get((name, depth), Stats(tier=now.tier, hits=0, misses=0, failures=0))
                self._lookups.labels(name, now.tier, "hit").inc(now.hits - before.hits)
                self._lookups.labels(name, now.tier, "miss").inc(now.misses - before.misses)
                self._failures.labels(name, now.tier).inc(now.failures - before.failures)
                self._counted[name, depth] = now


class DeploymentFacts(Collector):
    """
    What is the same in all processes of a deployment: its version, and the state of its renderers.

    `renderers` returns how many are running and have died, `sandbox` which locks are around all of them, by
    name; both return `None` if that is not known.
    """

    def __init__(
        self,
        renderers: Callable[[], tuple[int, int] | None],
        sandbox: Callable[[], Mapping[str, bool] | None] = lambda: None,
    ) -> None:
        self._renderers = renderers
        self._sandbox = sandbox

    def collect(self) -> Iterable[Metric]:
        build = GaugeMetricFamily(
            "image_proxy_build_info", "What runs here; always 1.", labels=("version", "python")
        )
        build.add_metric((__version__, platform.python_version()), 1)
        yield build
        if (known := self._renderers()) is not None:
            alive, deaths = known
            yield GaugeMetricFamily("image_proxy_renderers", "Renderers that take jobs.", value=alive)
            yield CounterMetricFamily(
                "image_proxy_renderer_deaths", "Renderers that ended, and were not to.", value=deaths
            )
        locks = GaugeMetricFamily(
            "image_proxy_renderer_sandbox",
            "1 where a lock is around all renderers that take jobs.",
            labels=("lock",),
        )
        for lock, closed in (self._sandbox() or {}).items():
            locks.add_metric((lock,), int(closed))
        if locks.samples:
            yield locks


def render_exposition(metrics: Metrics, facts: DeploymentFacts, processes: Path | None) -> bytes:
    """
    Return all metrics in Prometheus' text format 0.0.4.

    With `processes`, the folder in which several web processes count, it is the sum over them, and over those
    that have ended.
    """
    registry = CollectorRegistry()
    registry.register(facts)
    if processes is None:
        registry.register(metrics.registry)
    else:
        remove_dead_gauges(processes)
        registry.register(MultiProcessCollector(None, str(processes)))  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def remove_dead_gauges(processes: Path) -> None:
    """Remove the jobs of processes that have ended. What they counted stays counted."""
    for file in processes.glob("gauge_live*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, str(processes))  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """
    What happened in one tier since the start of this process. `hits` + `misses` are all lookups;
    `failures` are lookups and writes that went wrong, or found something that does not verify.
    """

    tier: str
    hits: int
    misses: int
    failures: int
