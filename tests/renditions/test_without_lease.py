"""A process that may have missed a purge: what it has cached is validated before it is served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.caches.memory import MemoryCache
from proxy.caches.tiers import TieredCache
from proxy.model.errors import OriginalNotFound, OriginFailed, Overloaded
from proxy.model.freshness import Lifetimes
from proxy.model.media import Format, Original
from proxy.model.negotiation import bucket
from proxy.purges.marks import PurgeMarks, PurgeState
from proxy.renderers.state import current_fingerprint
from proxy.renditions.originals import Originals
from proxy.renditions.request import RenditionRequest, rendition_request
from proxy.renditions.service import Renditions
from proxy.url.grammar import parse_options
from tests.origins.server import Server, reply, silence
from tests.pictures import plain, saved
from tests.renditions.conftest import Open, router_to

OLD = saved(plain(64, 48, 200, 0, 0), Format.PNG)
NEW = saved(plain(64, 48, 0, 0, 200), Format.PNG)
LONG = "max-age=100000"


class Purges(PurgeMarks):
    """Purges of a process that holds its lease, or not."""

    def __init__(self) -> None:
        super().__init__()
        self.leased = True
        self._moments = 0

    @property
    def state(self) -> PurgeState:
        self._moments += 1
        return PurgeState(self.latest, leased=self.leased, slot=self._moments)


@pytest.fixture
def purges() -> Purges:
    return Purges()


@pytest.fixture
async def originals(server: Server, purges: Purges) -> AsyncIterator[Originals]:
    cache = TieredCache[Original]([MemoryCache[Original](10**7)])
    made = Originals(router_to(server), cache, fresh_for=600, stale_if_error=600, purges=purges)
    yield made
    await made.close()


@pytest.fixture
async def renditions(
    open_renditions: Open, originals: Originals, purges: Purges, server: Server
) -> Renditions:
    server.put("/tom.png", reply(OLD, etag='"1"', cache_control=LONG))
    made = open_renditions(origin=originals, purges=purges)
    await made.get(request())
    return made


def request(options: str = "w_20,f_png") -> RenditionRequest:
    return rendition_request(parse_options(options), "tom.png", bucket(None), Lifetimes())


def peeked(renditions: Renditions) -> bool:
    return renditions.peek(renditions.name(request().stem, request())) is not None


async def test_a_fresh_hit_costs_a_validation_and_no_render(
    renditions: Renditions, purges: Purges, server: Server
) -> None:
    first = await renditions.get(request())
    assert peeked(renditions)
    purges.leased = False
    assert not peeked(renditions)
    server.put("/tom.png", reply(status=304, etag='"1"', cache_control=LONG))
    for asked in (2, 3):
        again = await renditions.get(request())
        assert again.rendition.body is first.rendition.body
        assert len(server.asked) == asked
        assert server.asked[-1].headers["if-none-match"] == '"1"'
    purges.leased = True
    assert (await renditions.get(request())).hit


async def test_what_has_changed_is_not_served(renditions: Renditions, purges: Purges, server: Server) -> None:
    old = await renditions.get(request())
    purges.leased = False
    server.put("/tom.png", reply(NEW, etag='"2"', cache_control=LONG))
    assert (await renditions.get(request())).rendition.etag != old.rendition.etag
    server.put("/tom.png", reply(status=404))
    with pytest.raises(OriginalNotFound):
        await renditions.get(request())
    server.put("/tom.png", reply(OLD, etag='"1"', cache_control=LONG))
    assert (await renditions.get(request())).rendition.etag == old.rendition.etag


async def test_an_origin_out_of_reach_is_stood_in_for_and_asked_again_at_once(
    renditions: Renditions, purges: Purges, server: Server
) -> None:
    old = await renditions.get(request())
    purges.leased = False
    server.put("/tom.png", reply(status=500))
    stale = await renditions.get(request())
    assert (stale.rendition.etag, stale.stale) == (old.rendition.etag, True)
    server.put("/tom.png", reply(NEW, etag='"2"', cache_control=LONG))
    assert (await renditions.get(request())).rendition.etag != old.rendition.etag


async def test_a_lack_of_room_is_no_reason_to_serve_what_has_changed(
    open_renditions: Open,
    originals: Originals,
    purges: Purges,
    server: Server,
    renderers: str,
    renditions: Renditions,
) -> None:
    class Full:
        fingerprint = current_fingerprint(renderers)

        def require_room(self) -> None:
            raise Overloaded("full", retry_after=1)

        async def run(self, job: object, *, timeout: float) -> object:  # noqa: ASYNC109
            raise Overloaded("full", retry_after=1)

    full = open_renditions(origin=originals, purges=purges, renderers=Full())
    purges.leased = False
    server.put("/tom.png", reply(status=304, etag='"1"', cache_control=LONG))
    assert (await full.get(request())).rendition.body
    server.put("/tom.png", reply(NEW, etag='"2"', cache_control=LONG))
    with pytest.raises(Overloaded):
        await full.get(request())


async def test_a_request_does_not_join_a_flight_that_began_before_it(
    renditions: Renditions, purges: Purges, server: Server
) -> None:
    old = await renditions.get(request())
    purges.leased = False
    server.put("/tom.png", silence)
    early = asyncio.create_task(renditions.get(request()))
    while len(server.asked) < 2:  # noqa: ASYNC110 - the server knows no events
        await asyncio.sleep(0.01)
    server.put("/tom.png", reply(NEW, etag='"2"', cache_control=LONG))
    assert (await renditions.get(request())).rendition.etag != old.rendition.etag
    early.cancel()
    await asyncio.gather(early, return_exceptions=True)


async def test_an_original_never_seen_is_an_error_as_ever(
    renditions: Renditions, purges: Purges, server: Server
) -> None:
    purges.leased = False
    server.put("*", reply(status=500))
    with pytest.raises(OriginFailed):
        await renditions.get(rendition_request(parse_options("w_20"), "other.png", bucket(None), Lifetimes()))
