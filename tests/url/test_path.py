"""Paths are split into a signature, options and a key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.errors import InvalidKey, InvalidRequest, TooLong
from proxy.url.path import split_path


@given(st.binary(max_size=60).map(lambda tail: b"/" + tail))
def test_any_bytes_are_an_address_or_an_invalid_request(raw: bytes) -> None:
    try:
        address = split_path(raw)
    except InvalidRequest:
        return
    assert raw.endswith(address.signed)


@pytest.mark.parametrize(
    "path, options, key",
    [
        (b"/w_300,h_200/cats/tom.jpg", "w_300,h_200", "cats/tom.jpg"),
        (b"/_/a%20b%2Bc+d.jpg", "_", "a b+c+d.jpg"),
        (b"/_/100%.jpg", "_", "100%.jpg"),
        (b"/_/a%2520b.jpg", "_", "a%20b.jpg"),
        (b"/_/https://host.example/a//b.jpg%3Fx=1", "_", None),
        (b"/_/https://host.example/a/b.jpg%3Fx=//1", "_", "https://host.example/a/b.jpg?x=//1"),
        (b"/_/https:/host.example/a.jpg", "_", "https://host.example/a.jpg"),
        (b"/_/https%3A%2F%2Fhost.example%2Fa.jpg", "_", "https://host.example/a.jpg"),
        ("/_/ü.jpg".encode(), "_", "ü.jpg"),
    ],
)
def test_a_path_is_split_first_and_decoded_once(path: bytes, options: str, key: str | None) -> None:
    if key is None:
        with pytest.raises(InvalidKey):
            split_path(path)
        return
    address = split_path(path)
    assert (address.options, address.key) == (options, key)
    assert address.signed == path


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a//b", "a/", "../a", "a/../b", "a/./b", ".", "..", "%2e%2e/a", "a/%2E/b", "a%2F..%2Fb",
     "a%5Cb", "a\\b", "%00", "a%0d%0ab", "a%1b", "%ff", "%c3", "a%2F%2Fb", "%2Fetc/passwd", "%7f", "%C2%85"],
)  # fmt: skip
def test_a_key_that_could_lead_astray_is_refused(key: str) -> None:
    with pytest.raises(InvalidRequest):
        split_path(b"/_/" + key.encode())


def test_a_signature_stands_in_the_path_or_in_the_query() -> None:
    in_path = split_path(b"/s--abc_-1--/w_3/a.jpg")
    in_query = split_path(b"/w_3/a.jpg", b"x=1&s=abc_-1&y=2")
    assert in_path.signature == in_query.signature == "abc_-1"
    assert in_path.signed == in_query.signed == b"/w_3/a.jpg"
    assert split_path(b"/s_300x200/a.jpg", b"ss=1").signature is None


def test_the_mount_is_no_part_of_anything() -> None:
    address = split_path(b"/_ipx/w_3/a.jpg", mount="/_ipx")
    assert (address.options, address.signed) == ("w_3", b"/w_3/a.jpg")


def test_an_endless_path_is_refused_at_once() -> None:
    with pytest.raises(TooLong):
        split_path(b"/w_1," + b"w_1," * 15_000 + b"/a.jpg")
    with pytest.raises(TooLong):
        split_path(b"/" + b"((" * 1100 + b"/a.jpg")
