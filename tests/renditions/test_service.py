"""The road of a request when time passes: what is served at which age, and who is asked for a new one."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from proxy.model.errors import OriginalNotFound, OriginFailed, OriginTimedOut, Overloaded, TooCostly
from proxy.model.freshness import Lifetimes
from proxy.model.limits import Limits
from proxy.model.media import Format
from proxy.model.negotiation import bucket
from proxy.renderers import Job, Reply
from proxy.renderers.client import RendererClient
from proxy.renditions.avif_followup import AVIF_RETRY_DELAY, PROVISIONAL_LIFETIME
from proxy.renditions.request import RenditionRequest, rendition_request
from proxy.renditions.served import Served
from proxy.renditions.service import RENEWAL_RETRY_DELAY, Renditions
from proxy.url.grammar import parse_options
from tests.caches.clocks import Clock
from tests.origins.server import Server, reply, silence, until
from tests.pictures import photo, plain, saved
from tests.renditions.conftest import Open
from tests.timing import waiting

LIFETIMES = Lifetimes(max_age=10, s_maxage=100, stale_while_revalidate=50, stale_if_error=500)
TOM = saved(photo(64, 48), Format.PNG)
RED = saved(plain(64, 48, 200, 0, 0), Format.PNG)


def request(options: str = "w_20", key: str = "tom.png") -> RenditionRequest:
    return rendition_request(parse_options(options), key, bucket(None), LIFETIMES)


@pytest.fixture
async def server(server: Server) -> Server:
    server.put("/tom.png", reply(TOM, etag='"1"'))
    return server


@pytest.fixture
def renditions(open_renditions: Open) -> Renditions:
    return open_renditions(refusals_for=0.5)


def how(answer: Served) -> tuple[bool, bool, bool]:
    return answer.hit, answer.stale, answer.failure is not None


async def test_a_fresh_one_is_served_and_no_origin_asked(
    renditions: Renditions, server: Server, clock: Clock
) -> None:
    first = await renditions.get(request())
    clock.forward(99)
    again = await renditions.get(request())
    assert (how(first), how(again)) == ((False, False, False), (True, False, False))
    assert again.rendition == first.rendition
    assert len(server.asked) == 1


async def test_a_stale_one_is_served_at_once_and_renewed_once_in_the_background(
    renditions: Renditions, server: Server, clock: Clock
) -> None:
    first = await renditions.get(request())
    server.put("/tom.png", reply(RED, etag='"2"'))
    clock.forward(120)
    stale = await asyncio.gather(*(renditions.get(request()) for _ in range(50)))
    assert {(how(each), each.rendition.etag) for each in stale} == {
        ((True, True, False), first.rendition.etag)
    }

    async with asyncio.timeout(20):
        while (answer := await renditions.get(request())).stale:  # noqa: ASYNC110 - no event tells of a renewal
            await asyncio.sleep(0.01)
    assert how(answer) == (True, False, False)
    assert answer.rendition.etag != first.rendition.etag
    assert answer.rendition.made_at == clock.now
    assert len(server.asked) == 2


async def test_an_avif_that_takes_too_long_follows(
    open_renditions: Open, server: Server, clock: Clock
) -> None:
    hurried = open_renditions(limits=Limits(avif_budget=0))
    asked = rendition_request(
        parse_options("w_40,f_auto"), "tom.png", bucket("image/avif,image/webp"), LIFETIMES
    )
    first = await asyncio.gather(*(hurried.get(asked) for _ in range(5)))
    assert {each.rendition.format for each in first} == {Format.WEBP}
    assert first[0].rendition.is_provisional

    async with asyncio.timeout(20):
        while (answer := await hurried.get(asked)).rendition.is_provisional:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.01)
    assert answer.hit
    assert answer.rendition.format is Format.AVIF
    assert answer.rendition.etag != first[0].rendition.etag
    assert len(server.asked) == 2
    clock.forward(PROVISIONAL_LIFETIME + 1)
    assert (await hurried.get(asked)).rendition == answer.rendition


class Hurried(RendererClient):
    """Takes too long over all background jobs."""

    background_jobs = 0

    async def run(self, job: Job, *, timeout: float) -> Reply:  # noqa: ASYNC109  as RendererClient
        if not job.background:
            return await super().run(job, timeout=timeout)
        self.background_jobs += 1
        raise TooCostly("this picture took longer than 10 s to render")


async def test_what_took_too_long_to_finish_is_tried_again_but_not_soon(
    open_renditions: Open, renderers: str, server: Server, clock: Clock
) -> None:
    client = Hurried(renderers)
    hurried = open_renditions(renderers=client, limits=Limits(avif_budget=0))
    lifetimes = replace(LIFETIMES, s_maxage=86_400)
    asked = rendition_request(
        parse_options("w_40,f_auto"), "tom.png", bucket("image/avif,image/webp"), lifetimes
    )
    await hurried.get(asked)
    async with asyncio.timeout(20):
        while not client.background_jobs:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    for hits, seconds in ((True, 1), (True, AVIF_RETRY_DELAY - 2), (False, 2)):
        clock.forward(seconds)
        answer = await hurried.get(asked)
        assert (answer.hit, answer.rendition.is_provisional) == (hits, True)
    async with asyncio.timeout(20):
        while client.background_jobs < 2:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.01)


class Full(RendererClient):
    """Takes one job, and has no room for another."""

    asked = 0

    def require_room(self) -> None:
        self.asked += 1
        if self.asked > 1:
            raise Overloaded("too many pictures are being made right now", retry_after=1)


async def test_nothing_is_fetched_for_an_avif_that_there_is_no_room_for(
    open_renditions: Open, renderers: str, server: Server, clock: Clock
) -> None:
    full = Full(renderers)
    hurried = open_renditions(renderers=full, limits=Limits(avif_budget=0))
    asked = rendition_request(
        parse_options("w_40,f_auto"), "tom.png", bucket("image/avif,image/webp"), LIFETIMES
    )
    assert (await hurried.get(asked)).rendition.is_provisional
    await until(lambda: full.asked == 2)
    assert (await hurried.get(asked)).rendition.is_provisional
    assert len(server.asked) == 1


async def test_what_stands_in_for_a_rendition_is_made_again_when_that_never_came(
    open_renditions: Open, server: Server, clock: Clock
) -> None:
    """A process that is stopped finishes nothing."""
    asked = rendition_request(
        parse_options("w_40,f_auto"), "tom.png", bucket("image/avif,image/webp"), LIFETIMES
    )
    for _ in range(2):
        hurried = open_renditions(limits=Limits(avif_budget=0))
        answer = await hurried.get(asked)
        await hurried.close()
        assert (answer.hit, answer.rendition.is_provisional) == (False, True)
        clock.forward(PROVISIONAL_LIFETIME + 1)


async def test_an_origin_that_hangs_delays_no_reader_of_a_stale_one(
    renditions: Renditions, server: Server, clock: Clock
) -> None:
    await renditions.get(request())
    server.put("/tom.png", silence)
    clock.forward(120)
    async with waiting() as waited:
        await renditions.get(request())
        await until(lambda: len(server.asked) == 2)
        assert how(await renditions.get(request())) == (True, True, False)
    assert waited.seconds < 0.9, "the origin would take a second to be given up"


async def test_a_client_that_cannot_take_a_stale_one_waits_for_the_renewal_under_way(
    renditions: Renditions, server: Server, clock: Clock
) -> None:
    await renditions.get(request())
    answered = asyncio.Event()

    async def answer_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await answered.wait()
        return await reply(RED, etag='"2"')(reader, writer)

    server.put("/tom.png", answer_late)
    clock.forward(120)
    assert how(await renditions.get(request())) == (True, True, False)
    await until(lambda: len(server.asked) == 2)
    clock.forward(40)
    waiting = asyncio.ensure_future(renditions.get(request()))
    await asyncio.sleep(0.05)
    answered.set()
    assert how(await waiting) == (False, True, False)
    assert len(server.asked) == 2


async def test_the_same_original_renews_a_rendition_without_a_renderer(
    renditions: Renditions, server: Server, clock: Clock
) -> None:
    first = await renditions.get(request())
    clock.forward(300)
    renewed = await renditions.get(request())
    assert how(renewed) == (False, True, False)
    assert renewed.rendition == replace(first.rendition, made_at=clock.now)
    assert "decode" not in renewed.timings


async def test_a_stale_one_stands_in_for_a_dead_origin_for_as_long_as_it_was_agreed(
    renditions: Renditions, server: Server, clock: Clock
) -> None:
    first = await renditions.get(request())
    server.put("/tom.png", reply(status=500))
    clock.forward(160)
    stale = await renditions.get(request())
    assert how(stale) == (False, True, True)
    assert isinstance(stale.failure, OriginFailed)
    assert stale.rendition == first.rendition
    clock.forward(440)
    with pytest.raises(OriginFailed):
        await renditions.get(request())


async def test_a_dead_origin_is_not_waited_for_each_time(
    renditions: Renditions, server: Server, clock: Clock
) -> None:
    await renditions.get(request())
    server.put("/tom.png", silence)
    clock.forward(160)
    assert isinstance((await renditions.get(request())).failure, OriginTimedOut)
    assert how(await renditions.get(request())) == (True, True, False)
    assert len(server.asked) == 2
    assert RENEWAL_RETRY_DELAY > 1


async def test_nothing_stands_in_for_an_original_that_is_gone(
    renditions: Renditions, server: Server, clock: Clock
) -> None:
    await renditions.get(request())
    server.put("/tom.png", reply(status=404))
    clock.forward(160)
    with pytest.raises(OriginalNotFound):
        await renditions.get(request())
    assert renditions.peek(renditions.name(request().stem, request())) is None


async def test_a_missing_original_is_asked_for_once_for_all_its_renditions(
    renditions: Renditions, server: Server
) -> None:
    for options in ("w_20", "w_20", "w_30", "h_10,f_webp"):
        with pytest.raises(OriginalNotFound) as refused:
            await renditions.get(request(options, "none.png"))
        assert refused.value.__cause__ is None or options == "w_20"
    assert len(server.asked) == 1
    server.put("/none.png", reply(TOM))
    await asyncio.sleep(0.6)
    assert how(await renditions.get(request("w_20", "none.png"))) == (False, False, False)


async def test_a_failing_origin_is_asked_again_by_the_next(renditions: Renditions, server: Server) -> None:
    server.put("/tom.png", reply(status=500), reply(TOM))
    with pytest.raises(OriginFailed):
        await renditions.get(request())
    assert how(await renditions.get(request())) == (False, False, False)


async def test_an_error_is_shared_by_all_callers_that_wait(renditions: Renditions, server: Server) -> None:
    server.put("/tom.png", reply(status=500))
    answers = await asyncio.gather(*(renditions.get(request()) for _ in range(20)), return_exceptions=True)
    assert {type(each) for each in answers} == {OriginFailed}
    assert len(server.asked) == 1


async def test_a_404_of_one_key_says_nothing_of_another(renditions: Renditions, server: Server) -> None:
    with pytest.raises(OriginalNotFound):
        await renditions.get(request(key="gone.png"))
    assert (await renditions.get(request())).rendition.width == 20
