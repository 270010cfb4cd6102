"""
What twice as much of a stranger's text costs: twice as much, never four times.

Every regular expression below proxy/ that sees text from outside is found in the code, and attacked with
texts that are made from its own parts; every parser is, with texts made from what its grammar is made of.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import itertools
import re
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from ipaddress import ip_network
from typing import Any, NamedTuple

import pytest

from proxy.clients.store_errors import read_store_failure
from proxy.fairness.client_address import ClientAddresses
from proxy.model.dates import parse_http_date
from proxy.model.errors import InvalidRequest, ProxyError
from proxy.model.keys import check_key, clean_key
from proxy.model.limits import Limits
from proxy.model.media import Format, InputOnly, Rendition
from proxy.model.negotiation import bucket
from proxy.model.outcome import HIT
from proxy.options.spec import OPTIONS
from proxy.options.suggestions import did_you_mean, suggest_option
from proxy.origins.cache_control import cache_policy
from proxy.pipeline.decode import icc
from proxy.pipeline.decode.av1_sequence import read_sequence_colour
from proxy.pipeline.decode.colour_signal import read_colour_signal
from proxy.pipeline.decode.containers import declared_size
from proxy.pipeline.decode.png_colour import read_png_colour
from proxy.pipeline.decode.sniff import sniff
from proxy.pipeline.decode.svg import judge_svg
from proxy.pipeline.describe.facts import exif_value
from proxy.requests.read import may_vary
from proxy.telemetry.logs import escape, mask_and_escape
from proxy.url.grammar import parse_options, split_effect, split_items
from proxy.url.path import percent_decode, signature_parameter, split_path
from proxy.url.signing import Secret, normalise_path, verify
from proxy.web.admin_access import AdminTerms, admin_access
from proxy.web.conditional import conditional_response
from proxy.web.headers import content_disposition
from proxy.web.loggable import loggable_path
from proxy.web.problems import problem_from
from proxy.web.purge import VALID_TAG
from proxy.web.request_headers import combined, is_loop, scan_headers
from proxy.web.responses import HttpResponse
from tests.paths import ROOT

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from sre_constants import (
        ANY,
        ASSERT,
        ASSERT_NOT,
        AT,
        ATOMIC_GROUP,
        BRANCH,
        CATEGORY,
        IN,
        LITERAL,
        MAX_REPEAT,
        MIN_REPEAT,
        NEGATE,
        NOT_LITERAL,
        POSSESSIVE_REPEAT,
        RANGE,
        SUBPATTERN,
    )  # fmt: skip
    from sre_parse import parse as parse_regex

LENGTH = 8_192
MAX_RATIO = 2.5
NEGLIGIBLE = 0.002  # s of CPU for 16 kB: what is quadratic takes a hundred times as long
ENDLESS = 1.0  # s of CPU for 16 kB
TEXTS_FROM_OPERATORS = ("cli", "config", "samples", "app")
"""Rooms that read settings and files of the deployment alone."""


def seconds(work: Callable[[], object], times: int) -> float:
    def once() -> float:
        started = time.process_time()
        with contextlib.suppress(ProxyError, ValueError):
            work()
        return time.process_time() - started

    # What the collector takes depends on all that other tests have left, and not on this work.
    gc.disable()
    try:
        return min(once() for _ in range(times))
    finally:
        gc.enable()


def is_linear(work: Callable[[int], Callable[[], object]], length: int = LENGTH) -> bool:
    """Whether twice as much costs at most `MAX_RATIO` as much; `work` prepares it for a length."""
    few = seconds(work(length // 8), 3)
    if few > ENDLESS / 64:
        return False  # before the whole of it is tried
    once, twice = work(length), work(2 * length)
    if (first := seconds(twice, 1)) < NEGLIGIBLE:
        return True
    return first < ENDLESS and any(
        (long := seconds(twice, times)) < NEGLIGIBLE or long < MAX_RATIO * seconds(once, times)
        for times in (2, 3, 5)
    )


# Regular expressions


class Pattern(NamedTuple):
    """One regular expression, as `re.method(text, ...)` has it in the code."""

    where: str
    method: str
    text: str | bytes
    flags: int


METHODS = ("compile", "match", "fullmatch", "search", "sub", "findall", "finditer", "split")


def patterns_in_the_code() -> Iterator[Pattern]:
    for path in sorted((ROOT / "proxy").rglob("*.py")):
        room = path.relative_to(ROOT / "proxy").parts[0]
        if room in TEXTS_FROM_OPERATORS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value
                if isinstance(owner, ast.Name) and owner.id == "re" and node.func.attr in METHODS:
                    yield from _pattern(f"{path.relative_to(ROOT)}:{node.lineno}", node)


def _pattern(where: str, node: ast.Call) -> Iterator[Pattern]:
    assert isinstance(node.func, ast.Attribute)
    first, *others = node.args
    named = [
        getattr(re, each.attr)
        for value in (*others, *(keyword.value for keyword in node.keywords if keyword.arg == "flags"))
        for each in ast.walk(value)
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and each.value.id == "re"
    ]
    flags = 0
    for each in named:
        flags |= int(each)
    if isinstance(first, ast.Constant) and isinstance(first.value, (str, bytes)):
        yield Pattern(where, node.func.attr, first.value, flags)


PATTERNS = list(patterns_in_the_code())


def sample(nodes: Any) -> str:
    """A text that these nodes of a parsed regular expression match, as short as it is simple."""
    return "".join(_samples(nodes))


def _samples(nodes: Any) -> Iterator[str]:
    for kind, value in nodes:
        if kind is LITERAL:
            yield chr(value)
        elif kind is NOT_LITERAL or kind is ANY:
            yield "a"
        elif kind is IN:
            yield _member(value)
        elif kind in (MAX_REPEAT, MIN_REPEAT, POSSESSIVE_REPEAT):
            yield sample(value[2]) * max(1, value[0])
        elif kind is SUBPATTERN:
            yield sample(value[3])
        elif kind is BRANCH:
            yield sample(value[1][0])
        elif kind is ATOMIC_GROUP:
            yield sample(value)
        else:
            assert kind in (AT, ASSERT, ASSERT_NOT), kind


def _member(items: Any) -> str:
    negated = items[0][0] is NEGATE
    found = ["a", "0", " ", "_"] if negated else []
    for kind, value in items:
        if kind is LITERAL:
            found = [each for each in found if each != chr(value)] if negated else [*found, chr(value)]
        elif kind is RANGE:
            inside = range(value[0], value[1] + 1)
            found = (
                [each for each in found if ord(each) not in inside] if negated else [*found, chr(value[0])]
            )
        elif kind is CATEGORY and not negated:
            name = str(value).lower()
            found.append("1" if "digit" in name else " " if "space" in name else "a")
    return found[0] if found else "~"


def parts(nodes: Any) -> Iterator[tuple[str, str]]:
    """Each repetition: what it repeats, and what leads to it."""
    before = ""
    for kind, value in nodes:
        inner = {
            SUBPATTERN: lambda value: [value[3]],
            BRANCH: lambda value: value[1],
            ATOMIC_GROUP: lambda value: [value],
            MAX_REPEAT: lambda value: [value[2]],
            MIN_REPEAT: lambda value: [value[2]],
            POSSESSIVE_REPEAT: lambda value: [value[2]],
            ASSERT: lambda value: [value[1]],
            ASSERT_NOT: lambda value: [value[1]],
        }.get(kind)
        for below in inner(value) if inner else ():  # type: ignore[no-untyped-call]
            for start, body in parts(below):
                yield before + start, body
            yield before, sample(below)
        before += sample([(kind, value)])
    yield "", before


def attacks(pattern: Pattern) -> Iterator[Callable[[int], str]]:
    text = pattern.text if isinstance(pattern.text, str) else pattern.text.decode("latin-1")
    repeated = {(start, body) for start, body in parts(parse_regex(text, pattern.flags & ~re.ASCII)) if body}
    units = {(start, unit) for start, body in repeated for unit in (body, start + body)}
    units |= {
        (start, body) for (start, _), (_, body) in itertools.product(repeated, repeated) if len(body) < 3
    }
    for (start, unit), end in itertools.product(sorted(units), ("", "\x01", "\n", '"')):
        yield lambda length, start=start, unit=unit, end=end: start + unit * (length // len(unit)) + end  # type: ignore[misc]


@pytest.mark.parametrize("pattern", PATTERNS, ids=[each.where for each in PATTERNS])
def test_a_regular_expression_takes_linear_time(pattern: Pattern) -> None:
    compiled = re.compile(pattern.text, pattern.flags)
    methods = {"compile": ["match", "search", "fullmatch"], "sub": ["findall"], "split": ["findall"]}

    for attack, method in itertools.product(attacks(pattern), methods.get(pattern.method, [pattern.method])):
        if pattern.method == "compile" and method == "search" and not is_searched(pattern):
            continue

        def work(length: int, attack: Any = attack, method: str = method) -> Callable[[], object]:
            text = attack(length)
            given = text.encode("latin-1", "replace") if isinstance(pattern.text, bytes) else text
            call = getattr(compiled, method)
            return lambda: deque(call(given), maxlen=0) if method == "finditer" else call(given)

        assert is_linear(work), (pattern, method, attack(40))


def is_searched(pattern: Pattern) -> bool:
    """Whether a compiled pattern is looked for anywhere in a text, and not at one place."""
    path, _, line = pattern.where.rpartition(":")
    code = (ROOT / path).read_text()
    found = re.match(r"\s*([\w.]+)", code.splitlines()[int(line) - 1])
    name = found[1] if found else ""
    return re.search(rf"{re.escape(name)}\.(?:search|sub|split|findall|finditer)\(", code) is not None


def test_the_patterns_are_found() -> None:
    assert len(PATTERNS) > 40


@pytest.mark.parametrize(
    "text, method, is_bad",
    [
        (r"[0-9]*\.?[0-9]+x", "match", True),
        (r"(https?(?::|%3a)(?:/|%2f)+.*?)%3f.*", "search", True),
        (r"(.*) \(.*, \w+, \d+ components?\)", "match", True),
        (r'\s*(\w+)(?:=([^",]*))?\s*(?:,|$)', "match", True),
        (r"\s*+(\w++)(?:=([^\",]*+))?\s*+(?:,|$)", "match", False),
        (r"[a-z]+-[0-9]+", "match", False),
    ],
)
def test_the_attack_finds_what_is_quadratic(text: str, method: str, is_bad: bool) -> None:
    call = getattr(re.compile(text), method)

    def searched(attack: Callable[[int], str]) -> Callable[[int], Callable[[], object]]:
        return lambda length: partial(call, attack(length))

    found = [is_linear(searched(attack), 2048) for attack in attacks(Pattern("", method, text, 0))]
    assert all(found) is not is_bad


# Parsers

RENDITION = Rendition(body=b"x" * 100, format=Format.JPEG, width=1, height=1, etag="tag", last_modified=1.0)
RESPONSE = HttpResponse(200, [], RENDITION.body, HIT)
SECRETS = (Secret(value=b"x" * 32),)


def texts(fragments: Sequence[str]) -> Iterator[Callable[[int], str]]:
    """Texts of any length, made of every two of the fragments."""
    for one, other in itertools.product(fragments, fragments):
        yield lambda length, one=one, other=other: one + other * (length // len(other))  # type: ignore[misc]
        if one != other:
            yield lambda length, both=one + other: both * (length // len(both))  # type: ignore[misc]


def conditional(name: bytes) -> Callable[[str], object]:
    def work(text: str) -> object:
        headers = {b"range": b"bytes=0-9"} if name == b"if-range" else {}
        return conditional_response(headers | {name: text.encode("latin-1")}, RENDITION, RESPONSE)

    return work


def forwarded(name: str) -> Callable[[str], object]:
    return latin(lambda raw: TRUSTING.client_of("10.0.0.1", [(name.encode(), raw)]))


def svg(template: str) -> Callable[[str], object]:
    return lambda text: judge_svg((template % text).encode(), Limits())


def latin(work: Callable[[bytes], object]) -> Callable[[str], object]:
    return lambda text: work(text.encode("latin-1"))


TRUSTING = ClientAddresses([ip_network("10.0.0.0/8")])


def heif_table(head: bytes) -> Callable[[bytes], object]:
    """The text as the content of one table, or of several."""

    def work(raw: bytes) -> object:
        body = head.replace(b"PITM", b"\0\0\0\x0epitm\0\0\0\0\0\1") + raw
        return read_colour_signal(body, Format.AVIF, "srgb", None)

    return work


PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
META = b"\0\0\0\0meta\0\0\0\0PITM\0\0\0\0"
HEIF_TABLES = {
    "boxes": b"",
    "meta": META[:-4],
    "iref": META + b"iref\0\0\0\0",
    "ipco": META + b"iprp\0\0\0\0ipco",
    "ipma": META + b"iprp\0\0\0\x08ipco\0\0\0\0ipma\0\0\0\0\xff\xff\xff\xff",
    "iloc": META + b"iloc\0\0\0\0\x44\0\xff\xff",
}
"""What leads to each table that `heif_items` reads; those of size 0 go on to the end."""

HEADER = ('"', "\\", ",", " ", "\t", "=", "a", "max-age=", 'W/"', "0", "-", ";", "q=")
PATH = (
    "/",
    "%2f",
    "http:",
    "https%3A",
    "@",
    "%3f",
    "%",
    "s=",
    "s--",
    "-",
    "a",
    ":",
    "%73",
    "\\",
    "=",
    "?",
    "&",
)
OPTION = ("_", ":", "=", "e_", "(", ")", ",", "&", "%", "0", "a", "#", "-", ".", "x", "rgb(", " ", "%28")
MARKUP = ("<", ">", "<!--", "-->", "<!DOCTYPE", "[", "]", "<?", "?>", "&", " ", "a", "svg", '"')
NUMBER = ("1", ".", "e", "-", " ", ",", "x", "px")
EXIF = (" (", ", ", "1 components", "a", ")", " ", "bytes")


def asks_for_admin_page(name: str) -> Callable[[str], object]:
    """What `admin_access` makes of one header, beside others that are fine."""
    fine = {b"host": b"localhost", b"content-type": b"application/json"}
    terms = AdminTerms(token="x" * 32 if name == "authorization" else None, development=True)

    def read(value: str) -> object:
        headers = [*(fine | {name.encode(): value.encode("latin-1", "replace")}).items()]
        return admin_access(
            terms, {"type": "http", "http_version": "1.1", "method": "POST", "headers": headers}
        )

    return read


PARSERS: list[tuple[str, Callable[[str], object], Sequence[str]]] = [
    ("loggable_path", latin(loggable_path), PATH),
    ("split_path", latin(lambda raw: split_path(b"/_/" + raw)), PATH),
    ("signature_parameter", latin(signature_parameter), ("s=", "&", "&s=", "=", "a")),
    ("normalise_path", latin(normalise_path), ("%", "%41", "%4", "a", "/")),
    ("verify", latin(lambda raw: verify(SECRETS, raw, raw or None)), ("%", "%41", "a", "/")),
    ("may_vary", latin(may_vary), ("/", ",", "f_auto", "format=", "a", "&")),
    ("percent_decode", percent_decode, ("%", "%41", "%C3", "a")),
    ("check_key", check_key, PATH),
    ("clean_key", clean_key, PATH),
    ("content_disposition", lambda text: content_disposition(None, text, "jpg", download=True), PATH),
    ("parse_options", parse_options, OPTION),
    ("split_items", split_items, OPTION),
    ("split_effect", split_effect, OPTION),
    ("suggest_option", lambda text: suggest_option(text, text, list(OPTIONS)), OPTION),
    ("did_you_mean", lambda text: did_you_mean(text, list(OPTIONS)), OPTION),
    ("bucket", bucket, (*HEADER, "image/avif")),
    ("is_loop", latin(is_loop), HEADER),
    *((name, asks_for_admin_page(name), (*HEADER, "localhost", ".", "[", ":", "http://", "1"))
      for name in ("host", "origin", "sec-fetch-site", "content-type", "authorization", "x-forwarded-for")),
    *((name, forwarded(name), (*HEADER, "for=", '"', "1.2.3.4", "::", "[", "]"))
      for name in ("forwarded", "x-forwarded-for")),
    ("parse_http_date", parse_http_date, (*HEADER, "Mon", "GMT", ":", "+", "1")),
    *((name.decode(), conditional(name), (*HEADER, "bytes="))
      for name in (b"if-none-match", b"if-modified-since", b"range", b"if-range")),
    ("cache_control", lambda text: cache_policy({"cache-control": text}, 0.0), HEADER),
    ("expires", lambda text: cache_policy({"expires": text, "date": text, "vary": text}, 0.0), HEADER),
    ("escape", escape, ("\x1b", "a", "\u202e")),
    ("mask_and_escape", lambda text: mask_and_escape(None, "", {"a": [text]}), ("\x1b", "a")),
    ("store_failure", lambda text: read_store_failure(OSError(text)), ("status code: ", "<Code>", "4", "a")),
    ("problem", lambda text: problem_from(InvalidRequest(text, value=text)), ('"', "a", "\x00")),
    ("valid_tag", VALID_TAG.fullmatch, ("a", ",", "*", "-")),
    ("exif_value", exif_value, EXIF),
    ("sniff", latin(sniff), MARKUP),
    ("svg", latin(lambda raw: judge_svg(raw, Limits())), MARKUP),
    ("svg width", svg('<svg width="%s" height="1"/>'), NUMBER),
    ("svg viewBox", svg('<svg viewBox="0 0 %s"/>'), NUMBER),
    ("svg elements", svg("<svg>%s"), ("<g>", "<g/>", "<a b='c'/>", "a", "<image href='data:,a'/>")),
    ("svg picture", svg('<svg><image href="data:;base64,%s"/></svg>'), ("A", "=", "%41", "%", " ", ",")),
    *((f"size of {format}", latin(lambda raw, format=format: declared_size(raw, format)), (  # type: ignore[misc]
        "\0", "\xff", "\xff\xc4\0\2", "\0\0\0\x08meta", "\0\0\0\1meta", "\0\0\0\0iprp", "II*\0"))
      for format in (*Format, *InputOnly)),
    ("png colour", latin(lambda raw: read_png_colour(PNG_SIGNATURE + raw, has_profile=False)), (
        "\0", "\xff", "\0\0\0\0teXt\0\0\0\0", "\0\0\0\4gAMA\0\1\x86\xa0", "\0\0\0\1")),
    *((f"heif {name}", latin(heif_table(head)), (
        "\0", "\xff", "\1", "\0\0\0\x08auxl", "\0\0\0\x0eauxl\0\1\0\1\0\1", "\0\1\1\1", "\0\0\0\x08colr"))
      for name, head in HEIF_TABLES.items()),
    ("av1", latin(read_sequence_colour), ("\0", "\xff", "\x12\0", "\x0a", "\x08", "\x80")),
    ("icc", latin(lambda raw: (icc.is_srgb(raw), icc.profile_description(raw), icc.code_points(raw))), (
        "\0", "\xff", "desc")),
]  # fmt: skip


@pytest.mark.parametrize(
    "parser, fragments", [each[1:] for each in PARSERS], ids=[each[0] for each in PARSERS]
)
def test_a_parser_takes_linear_time(parser: Callable[[str], object], fragments: Sequence[str]) -> None:
    for text in texts(fragments):

        def work(length: int, text: Callable[[int], str] = text) -> Callable[[], object]:
            given = text(length)
            return lambda: parser(given)

        assert is_linear(work), text(40)


@pytest.mark.parametrize("option", OPTIONS.values(), ids=list(OPTIONS))
def test_the_value_of_an_option_takes_linear_time(option: Any) -> None:
    test_a_parser_takes_linear_time(
        option.kind.parse, ("_", ":", "0", "a", " ", "-", ".", "rgb(", "1px_solid_")
    )


def same_name(number: int) -> tuple[bytes, bytes]:
    return b"a", b""


def two_names(number: int) -> tuple[bytes, bytes]:
    return b"ab"[number % 2 : number % 2 + 1], b""


def other_names(number: int) -> tuple[bytes, bytes]:
    return b"%d" % (number // 2), b""


@pytest.mark.parametrize("header", [same_name, two_names, other_names])
@pytest.mark.parametrize("work", [combined, scan_headers, partial(TRUSTING.client_of, "10.0.0.1")])
def test_headers_take_linear_time(
    header: Callable[[int], tuple[bytes, bytes]], work: Callable[[Iterable[tuple[bytes, bytes]]], object]
) -> None:
    def prepared(count: int) -> Callable[[], object]:
        headers = [header(number) for number in range(count)]
        return lambda: work(headers)

    assert is_linear(prepared)
