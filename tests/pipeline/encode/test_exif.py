"""EXIF blocks byte for byte, in both byte orders, as another program reads them, and hostile ones."""

from __future__ import annotations

import struct
from io import BytesIO
from time import process_time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from proxy.model.limits import Limits
from proxy.model.media import Format, Note
from proxy.model.negotiation import Bucket
from proxy.options.spec import Keep, OutputFormat, Spec
from proxy.pipeline.decode.loaders import open_image
from proxy.pipeline.describe.facts import describe
from proxy.pipeline.encode.exif import MAX_TAGS, Exif, Tag, build_exif, keep_tags, parse_exif
from proxy.pipeline.encode.metadata import CAMERA_FIELDS, RIGHTS_FIELDS
from proxy.pipeline.render import render
from tests.pictures import photo, saved

WRITTEN = [OutputFormat.JPEG, OutputFormat.PNG, OutputFormat.WEBP, OutputFormat.AVIF]
ORDERS = ["<", ">"]
PUBLIC = sorted({*RIGHTS_FIELDS.values(), *CAMERA_FIELDS.values()})
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 9: 4, 10: 8}
JPEG = saved(photo(48, 32), Format.JPEG, keep="none")


def with_exif(block: bytes) -> bytes:
    block = b"Exif\0\0" + block
    return JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + JPEG[2:]


def block_of(order: str, **directories: dict[int, Tag]) -> bytes:
    return build_exif(Exif(order=order, directories=directories))


def text(value: bytes) -> Tag:
    return Tag(2, len(value) + 1, value + b"\0")


def read_raw(body: bytes) -> dict[str, dict[int, tuple[int, bytes]]]:
    """The types and bytes of all tags as Pillow finds them."""
    image = Image.open(BytesIO(body))
    block = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
    if not block:
        return {}
    file = BytesIO(block)

    def directory(at: int) -> Any:
        found = TiffImagePlugin.ImageFileDirectory_v2(block[:8])
        file.seek(at)
        found.load(file)
        return found

    main = directory(struct.unpack((">" if block[:2] == b"MM" else "<") + "I", block[4:8])[0])
    found = {"main": main}
    for name, parent, tag in (
        ("camera", "main", 0x8769),
        ("gps", "main", 0x8825),
        ("interop", "camera", 0xA005),
    ):
        if parent in found and tag in found[parent]._tagdata:
            found[name] = directory(found[parent][tag])
    pointers = {0x8769, 0x8825, 0xA005}
    return {
        name: {
            number: (each.tagtype[number], data)
            for number, data in each._tagdata.items()
            if number not in pointers
        }
        for name, each in found.items()
    }


TEXTS = [
    b"(c) 2026 Ada", b"Ada (studio)", b"Ada (studio, ASCII, 3 components, 3 bytes)", b"(", b")", b" (",
    b"a (b", b"((", b" lead and trail ", b"", b"\xc3\xa9t\xc3\xa9", b"Andr\xe9", b"photographer\0editor",
    b"a" * 4000, b"1/2", b"0x10", b"line\nbreak\ttab", b"%s%n", b"a, ASCII, 1 components, 1 bytes)",
]  # fmt: skip


@pytest.mark.parametrize("value", TEXTS)
@pytest.mark.parametrize("wanted", WRITTEN)
@pytest.mark.parametrize("order", ORDERS)
def test_a_text_comes_out_byte_for_byte(order: str, wanted: OutputFormat, value: bytes) -> None:
    tags = {0x013B: text(value), 0x8298: text(b"(c) " + value)}
    source = with_exif(block_of(order, main=tags))
    for keep in (Keep.COPYRIGHT, Keep.EXIF, Keep.ALL):
        found = read_raw(render(source, Spec(format=wanted, keep=keep), Limits()).body)
        assert found["main"][0x013B] == (2, value + b"\0")
        assert found["main"][0x8298] == (2, b"(c) " + value + b"\0")


