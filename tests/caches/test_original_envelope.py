"""An original as bytes: what comes out is what went in, or nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.caches.original_envelope import ORIGINAL_CODEC
from proxy.model.media import CachePolicy, Original

SECONDS = st.floats(0, 1e10)
ORIGINAL = st.builds(
    Original,
    body=st.binary(max_size=300),
    version=st.text(max_size=40),
    etag=st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40),
    last_modified=st.none() | SECONDS,
    cache_policy=st.builds(
        CachePolicy,
        received_at=SECONDS,
        fresh_for=st.none() | SECONDS,
        stale_while_revalidate=SECONDS,
        stale_if_error=st.none() | SECONDS,
    ),
)


@given(ORIGINAL, st.text(max_size=20), SECONDS)
def test_an_original_comes_back_as_it_went_in(original: Original, key: str, expires_at: float) -> None:
    entry = ORIGINAL_CODEC.unpack(ORIGINAL_CODEC.pack(original, key, expires_at), key)
    assert entry == (original, expires_at)


@given(ORIGINAL, st.data())
def test_a_byte_that_changed_or_is_missing_makes_it_nothing(original: Original, data: st.DataObject) -> None:
    packed = ORIGINAL_CODEC.pack(original, "tom", 1e9)
    place = data.draw(st.integers(0, len(packed) - 1))
    changed = data.draw(st.integers(1, 255))
    assert ORIGINAL_CODEC.unpack(packed[:place], "tom") is None
    assert ORIGINAL_CODEC.unpack(packed + b"x", "tom") is None
    flipped = packed[:place] + bytes([packed[place] ^ changed]) + packed[place + 1 :]
    assert ORIGINAL_CODEC.unpack(flipped, "tom") is None
    assert ORIGINAL_CODEC.unpack(packed, "tim") is None
