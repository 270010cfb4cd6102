"""Jobs of one original that wait for a renderer at the same moment, put together: it is decoded once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from proxy.model.limits import Limits
from proxy.renderers.protocol import Job, JobVariant, Reply

MAX_BATCH = 6
"""Jobs: as many as widths of a page. More would take a turn for longer than others should wait for it."""

MAX_OPTIONS_CHARACTERS = 5_000
"""Of all jobs of a batch: JSON makes at most twelve bytes of each, and they have to fit into one header."""

MIN_SPLIT = 4
"""Jobs of which two renderers do a half each, where there are two: the largest is as much as all others."""

BatchKey = tuple[int, Limits, float]
"""What jobs that can be put together have in common: the very bytes in memory, their limits, their time."""


class AloneAgain(Exception):
    """The batch ended before this job was answered, and it is to be run by itself."""


@dataclass(slots=True, kw_only=True, eq=False)
class Member:
    """A job that waits; `taken` is done when a renderer gets it, and `reply` when it is answered."""

    job: Job
    asked: int
    timeout: float
    taken: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    reply: asyncio.Future[Reply] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def key(self) -> BatchKey:
        return id(self.job.original), self.job.limits, self.timeout

    def succeed(self, reply: Reply) -> None:
        if not self.reply.done():
            self.reply.set_result(reply)

    def fail(self, error: Exception) -> None:
        if not self.reply.done():
            self.reply.set_exception(error)
            self.reply.exception()  # retrieved, also where its caller has left


class WaitingJobs:
    """The jobs of one web process that wait and can be put together, by their original."""

    def __init__(self, *, renderers: int) -> None:
        self._renderers = renderers
        self._waiting: dict[BatchKey, list[list[Member]]] = {}

    def add(self, member: Member) -> None:
        groups = self._waiting.setdefault(member.key, [[]])
        groups[-1].append(member)

    def remove(self, member: Member) -> None:
        """It is not to be taken any more; no error if it was."""
        groups = self._waiting.get(member.key, [])
        for group in groups:
            if member in group:
                group.remove(member)
        groups[:-1] = filter(None, groups[:-1])
        if groups and not any(groups):
            del self._waiting[member.key]

    def take(self, first: Member) -> list[Member]:
        """
        Return `first`, which is about to be given to a renderer, and what is to be done with it, the cheapest
        first. Of many jobs it is one half by their cost: another renderer does the other half meanwhile.
        """
        groups = self._waiting[first.key]
        number = next(at for at, group in enumerate(groups) if first in group)
        group = sorted(groups[number], key=lambda member: member.job.cost)
        if number == len(groups) - 1 and self._renderers > 1 and len(group) >= MIN_SPLIT:
            at = _middle([member.job.cost for member in group])
            halves = group[:at], group[at:]
            group, rest = halves if first in halves[0] else halves[::-1]
            # Those that are still to come are a batch of their own.
            groups[number : number + 1] = [group, rest, []]
        taken = _fitting(group, first)
        for member in taken:
            self.remove(member)
            member.taken.set_result(None)
        return taken


def batch_job(members: Sequence[Member]) -> Job:
    """Return the job that does all of them, in this order."""
    first, *others = (member.job for member in members)
    variants = tuple(JobVariant(options=job.options, accepted=job.accepted) for job in others)
    return replace(first, variants=variants, cost=sum(member.job.cost for member in members))


def _fitting(group: Sequence[Member], first: Member) -> list[Member]:
    left = MAX_OPTIONS_CHARACTERS - len(first.job.options)
    taken = {first}
    for member in group:
        if member is not first and len(taken) < MAX_BATCH and len(member.job.options) <= left:
            left -= len(member.job.options)
            taken.add(member)
    return [member for member in group if member in taken]


def _middle(costs: Sequence[float]) -> int:
    """
    Return before which of `costs`, in ascending order, the two parts are most alike, without what all cost:
    to read the original is done for either.
    """
    own = [cost - costs[0] for cost in costs]
    return min(range(1, len(own)), key=lambda at: abs(sum(own[:at]) - sum(own[at:])))
