"""What is relied upon in libvips that its interface does not promise."""

from __future__ import annotations

import pytest
import pyvips

from proxy.model.errors import BrokenImage
from proxy.model.media import Format
from proxy.pipeline.decode.libvips import MISSING_ROWS, MissingRows, jpeg_warnings, libvips
from tests.pictures import photo, saved

CUT = saved(photo(400, 300), Format.JPEG)
CUT = CUT[: len(CUT) * 3 // 4] + b"\xff\xd9"


def test_the_wording_about_missing_rows_is_libvips_own() -> None:
    """When this fails, libvips says it in other words: change MISSING_ROWS to them."""
    with pytest.raises(pyvips.Error, match=MISSING_ROWS):
        pyvips.Image.jpegload_buffer(CUT, access="sequential", fail_on="warning").copy_memory()


def test_missing_rows_have_a_type() -> None:
    with pytest.raises(MissingRows), jpeg_warnings():
        pyvips.Image.jpegload_buffer(CUT, access="sequential", fail_on="warning").copy_memory()


@pytest.mark.parametrize("body", [b"", b"\xff\xd8\xff", saved(photo(9, 9), Format.PNG)])
def test_other_errors_stay_what_they_are(body: bytes) -> None:
    with pytest.raises(pyvips.Error), jpeg_warnings():
        pyvips.Image.jpegload_buffer(body, fail_on="warning").copy_memory()


def test_libvips_errors_become_ours_and_keep_their_words_to_themselves() -> None:
    with pytest.raises(BrokenImage, match=r"^our words$") as raised, libvips(BrokenImage, "our words"):
        pyvips.Image.jpegload_buffer(b"nothing")
    assert isinstance(raised.value.__cause__, pyvips.Error)
