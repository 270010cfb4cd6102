"""How long something takes, told so that a busy machine does not make it a lie."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

TICK = 0.01  # s


@dataclass(slots=True)
class Waited:
    """`seconds` are as the event loop saw them: at most those that passed, fewer where it had no turn."""

    seconds: float = 0.0


@asynccontextmanager
async def waiting() -> AsyncIterator[Waited]:
    """
    Counts ticks of a timer beside what is awaited within. Where the machine is busy with something else, both
    stand still; where what is awaited only waits, the timer ticks on.
    """
    waited = Waited()

    async def tick() -> None:
        while True:
            await asyncio.sleep(TICK)
            waited.seconds += TICK

    ticking = asyncio.create_task(tick())
    try:
        yield waited
    finally:
        ticking.cancel()


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """What it returns; an AssertionError where it waits for anything, however short."""
    try:
        work.send(None)
    except StopIteration as ended:
        result: T = ended.value
        return result
    work.close()
    raise AssertionError("it waits")


def cpu(work: Callable[[], object], times: int = 5) -> float:
    """Seconds of CPU that a call takes, the fewest of so many: to be compared with another call's."""

    def once() -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    return min(once() for _ in range(times))
