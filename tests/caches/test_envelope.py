from __future__ import annotations

import math
import struct
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from proxy.caches import CacheEntry
from proxy.caches.envelope import entry_name, pack_rendition, unpack_rendition
from proxy.model.media import Format, Note, Rendition

UINT32 = st.integers(0, 2**32 - 1)
TIMES = st.floats(-1e10, 1e10)
RENDITIONS = st.builds(
    Rendition,
    body=st.binary(max_size=200),
    format=st.sampled_from(Format),
    width=UINT32,
    height=UINT32,
    etag=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=80),
    last_modified=st.none() | TIMES,
    made_at=TIMES,
    notes=st.lists(st.sampled_from(Note), unique=True).map(tuple),
)
KEYS = st.text(st.characters(), max_size=50)
TOM = Rendition(body=b"cat", format=Format.AVIF, width=3, height=2, etag="5f1c", made_at=1.5)


@given(RENDITIONS, KEYS, TIMES)
def test_unpack_is_the_inverse_of_pack(rendition: Rendition, key: str, expires_at: float) -> None:
    assert unpack_rendition(pack_rendition(rendition, key, expires_at), key) == CacheEntry(
        rendition, expires_at
    )


@given(RENDITIONS, KEYS, KEYS)
def test_an_entry_verifies_under_its_own_key_only(rendition: Rendition, key: str, other: str) -> None:
    assert (unpack_rendition(pack_rendition(rendition, key, 9.0), other) is None) == (key != other)


@given(RENDITIONS, st.data())
def test_no_changed_byte_verifies(rendition: Rendition, data: st.DataObject) -> None:
    packed = bytearray(pack_rendition(rendition, "tom", 9.0))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    assert unpack_rendition(bytes(packed), "tom") is None


@given(RENDITIONS, st.data())
def test_no_other_length_verifies(rendition: Rendition, data: st.DataObject) -> None:
    packed = pack_rendition(rendition, "tom", 9.0)
    cut = data.draw(st.integers(0, len(packed) - 1))
    assert unpack_rendition(packed[:cut], "tom") is None
    assert unpack_rendition(packed + data.draw(st.binary(min_size=1)), "tom") is None


@given(st.binary() | st.binary().map(lambda tail: b"IPR\x02" + tail), KEYS)
def test_any_bytes_are_nothing(packed: bytes, key: str) -> None:
    assert unpack_rendition(packed, key) is None


@given(st.binary(max_size=100))
def test_a_forged_digest_over_any_facts_never_raises(facts: bytes) -> None:
    """Whoever can write to a shared Redis can compute a digest."""
    entry = unpack_rendition(_forged(facts), "tom")
    assert entry is None or (math.isfinite(entry.expires_at) and entry.value.etag.isprintable())


def test_a_forged_note_cannot_be_said() -> None:
    facts = struct.pack(">dddQII8sHH", 9.0, 1.0, 1.0, 0, 3, 2, b"avif", 1, 4)
    assert unpack_rendition(_forged(facts + b"ea\r\nb"), "tom") is None
    facts = struct.pack(">dddQII8sHH", 9.0, 1.0, 1.0, 0, 3, 2, b"avif", 1, 11)
    assert unpack_rendition(_forged(facts + b"efirst-frame"), "tom") is not None


def test_a_forged_etag_cannot_split_a_header() -> None:
    facts = struct.pack(">dddQII8sHH", 9.0, 1.0, 1.0, 0, 3, 2, b"avif", 6, 0)
    assert unpack_rendition(_forged(facts + b"a\r\nb:c"), "tom") is None
    assert unpack_rendition(_forged(facts + b"abcdef"), "tom") is not None


def test_names_are_of_one_shape_and_differ() -> None:
    names = {entry_name(key) for key in ("", "tom", "Tom", "\udcff", "a" * 9_999)}
    assert {len(each) for each in names} == {64}
    assert len(names) == 5


def test_the_facts_cost_less_than_a_hundred_bytes() -> None:
    assert len(pack_rendition(TOM, "tom", 9.0)) - len(TOM.body) < 100


def _forged(facts: bytes) -> bytes:
    digest = sha256(b"image-proxy\0IPR\x02" + b"tom" + facts).digest()[:16]
    return b"IPR\x02" + digest + facts