def tags(numbers: list[int]) -> st.SearchStrategy[dict[int, Tag]]:
    def tag(type: int) -> st.SearchStrategy[Tag]:
        size = SIZES[type]
        return st.binary(min_size=size, max_size=12 * size).map(
            lambda value: Tag(type, len(value) // size, value[: len(value) // size * size])
        )

    return st.dictionaries(
        st.sampled_from(numbers), st.sampled_from(sorted(SIZES)).flatmap(tag), min_size=1, max_size=12
    )


@settings(max_examples=60, deadline=None)
@given(
    order=st.sampled_from(ORDERS),
    main=tags([0x010F, 0x0110, 0x013B, 0x8298, 0x0131]),
    camera=tags([number for number in PUBLIC if number > 0x8298] + [0xA431, 0x927C, 0x9286, 0xFDE8]),
    gps=tags(list(range(1, 31))),
    interop=tags([1, 2, 0x1001]),
    wanted=st.sampled_from(WRITTEN[:3]),
)
def test_any_tags_come_out_byte_for_byte(
    order: str,
    main: dict[int, Tag],
    camera: dict[int, Tag],
    gps: dict[int, Tag],
    interop: dict[int, Tag],
    wanted: OutputFormat,
) -> None:
    given = {"main": main, "camera": camera, "gps": gps, "interop": interop}
    source = with_exif(block_of(order, **given))
    expected = {
        name: {number: (tag.type, tag.value) for number, tag in each.items()} for name, each in given.items()
    }
    made = read_raw(render(source, Spec(width=16, format=wanted, keep=Keep.ALL), Limits()).body)
    assert made["main"].pop(0x0112)[1] == struct.pack(order + "H", 1)
    assert made == expected
    some = read_raw(render(source, Spec(width=16, format=wanted, keep=Keep.EXIF), Limits()).body)
    public = {
        name: {number: each for number, each in expected[name].items() if number in PUBLIC}
        for name in ("main", "camera")
    }
    assert {name: each for name, each in some.items() if each} == {
        n: each for n, each in public.items() if each
    }


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_no_bytes_break_the_reader(noise: bytes) -> None:
    for header in (b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"):
        exif = parse_exif(header + noise)
        if exif is not None:
            for allowed in (None, frozenset(PUBLIC)):
                kept = keep_tags(exif, allowed, 3, 2)
                again = parse_exif(build_exif(kept))
                assert again is None or not again.partial
                if again is not None:
                    pointers = {0x8769, 0x8825, 0xA005}
                    assert {
                        name: {number: tag for number, tag in each.items() if number not in pointers}
                        for name, each in again.directories.items()
                        if name in kept.directories
                    } == kept.directories


@pytest.mark.parametrize("order", ORDERS)
def test_sizes_and_orientation_are_those_of_the_picture_now(order: str) -> None:
    def number(value: int) -> Tag:
        return Tag(4, 1, struct.pack(order + "I", value))

    source = with_exif(
        block_of(
            order,
            main={0x0112: Tag(3, 1, struct.pack(order + "H", 6)), 0x0100: number(9), 0x0101: number(9)},
            camera={0xA002: number(9), 0xA003: number(9), 0x0112: Tag(3, 1, struct.pack(order + "H", 6))},
        )
    )
    found = read_raw(render(source, Spec(width=16, keep=Keep.ALL), Limits()).body)
    assert found == {
        "main": {
            0x0112: (3, struct.pack(order + "H", 1)),
            0x0100: (4, struct.pack(order + "I", 16)),
            0x0101: (4, struct.pack(order + "I", 24)),
        },
        "camera": {0xA002: (4, struct.pack(order + "I", 16)), 0xA003: (4, struct.pack(order + "I", 24))},
    }


def hostile(order: str, count: int) -> dict[str, bytes]:
    """Blocks of about 12 bytes for each of `count`."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    head = magic + struct.pack(order + "I", 8)
    limit = min(count, 65_535)

    def directory(rows: list[tuple[int, int, int, int]]) -> bytes:
        packed = b"".join(struct.pack(order + "HHII", *row) for row in rows)
        return head + struct.pack(order + "H", len(rows)) + packed + bytes(4)

    return {
        "itself as its camera": directory(
            [(0x8769, 4, 1, 8), (0xA005, 4, 1, 8), (0x8825, 4, 1, 8)] * (limit // 3)
        ),
        "shared bytes": directory([(at, 1, 12 * limit, 8) for at in range(limit)]),
        "one tag often": directory([(0x013B, 2, 12 * limit, 8)] * limit),
        "counts without end": directory([(at, 5, 0xFFFFFFFF, 0xFFFFFFFF) for at in range(limit)]),
        "types without a size": directory([(at, 99, 1, 8) for at in range(limit)]),
        "many small": directory([(at, 3, 1, 8) for at in range(limit)]),
        "no directory": head + b"\xff" * (12 * limit),
        "next is the first": directory([(0x013B, 2, 4, 0)] * limit)[:-4] + struct.pack(order + "I", 8),
    }


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", hostile("<", 3))
def test_hostile_blocks_take_linear_time_and_do_not_grow(order: str, name: str) -> None:
    def seconds(count: int) -> float:
        block = hostile(order, count)[name]
        best = 1.0
        for _ in range(5):
            start = process_time()
            exif = parse_exif(block)
            assert exif is not None
            built = build_exif(keep_tags(exif, None, 1, 1))
            best = min(best, process_time() - start)
        assert len(built) <= 4 * len(block) + 12 * MAX_TAGS
        return best

    once, twice = seconds(20_000), seconds(40_000)
    assert twice < max(2.5 * once, 0.02)


def test_a_hostile_block_spoils_no_picture() -> None:
    for order in ORDERS:
        for block in hostile(order, 4000).values():
            for wanted in WRITTEN[:3]:
                made = render(with_exif(block), Spec(width=8, format=wanted, keep=Keep.ALL), Limits())
                assert Image.open(BytesIO(made.body)).size[0] == 8


def test_what_cannot_be_kept_is_told() -> None:
    cut = block_of("<", main={0x013B: text(b"a long name")})[:-8]
    made = render(with_exif(cut), Spec(width=8, keep=Keep.ALL), Limits())
    assert made.notes == (Note.METADATA_DROPPED,)
    whole = block_of("<", main={0x013B: text(b"a long name")})
    assert render(with_exif(whole), Spec(width=8, keep=Keep.ALL), Limits()).notes == ()


@pytest.mark.parametrize("size", [62_000, 64_000, 65_400])
@pytest.mark.parametrize("wanted", WRITTEN)
def test_of_too_much_the_longest_goes(wanted: OutputFormat, size: int) -> None:
    notes = Tag(7, size, b"n" * size)
    source = with_exif(block_of(">", main={0x013B: text(b"Ada")}, camera={0x927C: notes}))
    made = render(source, Spec(width=8, format=wanted, keep=Keep.ALL), Limits())
    found = read_raw(made.body)
    assert found["main"][0x013B] == (2, b"Ada\0")
    assert (0x927C in found.get("camera", {})) == (size < 63_000)
    assert made.notes == (() if size < 63_000 else (Note.METADATA_DROPPED,))


def test_no_bytes_between_the_values_leave() -> None:
    block = block_of("<", main={0x013B: text(b"Ada of the lake")})
    source = with_exif(block + b"<script>secret</script>" * 10)
    made = render(source, Spec(width=8, keep=Keep.ALL), Limits()).body
    assert b"secret" not in made
    assert b"Ada of the lake" in made


@pytest.mark.parametrize("value", [b"(c) 2026 Ada", b"Ada (studio)"])
def test_what_is_said_of_it_is_the_text(value: bytes) -> None:
    said = describe(with_exif(block_of(">", main={0x8298: text(value)})), Spec(), Limits(), Bucket())
    assert said["source"]["exif"] == {"Copyright": value.decode()}


def test_libvips_reads_it_too() -> None:
    source = with_exif(block_of(">", main={0x8298: text(b"(c) Ada"), 0x0112: Tag(3, 1, b"\0\6")}))
    for wanted in WRITTEN:
        body = render(source, Spec(format=wanted, keep=Keep.ALL), Limits()).body
        image = open_image(body, Format(wanted))
        assert image.get("exif-ifd0-Copyright").startswith("(c) Ada ")
        assert (image.width, image.height) == (32, 48)
        assert not image.get_typeof("orientation") or image.get("orientation") == 1
