"""
Purges by tag (surrogate keys) and by generation: each purge has a number that only grows, and an entry whose
number is less than that of a purge of one of its tags is stale (soft purge) or a miss. So no entry has to be
searched for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple, Protocol

EVERYTHING = "*"
"""The tag that every entry has."""

MAX_NUMBER_AHEAD = 3 * 366 * 86_400 * 1000
"""
How far ahead of the clock the number of a mark may be, in ms. What is further ahead was not written by us: it
would be above all purges that are to come.
"""

PREFIX_TAG = "prefix:"
"""`prefix:cats/` is a tag of all entries whose key begins with `cats/`."""


def key_tag(key: str) -> str:
    """The tag of all that is made from one original."""
    return "key-" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def origin_tag(name: str) -> str:
    """The tag of all that is made from originals of one origin."""
    return f"origin-{name}"


def preset_tag(name: str) -> str:
    """The tag of all that was asked for with one preset."""
    return f"preset-{name}"


class PurgeSubject(NamedTuple):
    """What a purge may be about: the tags of one entry, and the keys of the originals that are in it."""

    tags: tuple[str, ...]
    keys: tuple[str, ...]


def purge_subject(keys: Iterable[str], origins: Iterable[str], presets: Iterable[str] = ()) -> PurgeSubject:
    """
    What a purge may be about, for an entry made from these keys; `origins` are the names of their origins.
    """
    keys = tuple(dict.fromkeys(keys))
    tags = (*map(key_tag, keys), *map(origin_tag, dict.fromkeys(origins)), *map(preset_tag, presets))
    return PurgeSubject(tags, keys)


class PurgeMark(NamedTuple):
    """
    One tag, purged once. `number` is the purge's generation: unix milliseconds, or more where two would be
    the same. A `soft` one makes entries stale, any other makes them a miss.
    """

    number: int
    soft: bool
    tag: str


class PurgeVerdict(NamedTuple):
    """How an entry was purged: `hard` (it is a miss) or softly (it is stale)."""

    hard: bool
    at: float
    """Unix seconds."""


class PurgeState(NamedTuple):
    """
    What a process knew of purges at one moment: the `number` of the last one, and whether it was `leased`, so
    that no later one can have been confirmed. `slot` tells such moments apart where it was not.
    """

    number: int
    leased: bool = True
    slot: int = 0

    @property
    def scope(self) -> str:
        """Part of the names of flights: those of another scope may know less, and are not joined."""
        return f"{self.number}" if self.leased else f"{self.number}+{self.slot}"


class PurgeView(Protocol):
    """The purges that this process knows."""

    @property
    def leased(self) -> bool:
        """
        Whether every purge that was confirmed until now is known here; to be read after `latest`. If not,
        what is cached has to be validated before it is served. Cheap enough for every request.
        """

    @property
    def state(self) -> PurgeState:
        """What is known now."""

    @property
    def latest(self) -> int:
        """The number of the last purge. Cheap enough for every request."""

    def verdict(self, about: PurgeSubject, after: int) -> PurgeVerdict | None:
        """The purge, if any, of an entry that began to be made when `after` was the latest number."""


class PurgeMarks:
    """
    The last hard and the last soft mark of each tag. Of more than `max_marks` the older half is forgotten,
    and every entry of that time counts as purged: too much is the safe side.
    """

    leased = True

    def __init__(self, *, max_marks: int = 100_000) -> None:
        self.latest = 0
        self._max_marks = max_marks
        self._marks: dict[bool, dict[str, int]] = {True: {}, False: {}}
        self._lengths: set[int] = set()

    @property
    def state(self) -> PurgeState:
        return PurgeState(self.latest)

    def learn(self, marks: Iterable[PurgeMark]) -> list[PurgeMark]:
        """Take over `marks`; returns those that were not known."""
        news = []
        for mark in marks:
            known = self._marks[mark.soft]
            if mark.number <= known.get(mark.tag, 0):
                continue
            news.append(mark)
            known[mark.tag] = mark.number
            self.latest = max(self.latest, mark.number)
            if mark.tag.startswith(PREFIX_TAG):
                self._lengths.add(len(mark.tag) - len(PREFIX_TAG))
        if sum(map(len, self._marks.values())) > self._max_marks:
            self._forget()
        return news

    def marks(self) -> list[PurgeMark]:
        """All of them, oldest first."""
        return sorted(
            PurgeMark(number, soft, tag)
            for soft, known in self._marks.items()
            for tag, number in known.items()
        )

    def verdict(self, about: PurgeSubject, after: int) -> PurgeVerdict | None:
        """See `PurgeView`. A hard purge counts before a soft one."""
        if after >= self.latest:
            return None
        tags = (EVERYTHING, *about.tags, *self._below(about.keys))
        for soft, known in ((False, self._marks[False]), (True, self._marks[True])):
            number = max(known.get(tag, 0) for tag in tags)
            if number > after:
                return PurgeVerdict(hard=not soft, at=number / 1000)
        return None

    def _below(self, keys: Iterable[str]) -> Iterable[str]:
        return (PREFIX_TAG + key[:length] for key in keys for length in self._lengths if length <= len(key))

    def _forget(self) -> None:
        marks = self.marks()
        older, newer = marks[: len(marks) // 2], marks[len(marks) // 2 :]
        self._marks = {True: {}, False: {}}
        self._lengths.clear()
        self.learn([*newer, PurgeMark(older[-1].number, False, EVERYTHING)])
