"""URLs that were read lately, with the head of each one's last response, in a bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import ref

from proxy.model.media import Rendition
from proxy.model.negotiation import Bucket
from proxy.model.outcome import Outcome
from proxy.requests.read import ParsedRequest
from proxy.web.responses import HeaderList

MAX_READ_URL_BYTES = 32_000_000
"""Of all URLs that are remembered, as `weight` counts them."""


@dataclass(slots=True)
class HitResponse:
    """
    The head of the response to a hit, good `until` its age changes a header (unix seconds), or another
    `purge` comes.

    It knows its rendition, but does not hold it: the memory of renditions is bounded by their cache alone.
    `stable_headers` are those of its `headers` that stay as long as the rendition does. `ready` is
    what it is sent as, by method and status, once it was.
    """

    rendition: ref[Rendition]
    stable_headers: HeaderList
    headers: HeaderList
    outcome: Outcome
    until: float
    purge: int
    ready: dict[tuple[bytes, int], ReadyHead] = field(default_factory=dict)


class ReadyHead(NamedTuple):
    """Headers as they are sent, and what writes the line of a request: of its ms, its id and its client."""

    headers: bytes
    write_line: Callable[[float, str, str], None]


class RepeatedHit(NamedTuple):
    """A rendition in memory, and the response to a hit of it."""

    response: HitResponse
    rendition: Rendition


@dataclass(slots=True)
class ReadUrl:
    """A URL that was read, and the last response to a hit of it, which is replaced once a second."""

    parsed: ParsedRequest
    stem: str
    last_hit: HitResponse | None = None


class ReadUrls:
    """
    `read`, a function of a raw path, the query's signature and the accepted formats, with a memory.

    Least recently used goes first, beyond `max_bytes`. What cannot be read, and raises, is not remembered.
    """

    def __init__(
        self, read: Callable[[bytes, bytes, Bucket], ReadUrl], max_bytes: int = MAX_READ_URL_BYTES
    ) -> None:
        self._read = read
        self._left = max_bytes
        self._urls: OrderedDict[tuple[bytes, bytes, Bucket], ReadUrl] = OrderedDict()

    def __call__(self, raw_path: bytes, signature: bytes, accepted: Bucket) -> ReadUrl:
        if (known := self.known(raw_path, signature, accepted)) is not None:
            return known
        url = self._urls[raw_path, signature, accepted] = self._read(raw_path, signature, accepted)
        self._left -= weight(raw_path, signature)
        while self._left < 0:
            (path, spelled, _), _ = self._urls.popitem(last=False)
            self._left += weight(path, spelled)
        return url

    def known(self, raw_path: bytes, signature: bytes, accepted: Bucket) -> ReadUrl | None:
        """Return the URL if it is remembered, and as used now."""
        key = (raw_path, signature, accepted)
        if (known := self._urls.get(key)) is not None:
            self._urls.move_to_end(key)
        return known

    def __len__(self) -> int:
        return len(self._urls)


def weight(raw_path: bytes, signature: bytes) -> int:
    """
    Bytes that a URL of this path takes at most, its last response included; a test measures it.

    The key alone is in it up to ten times: as part of names and of headers, where a byte becomes three.
    """
    return WEIGHT + BYTES_PER_CHARACTER * len(raw_path) + len(signature)


WEIGHT = 6_000
BYTES_PER_CHARACTER = 14
