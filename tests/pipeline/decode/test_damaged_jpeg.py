from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from proxy.config.settings import Settings
from proxy.model.errors import BrokenImage
from proxy.model.limits import Limits
from proxy.model.media import Format, Note
from proxy.pipeline.decode.jpeg import jpeg_scans
from proxy.pipeline.render import render
from proxy.pipeline.stages import Rendered
from proxy.url.grammar import parse_options
from tests.paths import PICTURES
from tests.pictures import loaded, near, photo, pixel, saved

EOI = b"\xff\xd9"
PLAIN = saved(photo(400, 300), Format.JPEG)
PROGRESSIVE = saved(photo(400, 300), Format.JPEG, interlace=True)
RESTARTED = saved(photo(400, 300), Format.JPEG, restart_interval=10)
SCANS = [found.start() for found in re.finditer(b"\xff\xda", PROGRESSIVE)]
RESTARTS = [found.start() for found in re.finditer(b"\xff[\xd0-\xd7]", RESTARTED)]
OPTIONS = ("w_100", "f_png", "w_50,h_50,g_attention", "trim,w_20")


def rendered(body: bytes, options: str = "w_100", *, show: bool = False) -> Rendered:
    return render(body, parse_options(options), Limits(show_damaged=show))


def replaced(body: bytes, start: int, stop: int, value: int) -> bytes:
    return body[:start] + bytes((value,)) * (stop - start) + body[stop:]


