"""Cuts around faces, without a face and without a picture."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.geometry.boxes import Box, Size
from proxy.geometry.faces import centre_on, group_faces, scale_box

WIDE = Size(1000, 400)


def test_all_faces_are_in_sight_when_they_fit() -> None:
    faces = [Box(100, 50, 40, 40), Box(300, 60, 60, 60), Box(200, 10, 30, 30)]
    assert group_faces(faces, Size(400, 200)) == Box(100, 10, 260, 110)


def test_the_largest_is_in_sight_when_they_do_not() -> None:
    faces = [Box(0, 0, 40, 40), Box(800, 60, 60, 60), Box(700, 60, 50, 50)]
    assert group_faces(faces, Size(300, 200)) == Box(700, 60, 160, 60)
    assert group_faces(faces, Size(10, 10)) == Box(800, 60, 60, 60)


def test_what_is_kept_has_the_faces_in_its_middle_and_stays_inside() -> None:
    assert centre_on(Box(500, 100, 100, 100), WIDE, Size(300, 200)) == Box(400, 50, 300, 200)
    assert centre_on(Box(0, 380, 20, 20), WIDE, Size(300, 200)) == Box(0, 200, 300, 200)


def test_a_box_is_at_the_same_place_in_a_copy_of_another_size() -> None:
    assert scale_box(Box(10, 20, 30, 40), Size(100, 200), Size(200, 100)) == Box(20, 10, 60, 20)
    assert scale_box(Box(9, 9, 1, 1), Size(1000, 1000), Size(10, 10)) == Box(0, 0, 1, 1)


sides = st.integers(1, 2000)
boxes = st.builds(Box, st.integers(0, 1999), st.integers(0, 1999), sides, sides)


@given(st.lists(boxes, min_size=1, max_size=6), st.builds(Size, sides, sides), st.builds(Size, sides, sides))
def test_no_cut_leaves_the_picture(faces: list[Box], outer: Size, wanted: Size) -> None:
    inner = Size(min(wanted.width, outer.width), min(wanted.height, outer.height))
    kept = centre_on(group_faces(faces, inner), outer, inner)
    assert kept.size == inner
    assert kept.left >= 0 <= kept.top
    assert kept.left + kept.width <= outer.width
    assert kept.top + kept.height <= outer.height
