"""However many requests a client has, another one has its turn as if there were two of them in all."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fairness.demand import OWN_WORK
from proxy.fairness.queue import CONTENTION_MEMORY, MAX_CLIENTS, MAX_LAG, FairQueue

CLIENTS = "abcd"


def order(queue: FairQueue[tuple[str, int]], cost: dict[str, float] | None = None) -> list[str]:
    """The clients in the order in which their work is done, by one slot."""
    done = []
    while (work := queue.take()) is not None:
        done.append(work[0])
        queue.remove(work, (cost or {}).get(work[0], 1.0))
    return done


def filled(
    counts: dict[str, int], *, slots: int = 1, ahead: int = 0, max_per_client: int | None = None
) -> FairQueue[tuple[str, int]]:
    queue: FairQueue[tuple[str, int]] = FairQueue(slots, ahead=ahead, max_per_client=max_per_client)
    for client, count in counts.items():
        for number in range(count):
            queue.add((client, number), [client], 1.0)
    return queue


def test_who_comes_last_with_one_is_next_after_a_hundred_of_another() -> None:
    assert order(filled({"greedy": 100, "victim": 1}))[:2] in (["greedy", "victim"], ["victim", "greedy"])


@given(st.dictionaries(st.sampled_from(CLIENTS), st.integers(1, 20), min_size=1))
def test_no_client_gets_two_more_than_another_that_waits(counts: dict[str, int]) -> None:
    left, had = Counter(counts), Counter[str]()
    for client in order(filled(counts)):
        left[client] -= 1
        had[client] += 1
        for other in counts:
            assert not left[other] or had[client] <= had[other] + 1
    assert had == counts


@given(st.dictionaries(st.sampled_from(CLIENTS), st.floats(0.01, MAX_LAG), min_size=2))
def test_what_counts_is_what_work_has_taken_and_not_how_much_of_it_there_was(costs: dict[str, float]) -> None:
    """While all wait, no client is further ahead than the longest job takes."""
    queue = filled(dict.fromkeys(costs, 400))
    had, longest = Counter[str](), max(costs.values())
    for _ in range(200):
        work = queue.take()
        assert work is not None
        queue.remove(work, costs[work[0]])
        had[work[0]] += costs[work[0]]  # type: ignore[assignment]
        assert max(had.values()) - min(had[client] for client in costs) <= 2 * longest + 1e-6 + 1.0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "take", "done", "change", "leave"]),
            st.integers(0, 9),
            st.sets(st.sampled_from(CLIENTS), min_size=1),
        ),
        max_size=80,
    ),
    st.integers(1, 3),
    st.integers(0, 2),
)
def test_slots_are_never_more_than_there_are_and_never_idle(
    steps: list[tuple[str, int, set[str]]], slots: int, ahead: int
) -> None:
    queue: FairQueue[int] = FairQueue(slots, ahead=ahead, clock=lambda: 0.0)
    waiting, running, number = set[int](), set[int](), 0
    for step, index, clients in steps:
        if step == "add":
            number += 1
            queue.add(number, sorted(clients), 0.1)
            waiting.add(number)
        elif step == "take":
            work = queue.take()
            if work is not None:
                waiting.remove(work)
                running.add(work)
            else:
                assert not waiting or len(running) >= slots
        elif step == "done" and running:
            work = sorted(running)[index % len(running)]
            running.remove(work)
            queue.remove(work, 0.3)
        elif step == "change" and waiting:
            queue.replace_clients(sorted(waiting)[index % len(waiting)], sorted(clients))
        elif step == "leave" and waiting:
            work = sorted(waiting)[index % len(waiting)]
            waiting.remove(work)
            queue.remove(work)
        assert len(running) <= slots + ahead
    while waiting or running:
        for work in running:
            queue.remove(work)
        running = set()
        while (taken := queue.take()) is not None:
            waiting.remove(taken)
            running.add(taken)
    assert queue.take() is None


def test_a_lone_client_has_all_slots_and_those_ahead() -> None:
    queue = filled({"a": 10}, slots=2, ahead=2)
    assert sum(queue.take() is not None for _ in range(10)) == 4


def test_nothing_begins_ahead_while_clients_compete() -> None:
    now = 0.0
    queue: FairQueue[tuple[str, int]] = FairQueue(2, ahead=2, clock=lambda: now)
    for number in range(9):
        queue.add(("a", number), ["a"], 1.0)
    queue.add(("b", 0), ["b"], 1.0)
    taken = [queue.take() for _ in range(3)]
    assert taken[2] is None
    assert {work[0] for work in taken if work} == {"a", "b"}
    now = CONTENTION_MEMORY + 1
    assert queue.take() is not None


def test_work_of_several_clients_is_done_at_the_turn_of_the_first_of_them() -> None:
    queue = filled({"greedy": 50})
    queue.replace_clients(("greedy", 49), ["greedy", "victim"])
    assert [queue.take()] == [("greedy", 0)]
    queue.remove(("greedy", 0), 1.0)
    assert queue.take() == ("greedy", 49)


def test_one_client_leaves_slots_to_others_where_that_is_said() -> None:
    queue = filled({"a": 10}, slots=4, max_per_client=3)
    assert sum(queue.take() is not None for _ in range(10)) == 3
    queue.add(("b", 0), ["b"], 1.0)
    assert queue.take() == ("b", 0)
    own = filled({OWN_WORK: 10}, slots=4, max_per_client=3)
    assert sum(own.take() is not None for _ in range(10)) == 4


def test_a_client_that_had_long_work_is_not_shut_out_for_as_long() -> None:
    queue = filled({"a": 2, "b": 100})
    work = queue.take()
    assert work == ("a", 0)
    queue.remove(work, 1_000.0)
    assert "a" in order(queue)[: int(MAX_LAG) + 2]


def test_what_is_given_up_is_not_done_and_twice_is_no_error() -> None:
    queue = filled({"a": 3})
    queue.remove(("a", 1))
    queue.remove(("a", 1))
    assert order(queue) == ["a", "a"]


@pytest.mark.parametrize("busy", [True, False])
def test_a_stream_of_new_clients_is_not_remembered(busy: bool) -> None:
    queue: FairQueue[int] = FairQueue(1)
    if busy:
        queue.add(-1, ["busy"], 1.0)
        assert queue.take() == -1
        queue._slots = 2
    for number in range(MAX_CLIENTS + 100):
        queue.add(number, [str(number)], 1.0)
        assert queue.take() == number
        queue.remove(number, 1.0)
    assert len(queue._next_start) <= MAX_CLIENTS
    assert len(queue._waiting) + len(queue._running) <= 1
