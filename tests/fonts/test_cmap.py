"""What fonts say that they have: every format of the table, and files that are no fonts."""

from __future__ import annotations

import random
import struct
import subprocess
from pathlib import Path

import pytest

from proxy.fonts.cmap import FontFace, read_faces
from proxy.fonts.files import OWN_FONTS_FILE

SANS = OWN_FONTS_FILE.with_name("DejaVuSans.ttf")


def font(cmap: bytes, *others: bytes, version: bytes = b"\0\1\0\0", at: int = 0) -> bytes:
    """A font of a `cmap`, and of `others`, tables that are empty; `at` is where it lies in its file."""
    tags = [b"cmap", *others]
    start = at + 12 + 16 * len(tags)
    records = b"".join(struct.pack(">4sIII", tag, 0, start, len(cmap)) for tag in tags)
    return version + struct.pack(">HHHH", len(tags), 0, 0, 0) + records + cmap


def cmap(*parts: tuple[int, int, bytes]) -> bytes:
    """Subtables, each with its platform and encoding."""
    offset, records, content = 4 + 8 * len(parts), b"", b""
    for platform, encoding, part in parts:
        records += struct.pack(">HHI", platform, encoding, offset + len(content))
        content += part
    return struct.pack(">HH", 0, len(parts)) + records + content


def segments(*rows: tuple[int, int, int, int], glyphs: tuple[int, ...] = ()) -> bytes:
    """Format 4: of each segment its start, end, delta and range offset."""
    rows = (*rows, (0xFFFF, 0xFFFF, 1, 0))
    starts, ends, deltas, offsets = (struct.pack(f">{len(rows)}H", *each) for each in zip(*rows, strict=True))
    body = struct.pack(">HHHH", 2 * len(rows), 0, 0, 0) + ends + b"\0\0" + starts + deltas + offsets
    body += struct.pack(f">{len(glyphs)}H", *glyphs)
    return struct.pack(">HHH", 4, 6 + len(body), 0) + body


def groups(*rows: tuple[int, int, int], format: int = 12) -> bytes:
    packed = b"".join(struct.pack(">III", *row) for row in rows)
    return struct.pack(">HHIII", format, 0, 16 + len(packed), 0, len(rows)) + packed


def characters(folder: Path, content: bytes) -> list[set[int]]:
    file = folder / "font.ttf"
    file.write_bytes(content)
    return [_codes(face) for face in read_faces(file)]


def _codes(face: FontFace) -> set[int]:
    return {code for first, last in face.characters for code in range(first, last + 1)}


@pytest.mark.parametrize(
    "part, expected",
    [
        (segments((0x41, 0x43, 0, 0), (0x61, 0x62, 5, 0)), {0x41, 0x42, 0x43, 0x61, 0x62}),
        (segments((0x41, 0x45, -0x43 & 0xFFFF, 0)), {0x41, 0x42, 0x44, 0x45}),  # 0x43 is glyph 0
        (segments((0x41, 0x41, -0x41 & 0xFFFF, 0)), set()),
        (segments((0x41, 0x44, 0, 4), glyphs=(3, 0, 5, 6)), {0x41, 0x43, 0x44}),
        (segments((0x41, 0x42, -3 & 0xFFFF, 4), glyphs=(3, 4)), {0x42}),
        (struct.pack(">HHHHH3H", 6, 16, 0, 0x41, 3, 1, 0, 2), {0x41, 0x43}),
        (groups((0x41, 0x42, 1), (0x1F600, 0x1F600, 9)), {0x41, 0x42, 0x1F600}),
        (groups((0x41, 0x42, 0)), {0x42}),
        (groups((0x41, 0x10FFFF + 9, 1), (0x50, 0x40, 1)), set()),
        (groups((0x41, 0x44, 7), format=13), {0x41, 0x42, 0x43, 0x44}),
        (struct.pack(">HHH", 2, 6, 0), set()),
    ],
)
def test_each_format_is_read(tmp_path: Path, part: bytes, expected: set[int]) -> None:
    assert characters(tmp_path, font(cmap((3, 1, part)))) == [expected]


def test_the_table_of_all_planes_counts_where_there_are_two(tmp_path: Path) -> None:
    both = cmap(
        (1, 0, groups((0x30, 0x30, 1))), (3, 1, groups((0x41, 0x41, 1))), (3, 10, groups((0x42, 0x42, 1)))
    )
    assert characters(tmp_path, font(both)) == [{0x42}]
    assert characters(tmp_path, font(cmap((1, 0, groups((0x30, 0x30, 1)))))) == [set()]


def test_collections_have_several_and_colour_is_told(tmp_path: Path) -> None:
    start = struct.pack(">4sIIII", b"ttcf", 0, 2, 20, 200)
    first = font(cmap((3, 1, groups((0x41, 0x41, 1)))), at=20)
    second = font(cmap((3, 1, groups((0x42, 0x42, 1)))), b"CBDT", version=b"OTTO", at=200)
    file = tmp_path / "two.ttc"
    file.write_bytes(start + first.ljust(180, b"\0") + second)
    faces = list(read_faces(file))
    assert [_codes(face) for face in faces] == [{0x41}, {0x42}]
    assert [face.coloured for face in faces] == [False, True]


def test_names_of_families_are_told() -> None:
    (face,) = read_faces(SANS)
    assert face.families == {"DejaVu Sans"}
    assert not face.coloured


def test_damaged_fonts_and_other_files_have_no_letters_and_raise_nothing(tmp_path: Path) -> None:
    whole = SANS.read_bytes()
    dice = random.Random(1)
    for seed in range(60):
        broken = bytearray(whole[: dice.randrange(40_000)] if seed % 2 else whole[:300_000])
        for _ in range(seed):
            if broken:
                broken[dice.randrange(min(len(broken), 5_000))] = dice.randrange(256)
        characters(tmp_path, bytes(broken))
    for content in (b"", b"ttcf", b"\0\1\0\0", b"<xml/>", b"\x89PNG\r\n", bytes(4_000)):
        assert not any(characters(tmp_path, content))
    assert list(read_faces(tmp_path / "none.ttf")) == []


@pytest.mark.parametrize("file", sorted(OWN_FONTS_FILE.parent.glob("*.ttf")), ids=lambda file: file.name)
def test_fontconfig_reads_the_same(file: Path) -> None:
    ranges = subprocess.run(
        ["fc-query", "-f", "%{charset}", str(file)], capture_output=True, check=True
    ).stdout
    told = (each.split("-") for each in ranges.decode().split())
    expected = {code for each in told for code in range(int(each[0], 16), int(each[-1], 16) + 1)}
    (face,) = read_faces(file)
    assert {code for code in _codes(face) if code >= 0x20} == {code for code in expected if code >= 0x20}
