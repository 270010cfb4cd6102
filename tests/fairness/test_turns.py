"""Turns of clients that share work, leave, and need places of others."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fairness.demand import OWN_WORK, Demand, current_demand
from proxy.fairness.pace import MAX_PROMPT_REFUSALS, REFUSAL_DELAY, RefusalPace
from proxy.fairness.turns import AbandonedWork, LocalTurns, Ticket, to_displace


async def test_turns_are_given_in_turn_and_given_back() -> None:
    turns = LocalTurns(1)
    first, second, other = (turns.ask(Demand(client), 1.0) for client in "aab")
    assert [each.is_waiting for each in (first, second, other)] == [False, True, True]
    turns.release(first)
    assert [each.is_waiting for each in (second, other)] == [True, False]
    turns.release(other)
    assert not second.is_waiting


async def test_work_is_given_up_when_its_last_client_leaves_before_its_turn() -> None:
    turns, demand = LocalTurns(1), Demand("a", "b")
    running = turns.ask(Demand("a"), 1.0)
    waiting = turns.ask(demand, 1.0)
    demand.add("a", -1)
    assert waiting.is_waiting
    demand.leave()
    with pytest.raises(AbandonedWork):
        await waiting.granted
    turns.release(waiting)
    turns.release(running)
    with pytest.raises(AbandonedWork):
        await turns.ask(demand, 1.0).granted


async def test_work_goes_on_when_its_clients_leave_during_its_turn() -> None:
    turns, demand = LocalTurns(1), Demand("a")
    ticket = turns.ask(demand, 1.0)
    demand.leave()
    await ticket.granted
    turns.release(ticket)


async def test_a_waiter_that_is_cancelled_leaves_the_queue() -> None:
    turns = LocalTurns(1)
    running, waiting, last = (turns.ask(Demand("a"), 1.0) for _ in range(3))
    waiting.granted.cancel()
    turns.release(running)
    assert not last.is_waiting
    turns.release(waiting)


async def test_clients_are_those_of_all_that_waits_for_the_work() -> None:
    one, two, shared = Demand("a"), Demand("b", "b"), Demand()
    seen: list[tuple[str, ...]] = []
    unwatch = shared.watch(lambda: seen.append(shared.clients))
    with one.feeding(shared):
        with two.feeding(shared):
            one.add("c")
            assert set(shared.clients) == {"a", "b", "c"}
            two.leave()
        one.leave()
        assert shared.clients == ()
    unwatch()
    shared.add("d")
    assert seen == [("a",), ("a", "b"), ("a", "b", "c"), ("a", "c"), ("c",), ()]


async def test_a_task_works_for_the_demand_that_it_was_started_for() -> None:
    async def clients() -> tuple[str, ...]:
        return current_demand().clients

    assert await clients() == (OWN_WORK,)
    with Demand("a").as_current():
        assert await clients() == ("a",)
        assert await Demand("b").start(clients()) == ("b",)
    assert await clients() == (OWN_WORK,)


def tickets(clients: str, *, waiting: bool = True) -> list[Ticket]:
    made = [Ticket(Demand(client)) for client in clients]
    for each in made:
        if not waiting:
            each.grant()
    return made


async def test_the_last_that_waits_of_the_client_that_has_most_goes() -> None:
    places = [*tickets("aa", waiting=False), *tickets("abaab")]
    assert to_displace(places, Demand("c")) is places[5]
    assert to_displace(places, Demand("b")) is places[5]
    assert to_displace(places, Demand("a")) is None


async def test_what_runs_is_not_displaced_and_nothing_is_for_one_that_would_have_as_many() -> None:
    assert to_displace(tickets("aaaa", waiting=False), Demand("b")) is None
    assert to_displace(tickets("ab"), Demand("c")) is None
    assert to_displace(tickets("aab"), Demand("b")) is None
    assert to_displace([], Demand("b")) is None


async def test_work_that_a_small_client_waits_for_too_is_not_the_first_to_go() -> None:
    places = tickets("aaa")
    places[2].demand.add("b")
    assert to_displace(places, Demand("c")) is places[1]


@given(st.text("abc", max_size=12), st.text("abcd", min_size=1, max_size=30))
def test_places_end_up_as_equal_as_clients_ask_for_them(first: str, then: str) -> None:
    async def run() -> None:
        size = 12
        places = tickets(first)
        for client in then:
            demand = Demand(client)
            if len(places) >= size:
                displaced = to_displace(places, demand)
                if displaced is None:
                    counts = {each: sum(each in t.demand.clients for t in places) for each in "abcd"}
                    assert counts[client] >= max(counts.values()) - 1
                    continue
                places.remove(displaced)
            places.append(Ticket(demand))
        assert len(places) <= size

    asyncio.run(run())


def test_refusals_are_prompt_until_a_client_does_nothing_else() -> None:
    now = 0.0
    pace = RefusalPace(lambda: now)
    assert [pace.delay("a") for _ in range(MAX_PROMPT_REFUSALS + 2)][-3:] == [0, REFUSAL_DELAY, REFUSAL_DELAY]
    assert pace.delay("b") == 0
    now = 1.5
    assert pace.delay("a") == 0
