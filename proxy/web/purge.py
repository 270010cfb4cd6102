"""`POST /-/purge`: what is to be forgotten, read from JSON and told to whoever keeps it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import structlog
from starlette.requests import Request
from starlette.responses import Response

from proxy.purges.marks import PREFIX_TAG, key_tag, preset_tag
from proxy.web.pages import Page, PageResponse, json_page
from proxy.web.problems import problem

log = structlog.get_logger()

MOST = 10_000
"""Names in one request."""

LARGEST = 4_000_000
"""Bytes of one request: as many names as are allowed, and long ones."""

_TAG = re.compile(r"[A-Za-z0-9._~-]{1,256}|[*]")

TAGS: Mapping[str, Callable[[str], str]] = {
    "keys": key_tag,
    "tags": str,
    "presets": preset_tag,
    "prefixes": lambda prefix: PREFIX_TAG + prefix,
}
"""The lists of a request, and the tag that each of their names stands for."""


class Purger(Protocol):
    async def purge(self, tags: Iterable[str], *, soft: bool) -> Sequence[str]: ...


class Refused(Exception):
    """What is wrong with which field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def purge(purger: Purger) -> Page:
    async def page(request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > LARGEST:
                return PageResponse(problem(413, "too_large", f"a purge has at most {LARGEST} bytes"))
        try:
            names, soft = read(bytes(body))
        except Refused as refusal:
            return PageResponse(problem(400, "invalid_purge", str(refusal), option=refusal.field))
        tags = dict.fromkeys(TAGS[field](name) for field, given in names.items() for name in given)
        counts: dict[str, Any] = {field: len(given) for field, given in names.items()}
        wrong = await purger.purge(tags, soft=soft)
        log.info("purged", **counts, soft=soft, everywhere=not wrong)
        if wrong:
            return PageResponse(
                problem(
                    503, "purge_incomplete", f"forgotten here; {'; '.join(wrong)}",
                    headers=[(b"retry-after", b"5")], **counts,
                )
            )  # fmt: skip
        return json_page({**counts, "soft": soft})

    return page


def read(body: bytes) -> tuple[dict[str, list[str]], bool]:
    """The names under each of `TAGS`, without repetitions, and whether the purge is soft. Raises Refused."""
    try:
        asked: Any = json.loads(body)
    except (ValueError, RecursionError):  # the latter from ten thousand brackets
        raise Refused("body", 'a purge is JSON, such as {"keys": ["cats/tom.jpg"]}') from None
    if not isinstance(asked, dict):
        raise Refused("body", "a purge is a JSON object")
    for field in asked:
        if field not in (*TAGS, "soft"):
            raise Refused(field, f"a purge has {', '.join(TAGS)} and soft, not {field[:64]!r}")
    soft = asked.get("soft", False)
    if not isinstance(soft, bool):
        raise Refused("soft", "'soft' is true or false")
    names = {field: _names(field, asked.get(field, [])) for field in TAGS}
    count = sum(map(len, names.values()))
    if not count:
        raise Refused("body", f"name something to purge, in {', '.join(TAGS)}")
    if count > MOST:
        raise Refused("body", f"a purge has at most {MOST} names, not {count}")
    return names, soft


def _names(field: str, given: Any) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise Refused(field, f"'{field}' is a list of texts")
    for name in given:
        if not name:
            raise Refused(field, f"'{field}' has an empty text; the tag '*' is for all there is")
        if field == "tags" and not _TAG.fullmatch(name):
            raise Refused(field, f"'tags' has {name[:64]!r}: tags are as Cache-Tag shows them")
    return list(dict.fromkeys(given))
