from __future__ import annotations

import pytest

from proxy.clients.breaker import CircuitBreaker
from tests.caches.clocks import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(threshold=3, reset_timeout=5.0, clock=clock)


def test_single_failures_change_nothing(breaker: CircuitBreaker) -> None:
    for _ in range(10):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.allows()


def test_failures_in_a_row_open_it_for_a_rest(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(3):
        assert breaker.allows()
        breaker.failed()
    assert not breaker.allows()
    clock.forward(4.9)
    assert not breaker.allows()


def test_after_a_rest_one_probe_goes_through(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(3):
        breaker.failed()
    clock.forward(5.0)
    assert [breaker.allows() for _ in range(3)] == [True, False, False]


def test_a_probe_that_succeeds_closes_it(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(3):
        breaker.failed()
    clock.forward(5.0)
    assert breaker.allows()
    breaker.succeeded()
    assert [breaker.allows() for _ in range(3)] == [True, True, True]


def test_a_probe_that_fails_costs_another_rest(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(3):
        breaker.failed()
    clock.forward(5.0)
    assert breaker.allows()
    breaker.failed()
    clock.forward(4.9)
    assert not breaker.allows()
    clock.forward(0.1)
    assert breaker.allows()


def test_a_probe_that_never_reports_costs_another_rest(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(3):
        breaker.failed()
    clock.forward(5.0)
    assert breaker.allows()
    clock.forward(5.0)
    assert breaker.allows()
