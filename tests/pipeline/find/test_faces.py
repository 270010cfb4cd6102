"""Faces in sight, found by the real detector, and what happens where there is none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import pyvips

from proxy.geometry.boxes import Box
from proxy.model.limits import Limits
from proxy.model.media import Format, Note
from proxy.pipeline.find.faces import detect_faces
from proxy.pipeline.render import render
from proxy.url.grammar import parse_options
from tests.pictures import loaded, photo, plain, saved, tagged
from tests.pipeline.find.portraits import crowd

LIMITS = Limits()


def faces_of(options: str, picture: pyvips.Image) -> int:
    """How many faces are in sight in what the options make of the picture."""
    rendered = render(saved(picture, Format.PNG), parse_options(options), LIMITS)
    assert rendered.notes == ()
    return len(detect_faces(enlarged(loaded(rendered.body))) or ())


def only(image: pyvips.Image) -> Box:
    faces = detect_faces(image) or []
    assert len(faces) == 1
    return faces[0]


def enlarged(image: pyvips.Image) -> pyvips.Image:
    return image.resize(600 / max(image.width, image.height))


@pytest.mark.parametrize("left", [0, 250, 480, 880])
def test_a_face_is_in_sight_wherever_it_is(left: int) -> None:
    picture = crowd(1000, 300, (left, 90, 120))
    assert faces_of("w_300,h_300,g_face", picture) == 1


def test_a_face_is_in_the_middle_of_what_is_kept() -> None:
    picture = crowd(1000, 300, (600, 90, 120))
    kept = loaded(render(saved(picture, Format.PNG), parse_options("w_300,h_300,g_face"), LIMITS).body)
    found = only(kept)
    assert abs(found.left + found.width / 2 - 150) < 25


def test_all_faces_are_in_sight_when_they_fit() -> None:
    picture = crowd(1200, 400, (500, 100, 120), (700, 140, 100))
    assert faces_of("w_400,h_400,g_faces", picture) == 2


def test_the_largest_is_in_sight_when_they_do_not() -> None:
    picture = crowd(1400, 300, (20, 90, 110), (1100, 60, 180))
    assert faces_of("w_300,h_300,g_face", picture) == 1
    kept = loaded(render(saved(picture, Format.PNG), parse_options("w_300,h_300,g_face"), LIMITS).body)
    found = only(kept)
    assert found.width > 140


def test_small_renditions_are_cut_by_what_the_large_original_shows() -> None:
    picture = crowd(1600, 400, (1200, 140, 120))
    kept = loaded(render(saved(picture, Format.PNG), parse_options("w_40,h_40,g_face"), LIMITS).body)
    whole = loaded(render(saved(picture, Format.PNG), parse_options("w_400,h_400,g_face"), LIMITS).body)
    shrunk = whole.resize(0.1)
    assert (kept - shrunk).abs().avg() < 6


UNDO: dict[str, Callable[[pyvips.Image], pyvips.Image]] = {
    "rotate_90": lambda image: image.rot270(),
    "rotate_180": lambda image: image.rot180(),
    "rotate_270,flip": lambda image: image.flipver().rot90(),
    "flop": lambda image: image.fliphor(),
    "flip": lambda image: image.flipver(),
}


@pytest.mark.parametrize("turn", UNDO)
def test_turns_and_mirrors_take_the_faces_along(turn: str) -> None:
    body = saved(crowd(1200, 300, (950, 90, 130)), Format.PNG)
    kept = loaded(render(body, parse_options(f"w_300,h_300,g_face,{turn}"), LIMITS).body)
    assert len(detect_faces(UNDO[turn](kept).copy_memory()) or ()) == 1


def test_orientation_comes_before_faces() -> None:
    picture = crowd(1000, 300, (700, 90, 120))
    lying = saved(tagged(picture.rot270(), orientation=6), Format.JPEG)
    kept = loaded(render(lying, parse_options("w_300,h_300,g_face"), LIMITS).body)
    assert len(detect_faces(kept) or []) == 1


def test_a_region_may_be_cut_around_a_face() -> None:
    picture = crowd(1000, 600, (700, 350, 120))
    assert faces_of("crop_300_300,g_face", picture) == 1


@pytest.mark.parametrize("box", ["w_200,h_200", "w_120,h_240", "w_300,h_100"])
def test_a_thumbnail_comes_near_to_a_face(box: str) -> None:
    body = saved(crowd(1000, 600, (640, 300, 120)), Format.PNG)
    kept = loaded(render(body, parse_options(f"{box},c_thumb"), LIMITS).body)
    shown = enlarged(kept)
    assert 0.4 < only(shown).width / min(shown.width, shown.height) < 0.65


@pytest.mark.parametrize("turn", UNDO)
def test_a_thumbnail_is_near_however_it_is_turned(turn: str) -> None:
    body = saved(crowd(1200, 500, (950, 190, 130)), Format.PNG)
    kept = loaded(render(body, parse_options(f"w_240,h_240,c_thumb,{turn}"), LIMITS).body)
    assert 0.4 < only(enlarged(UNDO[turn](kept).copy_memory())).width / 600 < 0.65


def test_a_thumbnail_of_two_shows_both() -> None:
    picture = crowd(1200, 500, (400, 150, 120), (590, 190, 110))
    assert faces_of("w_200,h_200,c_thumb", picture) == 2


def test_no_face_is_made_larger_than_it_is() -> None:
    body = saved(crowd(1000, 600, (640, 300, 120)), Format.PNG)
    thumb, filled = (
        render(body, parse_options(f"w_600,h_600,{way}"), LIMITS) for way in ("c_thumb", "g_face")
    )
    assert thumb.body == filled.body


def test_a_thumbnail_without_a_face_is_filled() -> None:
    body = saved(photo(600, 200), Format.PNG)
    thumb = render(body, parse_options("w_100,h_100,c_thumb"), LIMITS)
    assert thumb.notes == (Note.NO_FACE,)
    assert thumb.body == render(body, parse_options("w_100,h_100,c_fill,g_attention"), LIMITS).body


def test_where_no_face_is_seen_the_eye_decides_and_a_note_says_so() -> None:
    body = saved(photo(600, 200), Format.PNG)
    looked = render(body, parse_options("w_100,h_100,g_face"), LIMITS)
    assert looked.notes == (Note.NO_FACE,)
    assert looked.body == render(body, parse_options("w_100,h_100,g_attention"), LIMITS).body


def test_nothing_is_looked_for_where_nothing_is_cut() -> None:
    body = saved(plain(60, 60, 9, 9, 9), Format.PNG)
    assert render(body, parse_options("w_30,h_30,g_face"), LIMITS).notes == ()


def test_an_animation_is_cut_around_the_face_of_its_first_frame() -> None:
    still = crowd(600, 200, (420, 40, 120))
    frames = pyvips.Image.arrayjoin([still, plain(600, 200, 9, 9, 9)], across=1).copy()
    for name in ("page-height", "loop"):
        frames.set_type(pyvips.GValue.gint_type, name, {"page-height": 200, "loop": 0}[name])
    frames.set_type(pyvips.GValue.array_int_type, "delay", [100, 100])
    rendered = render(saved(frames, Format.WEBP), parse_options("w_200,h_200,g_face"), LIMITS)
    assert rendered.frames == 2
    assert len(detect_faces(loaded(rendered.body)) or ()) == 1


def test_without_the_extra_the_eye_decides_and_a_note_says_so(tmp_path: Path) -> None:
    """In a process of its own, for which there is no dlib."""
    body = saved(crowd(600, 200, (420, 40, 120)), Format.PNG)
    (tmp_path / "crowd.png").write_bytes(body)
    program = (
        "import sys; sys.modules['dlib'] = None\n"
        "from proxy.url.grammar import parse_options\n"
        "from proxy.model.limits import Limits\n"
        "from proxy.pipeline.render import render\n"
        "body = open(sys.argv[1], 'rb').read()\n"
        "rendered = render(body, parse_options('w_200,h_200,g_face'), Limits())\n"
        "open(sys.argv[2], 'wb').write(rendered.body)\n"
        "print(*rendered.notes)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "crowd.png"), str(tmp_path / "kept.png")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == [Note.NO_FACE_DETECTOR], done.stderr
    attention = render(body, parse_options("w_200,h_200,g_attention"), LIMITS)
    assert (tmp_path / "kept.png").read_bytes() == attention.body
