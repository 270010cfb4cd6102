"""
What was purged and when, as numbers that only grow: an entry that is older than a purge of one of its tags is
worth nothing, so nobody ever has to look for what to throw away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple, Protocol

EVERYTHING = "*"
"""The tag of all there is."""

BELOW = "prefix:"
"""Before a prefix of keys, that is a tag."""


def key_tag(key: str) -> str:
    return "key-" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def origin_tag(name: str) -> str:
    return f"origin-{name}"


def preset_tag(name: str) -> str:
    return f"preset-{name}"


class Subject(NamedTuple):
    """What a purge may be about: the tags of one entry, and the keys of the originals that are in it."""

    tags: tuple[str, ...]
    keys: tuple[str, ...]


def subject(keys: Iterable[str], origins: Iterable[str], presets: Iterable[str] = ()) -> Subject:
    """`origins` are the names of those of the keys."""
    keys = tuple(dict.fromkeys(keys))
    tags = (*map(key_tag, keys), *map(origin_tag, dict.fromkeys(origins)), *map(preset_tag, presets))
    return Subject(tags, keys)


class Mark(NamedTuple):
    """
    `number` is unix milliseconds, or more where two purges would get the same. A `soft` one makes stale; one
    that is not makes as if it had never been.
    """

    number: int
    soft: bool
    tag: str


class Purged(NamedTuple):
    hard: bool
    at: float
    """Unix seconds."""


class Heard(Protocol):
    """Purges, as far as this process has heard of them."""

    @property
    def latest(self) -> int:
        """The number of the last one. Cheap enough for every request."""

    def verdict(self, about: Subject, after: int) -> Purged | None:
        """What happened to an entry whose making began when `after` was the latest number."""


class Purges:
    """
    A mark for each tag. Of more than `most` the older half is forgotten, and all that was there before then
    counts as purged: too much is the safe side.
    """

    def __init__(self, *, most: int = 100_000) -> None:
        self.latest = 0
        self._most = most
        self._marks: dict[bool, dict[str, int]] = {True: {}, False: {}}
        self._lengths: set[int] = set()

    def learn(self, marks: Iterable[Mark]) -> list[Mark]:
        """Those that were news."""
        news = []
        for mark in marks:
            known = self._marks[mark.soft]
            if mark.number <= known.get(mark.tag, 0):
                continue
            news.append(mark)
            known[mark.tag] = mark.number
            self.latest = max(self.latest, mark.number)
            if mark.tag.startswith(BELOW):
                self._lengths.add(len(mark.tag) - len(BELOW))
        if sum(map(len, self._marks.values())) > self._most:
            self._forget()
        return news

    def marks(self) -> list[Mark]:
        """All of them, oldest first."""
        return sorted(
            Mark(number, soft, tag) for soft, known in self._marks.items() for tag, number in known.items()
        )

    def verdict(self, about: Subject, after: int) -> Purged | None:
        if after >= self.latest:
            return None
        tags = (EVERYTHING, *about.tags, *self._below(about.keys))
        for soft, known in ((False, self._marks[False]), (True, self._marks[True])):
            number = max(known.get(tag, 0) for tag in tags)
            if number > after:
                return Purged(hard=not soft, at=number / 1000)
        return None

    def _below(self, keys: Iterable[str]) -> Iterable[str]:
        return (BELOW + key[:length] for key in keys for length in self._lengths if length <= len(key))

    def _forget(self) -> None:
        marks = self.marks()
        older, newer = marks[: len(marks) // 2], marks[len(marks) // 2 :]
        self._marks = {True: {}, False: {}}
        self._lengths.clear()
        self.learn([*newer, Mark(older[-1].number, False, EVERYTHING)])
