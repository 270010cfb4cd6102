"""One queue for all web processes: who waits at one of them has its turn before the hundredth of another."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from proxy.fairness.demand import Demand
from proxy.fairness.turns import AbandonedWork, Ticket
from proxy.model.errors import ClientLeft, Overloaded
from proxy.renderers import Job
from proxy.renderers.broker import TURNS_SOCKET, TurnBroker
from proxy.renderers.client import RendererClient
from proxy.renderers.shared_turns import SharedTurns
from tests.renderers.conftest import Eventually
from tests.renderers.fake import FakeRenderer, fake_renderer


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[TurnBroker]:
    broker = TurnBroker(tmp_path / TURNS_SOCKET, slots=1)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
async def processes(broker: TurnBroker, tmp_path: Path) -> AsyncIterator[list[SharedTurns]]:
    made = [SharedTurns(str(tmp_path / "renderers")) for _ in range(2)]
    yield made
    for each in made:
        each.close()


async def granted(ticket: Ticket) -> None:
    async with asyncio.timeout(10):
        await ticket.granted


async def compete(one: SharedTurns, other: SharedTurns) -> None:
    """Two clients are seen, so that nothing begins ahead."""
    tickets = [one.ask(Demand("greedy"), 0.1), other.ask(Demand("victim"), 0.1)]
    for turns, ticket in zip((one, other), tickets, strict=True):
        await granted(ticket)
        turns.release(ticket)


async def test_turns_are_shared_by_processes_and_taken_in_turn(processes: list[SharedTurns]) -> None:
    one, other = processes
    await compete(one, other)
    running = one.ask(Demand("greedy"), 0.1)
    await granted(running)
    waiting = [one.ask(Demand("greedy"), 0.1) for _ in range(20)]
    victim = other.ask(Demand("victim"), 0.1)
    await asyncio.sleep(0.2)
    one.release(running)
    await granted(victim)
    assert all(ticket.is_waiting for ticket in waiting)
    other.release(victim)
    for ticket in waiting:
        await granted(ticket)
        one.release(ticket)


async def test_what_a_process_had_is_free_when_it_dies(processes: list[SharedTurns]) -> None:
    one, other = processes
    await compete(one, other)
    running, _ = one.ask(Demand("greedy"), 0.1), one.ask(Demand("greedy"), 0.1)
    await granted(running)
    waiting = other.ask(Demand("victim"), 0.1)
    await asyncio.sleep(0.1)
    assert waiting.is_waiting
    one.close()
    await granted(waiting)
    other.release(waiting)


async def test_a_client_that_comes_and_one_that_leaves_is_told(processes: list[SharedTurns]) -> None:
    one, other = processes
    await compete(one, other)
    running = one.ask(Demand("greedy"), 0.1)
    await granted(running)
    left, shared = Demand("greedy"), Demand("greedy")
    first, second, third = (one.ask(each, 0.1) for each in (left, Demand("greedy"), shared))
    shared.add("victim")
    left.leave()
    with pytest.raises(AbandonedWork):
        await first.granted
    one.release(running)
    await granted(third)
    assert second.is_waiting
    one.release(third)
    await granted(second)
    one.release(second)


async def test_without_a_broker_all_have_their_turn_at_once(tmp_path: Path) -> None:
    turns = SharedTurns(str(tmp_path / "renderers"))
    ticket = turns.ask(Demand("a"), 0.1)
    await granted(ticket)
    turns.release(ticket)


async def test_when_the_broker_ends_all_that_waits_has_its_turn(
    broker: TurnBroker, processes: list[SharedTurns]
) -> None:
    one, other = processes
    await compete(one, other)
    tickets = [one.ask(Demand("greedy"), 0.1) for _ in range(5)]
    await granted(tickets[0])
    broker.stop()
    for ticket in tickets:
        await granted(ticket)
        one.release(ticket)


async def test_what_is_no_request_for_a_turn_ends_one_connection_alone(
    broker: TurnBroker, processes: list[SharedTurns], tmp_path: Path
) -> None:
    for said in (b"{}\n", b"nonsense\n", b'{"ask": 1}\n', b"[]\n"):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(10)
            stranger.connect(str(tmp_path / TURNS_SOCKET))
            stranger.sendall(said)
            if said != b"{}\n":
                assert stranger.recv(10) == b""
    await compete(*processes)


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[FakeRenderer]:
    async with fake_renderer(tmp_path) as fake:
        yield fake


def start(client: RendererClient, demand: Demand, name: str, size: int = 0) -> asyncio.Task[object]:
    with demand.as_current():
        return asyncio.create_task(client.run(Job(options=name, original=bytes(size)), timeout=20))


async def test_a_full_queue_gives_the_place_of_the_client_that_has_most(
    broker: TurnBroker, processes: list[SharedTurns], fake: FakeRenderer, eventually: Eventually
) -> None:
    await compete(*processes)
    client = RendererClient(fake.socket_path, queue_size=4, turns=processes[0])
    greedy = [start(client, Demand("greedy"), f"greedy {number}") for number in range(4)]
    running = await fake.next_job()
    with Demand("greedy").as_current(), pytest.raises(Overloaded):
        client.require_room()
    with Demand("victim").as_current():
        client.require_room()
    victim = start(client, Demand("victim"), "victim")
    with pytest.raises(Overloaded) as refused:
        await asyncio.wait_for(greedy[3], 10)
    assert refused.value.facts["retry_after"] >= 1
    running.answer()
    job = await fake.next_job()
    assert job.options == "victim"
    job.answer()
    await victim
    for _ in range(2):
        (await fake.next_job()).answer()
    await asyncio.gather(*greedy[:3])
    assert client.waiting == 0


async def test_bytes_are_given_up_like_places(
    broker: TurnBroker, processes: list[SharedTurns], fake: FakeRenderer
) -> None:
    await compete(*processes)
    client = RendererClient(fake.socket_path, queue_bytes=1_000, turns=processes[0])
    greedy = [start(client, Demand("greedy"), "greedy", 300) for _ in range(3)]
    running = await fake.next_job()
    victim = start(client, Demand("victim"), "victim", 400)
    with pytest.raises(Overloaded):
        await asyncio.wait_for(greedy[2], 10)
    running.answer()
    for _ in range(2):
        (await fake.next_job()).answer()
    await asyncio.gather(victim, *greedy[:2])


async def test_a_job_that_no_client_waits_for_is_not_begun(
    broker: TurnBroker, processes: list[SharedTurns], fake: FakeRenderer
) -> None:
    await compete(*processes)
    client = RendererClient(fake.socket_path, turns=processes[0])
    first = start(client, Demand("a"), "first")
    running = await fake.next_job()
    demand = Demand("a")
    second = start(client, demand, "second")
    await asyncio.sleep(0.05)
    demand.leave()
    with pytest.raises(ClientLeft):
        await asyncio.wait_for(second, 10)
    running.answer()
    await first
    assert (fake.is_idle, client.waiting) == (True, 0)