SOUND = {
    "whole": PLAIN,
    "bytes after it": PLAIN + bytes(99),
    "text after it": PLAIN + b"trailer" * 99,
    "another one after it": PLAIN + PLAIN,
    "progressive, bytes after it": PROGRESSIVE + bytes(99),
}
DAMAGED = {
    "no end": PLAIN[:-2],
    "half an end": PLAIN[:-1],
    "progressive, no end": PROGRESSIVE[:-2],
    "half of the last scan": PROGRESSIVE[: (SCANS[-1] + len(PROGRESSIVE)) // 2],
    "half of the last scan, and an end": PROGRESSIVE[: (SCANS[-1] + len(PROGRESSIVE)) // 2] + EOI,
    **{f"{cut} bytes less, and an end": PLAIN[:-cut] + EOI for cut in (3, 4, 5, 6, 7, 20, 100)},
    "restarts, no end": RESTARTED[:-2],
    "one interval is junk": replaced(RESTARTED, RESTARTS[10] + 5, RESTARTS[11] - 2, 0x55),
    "one interval is empty": RESTARTED[: RESTARTS[10] + 2] + RESTARTED[RESTARTS[11] :],
}
TRUNCATED = {
    **{f"{cut} bytes less": PLAIN[:-cut] for cut in (3, 4, 5, 6, 7, 9, 12, 20, 50, 500)},
    **{f"{cut} bytes less, and an end": PLAIN[:-cut] + EOI for cut in (1500, 3000)},
    "half": PLAIN[: len(PLAIN) // 2],
    "half, and an end": PLAIN[: len(PLAIN) // 2] + EOI,
    "no last scan": PROGRESSIVE[: SCANS[-1]],
    "half of the last but one": PROGRESSIVE[: (SCANS[-2] + SCANS[-1]) // 2],
    "progressive, half": PROGRESSIVE[: len(PROGRESSIVE) // 2],
    "progressive, half, and an end": PROGRESSIVE[: len(PROGRESSIVE) // 2] + EOI,
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", SOUND)
def test_sound_files_are_shown_without_a_note(name: str, options: str) -> None:
    assert rendered(SOUND[name], options).notes == ()


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", DAMAGED)
def test_files_that_have_all_of_the_picture_are_shown_with_a_note(name: str, options: str) -> None:
    found = rendered(DAMAGED[name], options)
    assert Note.DAMAGED in found.notes
    whole = loaded(rendered(PLAIN, options).body)
    for y in () if "attention" in options else (0.1, 0.5, 0.95):
        assert near(pixel(loaded(found.body), 0.5, y), pixel(whole, 0.5, y), within=30)


@pytest.mark.parametrize("name", TRUNCATED)
def test_truncated_files_are_refused_unless_what_is_left_is_to_be_shown(name: str) -> None:
    with pytest.raises(BrokenImage):
        rendered(TRUNCATED[name])
    shown = rendered(TRUNCATED[name], show=True)
    assert shown.notes == (Note.DAMAGED,)
    assert near(
        pixel(loaded(shown.body), 0.5, 0.05), pixel(loaded(rendered(PLAIN).body), 0.5, 0.05), within=60
    )


@pytest.mark.parametrize("format", [Format.PNG, Format.GIF, Format.TIFF])
def test_what_is_left_of_other_formats_is_shown_too(format: Format) -> None:
    more = {"compression": "none"} if format is Format.TIFF else {}
    body = saved(photo(300, 200), format, **more)
    cut = body[: len(body) * 3 // 4]
    if format is not Format.TIFF:
        assert rendered(cut, show=True).notes == (Note.DAMAGED,)
    with pytest.raises(BrokenImage):
        rendered(cut)


ODDITIES: dict[str, Callable[[bytes], bytes]] = {
    "bytes before the tables": lambda body: body.replace(b"\xff\xdb", bytes(9) + b"\xff\xdb", 1),
    "bytes before the frame": lambda body: body.replace(b"\xff\xc0", b"stray\xff\xc0", 1),
    "bytes before the scan": lambda body: body.replace(b"\xff\xda", b"\x01\x02\x03\xff\xda", 1),
    "an end behind the end": lambda body: body + EOI,
}


@pytest.mark.parametrize("oddity", ODDITIES)
def test_oddities_hide_no_damage(oddity: str) -> None:
    odd = ODDITIES[oddity]
    assert rendered(odd(PLAIN)).notes == ()
    for name in ("half", "half, and an end", "1500 bytes less, and an end"):
        with pytest.raises(BrokenImage):
            rendered(odd(TRUNCATED[name]))
        assert rendered(odd(TRUNCATED[name]), show=True).notes == (Note.DAMAGED,)
    assert rendered(odd(DAMAGED["one interval is junk"])).notes == (Note.DAMAGED,)


@pytest.mark.parametrize("height", [1, 7, 8, 9, 16, 24, 40, 200])
@pytest.mark.parametrize("chroma", ["on", "off"])
@pytest.mark.parametrize("options", ["f_png", "w_20", "w_100"])
def test_the_last_rows_count(height: int, chroma: str, options: str) -> None:
    body = saved(photo(400, height), Format.JPEG, subsample_mode=chroma)
    assert rendered(body, options).notes == ()
    start = body.index(b"\xff\xda") + 14
    for share in (0.2, 0.6, 0.8):
        cut = body[: start + int((len(body) - start) * share)].rstrip(b"\xff") + EOI
        with pytest.raises(BrokenImage):
            rendered(cut, options)
        assert rendered(cut, options, show=True).notes == (Note.DAMAGED,)


def test_a_lost_restart_interval_is_damage() -> None:
    assert b"\xff\xdd" in RESTARTED
    with pytest.raises(BrokenImage):
        rendered(RESTARTED.replace(b"\xff\xdd", b"\x7f\xdd"))


def test_the_file_from_outside_is_a_picture() -> None:
    assert rendered((PICTURES / "jpeg-no-eoi.jpg").read_bytes()).notes == (Note.DAMAGED,)


def test_scans_are_read_as_far_as_they_go() -> None:
    assert jpeg_scans(PLAIN).all_begun
    assert jpeg_scans(PLAIN).has_end
    assert jpeg_scans(PROGRESSIVE).progressive
    assert not jpeg_scans(PROGRESSIVE[: SCANS[-1]]).all_begun
    found = jpeg_scans(RESTARTED)
    assert (found.intervals, found.gaps) == (len(RESTARTS) + 1, 0)
    for body in (b"", b"\xff\xd8", b"\xff\xd8\xff", bytes(99), b"\xff\xd8\xff\xda\0\2\0", PLAIN[:200]):
        assert not jpeg_scans(body).all_begun


def test_a_setting_says_what_becomes_of_truncated_originals() -> None:
    assert not Settings.model_validate({"origin": "."}).limits.show_damaged
    assert Settings.model_validate({"origin": ".", "damaged": "show"}).limits.show_damaged
