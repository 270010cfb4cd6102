"""`POST /-/purge`: read from JSON what caches are to forget, and purge it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import structlog
from starlette.requests import Request
from starlette.responses import Response

from proxy.purges.marks import PREFIX_TAG, key_tag, preset_tag
from proxy.web.pages import Page, PageResponse, json_page
from proxy.web.problems import problem

log = structlog.get_logger()

MAX_NAMES = 10_000
"""In one request."""

MAX_PURGE_BYTES = 4_000_000
"""Of one request: as many names as are allowed, and long ones."""

VALID_TAG = re.compile(r"[A-Za-z0-9._~-]{1,256}|[*]")

TAG_OF_NAME: Mapping[str, Callable[[str], str]] = {
    "keys": key_tag,
    "tags": str,
    "presets": preset_tag,
    "prefixes": lambda prefix: PREFIX_TAG + prefix,
}
"""By field of a request, the tag that each of its names stands for."""


class Purger(Protocol):
    async def purge(self, tags: Iterable[str], *, soft: bool) -> Sequence[str]:
        """Forget all that has one of `tags`, or make it stale; return what went wrong, in sentences."""


class InvalidPurge(Exception):
    """The body of a purge is wrong; `field` is where."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def purge_page(purger: Purger, preset_names: Callable[[], Collection[str] | None] = lambda: None) -> Page:
    """
    Make the page that purges what its request names; 503 where not all caches could be told. Presets that are
    not among `preset_names` are purged, too, since they may have been there, and its answer tells of them.
    """

    async def page(request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MAX_PURGE_BYTES:
                return PageResponse(problem(413, "too_large", f"a purge has at most {MAX_PURGE_BYTES} bytes"))
        try:
            names, soft = read_purge(bytes(body))
        except InvalidPurge as refusal:
            return PageResponse(problem(400, "invalid_purge", str(refusal), option=refusal.field))
        tags = dict.fromkeys(TAG_OF_NAME[field](name) for field, given in names.items() for name in given)
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
        known = preset_names()
        unknown = [] if known is None else [name for name in names["presets"] if name not in known]
        return json_page({**counts, "soft": soft, **({"unknown_presets": unknown} if unknown else {})})

    return page


def read_purge(body: bytes) -> tuple[dict[str, list[str]], bool]:
    """
    Read the body of a purge: the names under each field of `TAG_OF_NAME`, without repetitions, and whether
    the purge is soft. Raises InvalidPurge.
    """
    try:
        asked: Any = json.loads(body)
    except (ValueError, RecursionError):  # the latter from ten thousand brackets
        raise InvalidPurge("body", 'a purge is JSON, such as {"keys": ["cats/tom.jpg"]}') from None
    if not isinstance(asked, dict):
        raise InvalidPurge("body", "a purge is a JSON object")
    for field in asked:
        if field not in (*TAG_OF_NAME, "soft"):
            raise InvalidPurge(field, f"a purge has {', '.join(TAG_OF_NAME)} and soft, not {field[:64]!r}")
    soft = asked.get("soft", False)
    if not isinstance(soft, bool):
        raise InvalidPurge("soft", "'soft' is true or false")
    names = {field: _names(field, asked.get(field, [])) for field in TAG_OF_NAME}
    count = sum(map(len, names.values()))
    if not count:
        raise InvalidPurge("body", f"name something to purge, in {', '.join(TAG_OF_NAME)}")
    if count > MAX_NAMES:
        raise InvalidPurge("body", f"a purge has at most {MAX_NAMES} names, not {count}")
    return names, soft


def _names(field: str, given: Any) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise InvalidPurge(field, f"'{field}' is a list of texts")
    for name in given:
        if not name:
            raise InvalidPurge(field, f"'{field}' has an empty text; the tag '*' is for all there is")
        if field == "tags" and not VALID_TAG.fullmatch(name):
            raise InvalidPurge(field, f"'tags' has {name[:64]!r}: tags are as Cache-Tag shows them")
    return list(dict.fromkeys(given))
