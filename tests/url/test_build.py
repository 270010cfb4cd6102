"""What is written here is what the grammar reads there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.model.errors import InvalidRequest
from proxy.url.build import format_path, format_url, refuse_base, refuse_unsendable, with_expiry
from proxy.url.grammar import parse_options
from proxy.url.path import split_path
from tests.strategies import written_options


def outcome(options: str) -> object:
    try:
        return parse_options(options)
    except InvalidRequest as error:
        return type(error)


_KEY = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\\"), min_size=1, max_size=30
)


@given(written_options | st.just("w_300,fn_ä b%"), _KEY)
def test_what_is_written_is_read_back(options: str, key: str) -> None:
    try:
        path = format_path(options, key)
    except InvalidRequest:
        return
    refuse_unsendable(path)
    address = split_path(path.encode())
    assert outcome(address.options) == outcome(options)
    assert address.key == key or key.lower().startswith(("http:/", "https:/"))


def test_a_base_that_ends_with_the_mount_has_it_already() -> None:
    assert format_url("/_/a", mount="/_ipx", base="https://a.example/_ipx/") == "https://a.example/_ipx/_/a"


def test_a_host_named_like_the_mount_is_no_mount() -> None:
    """As in a compose file, where a service called images serves below /images."""
    refuse_base("http://images")
    assert format_url("/_/a", mount="/images", base="http://images") == "http://images/images/_/a"


def test_no_options_and_an_expiry_are_one_option() -> None:
    assert with_expiry("/_/a/b", 7) == "/exp_7/a/b"
