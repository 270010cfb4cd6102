"""Open origins, caches, purges, single-flights and renderers as the settings say; no other module does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import fields

from proxy.caches.tiers import open_cache, open_originals_cache
from proxy.config.settings import Settings
from proxy.model.freshness import Lifetimes
from proxy.origins.open import open_origins
from proxy.origins.sources import Sources
from proxy.purges.log import PurgeLog
from proxy.purges.marks import PurgeView
from proxy.renderers.client import RendererClient
from proxy.renderers.supervisor import Supervisor
from proxy.renditions import Originals, Renditions, open_leadership
from proxy.renditions.making import RenderAllowance
from proxy.requests.read import ServingTerms
from proxy.telemetry.metrics import Metrics


@contextmanager
def open_renderers(settings: Settings) -> Iterator[Supervisor]:
    """Start the renderers of a deployment, and stop them afterwards. Raises ValueError if they do not."""
    with ExitStack() as stack:
        supervisor = Supervisor(
            renderers=settings.renderers,
            memory_bytes=settings.render_memory,
            max_job_seconds=settings.render_timeout,
        )
        try:
            stack.enter_context(supervisor)
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        yield supervisor


@asynccontextmanager
async def open_renditions(
    settings: Settings,
    sources: Sources,
    renderers: RendererClient,
    purges: PurgeLog,
    metrics: Metrics | None = None,
) -> AsyncIterator[Renditions]:
    """Open all between an origin and a rendition, and close it afterwards. Raises ValueError."""
    metrics = metrics or Metrics()
    await purges.open()
    origin = open_originals(settings, sources, purges, metrics)
    cache = open_cache(settings.cache)
    metrics.watch("renditions", cache.stats)
    renditions = Renditions(
        origin=origin,
        cache=cache,
        renderers=renderers,
        limits=settings.limits,
        purges=purges,
        leadership=open_leadership(settings.cache),
        allowance=open_allowance(settings),
    )
    try:
        yield renditions
    finally:
        await renditions.close()
        await cache.close()
        await origin.close()
        await purges.close()


def open_allowance(settings: Settings) -> RenderAllowance | None:
    """Return what clients may have made; `None` for all that they ask for. Raises ValueError."""
    if settings.render_rate is None:
        return None
    from proxy.renditions.render_rate import open_render_rate  # a tenth of a second that most need not wait

    return open_render_rate(settings.render_rate, settings.cache)


def open_originals(
    settings: Settings, sources: Sources, purges: PurgeView | None = None, metrics: Metrics | None = None
) -> Originals:
    """Open the origins and the cache in front of them. Raises ValueError."""
    cache = open_originals_cache(settings.originals_cache)
    if metrics is not None:
        metrics.watch("originals", cache.stats)
    origin = open_origins(sources, limits=settings.limits, fetch_timeout=settings.fetch_timeout)
    return Originals(
        origin,
        cache,
        fresh_for=settings.originals_max_age,
        stale_if_error=settings.stale_if_error,
        purges=purges,
        metrics=metrics,
    )


def serving_terms(settings: Settings, sources: Sources) -> ServingTerms:
    """Return the terms on which requests for images are served."""
    return ServingTerms(
        mount=settings.mount,
        secrets=settings.signing_secrets,
        policy=settings.unsigned,
        sources=sources,
        development=settings.dev,
        lifetimes=Lifetimes(**{field.name: getattr(settings, field.name) for field in fields(Lifetimes)}),
    )
