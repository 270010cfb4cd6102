"""A client is who connects, unless a trusted proxy says who it connects for."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fairness.client_address import MAX_FORWARDED_BYTES, ClientAddresses, client_group

PROXY, INNER, CLIENT, SPOOFED = "10.0.0.1", "10.0.0.2", "203.0.113.7", "198.51.100.1"
ADDRESSES = ClientAddresses([ip_network("10.0.0.0/8"), ip_network("2001:db8:ffff::/48")])


def client(*headers: tuple[str, str], peer: str | None = PROXY) -> str:
    return ADDRESSES.client_of(peer, [(name.encode(), value.encode("latin-1")) for name, value in headers])


@pytest.mark.parametrize(
    "value",
    [
        CLIENT,
        f"{SPOOFED}, {CLIENT}",
        f"{SPOOFED},{CLIENT}, {INNER}",
        f'garbage; "\\, {CLIENT} ,\t{INNER}',
        f"{CLIENT}:4711",
        f" , {CLIENT},, ",
        f"::ffff:{CLIENT}",
    ],
)
def test_x_forwarded_for_is_read_from_the_right_past_trusted_proxies(value: str) -> None:
    assert client(("x-forwarded-for", value)) == CLIENT


@pytest.mark.parametrize(
    "value",
    [
        f"for={CLIENT}",
        f"For={CLIENT};proto=https;by={PROXY}",
        f"proto=https; for={CLIENT}",
        f'for="{CLIENT}:4711"',
        f'for="[::ffff:{CLIENT}]:4711"',
        f"for={SPOOFED}, for={CLIENT}, for={INNER}",
        f'for=unknown;host="a,for={SPOOFED}", for={CLIENT};host="b;c,d"',
        f"for={CLIENT}, for={INNER};by={PROXY}",
        f"for={CLIENT} ,",
    ],
)
def test_forwarded_is_read_from_the_right_past_trusted_proxies(value: str) -> None:
    assert client(("forwarded", value)) == CLIENT


def test_several_lines_of_a_header_are_one_list() -> None:
    assert client(("x-forwarded-for", SPOOFED), ("accept", "*/*"), ("x-forwarded-for", CLIENT)) == CLIENT
    assert client(("forwarded", f"for={CLIENT}"), ("forwarded", f"for={INNER}")) == CLIENT


def test_ipv6_is_read_with_and_without_brackets_and_told_in_one_spelling() -> None:
    for value in ("2001:DB8:0:0::1", "[2001:db8::1]", "[2001:db8::1]:443", "2001:db8::1, 2001:db8:ffff::9"):
        assert client(("x-forwarded-for", value)) == "2001:db8::1"
    assert client(("forwarded", 'for="[2001:db8::1]:443"')) == "2001:db8::1"
    assert client(("x-forwarded-for", CLIENT), peer="2001:db8:ffff::1") == CLIENT
    assert client(("x-forwarded-for", CLIENT), peer=f"::ffff:{PROXY}") == CLIENT


@pytest.mark.parametrize("peer", [SPOOFED, "2001:db8::1", "11.0.0.1", "localhost"])
def test_what_others_than_trusted_proxies_say_does_not_count(peer: str) -> None:
    assert client(("x-forwarded-for", CLIENT), ("forwarded", f"for={CLIENT}"), peer=peer) == peer


def test_without_trusted_proxies_nothing_is_believed() -> None:
    assert ClientAddresses().client_of(PROXY, [(b"x-forwarded-for", CLIENT.encode())]) == PROXY


@pytest.mark.parametrize(
    "header",
    [
        ("x-forwarded-for", ""),
        ("x-forwarded-for", "unknown"),
        ("x-forwarded-for", f"{CLIENT}, unknown"),
        ("x-forwarded-for", "203.0.113.007"),
        ("x-forwarded-for", "1.2.3.4.5"),
        ("x-forwarded-for", "[1.2.3.4]x"),
        ("x-forwarded-for", "fe80::1%eth0"),
        ("x-forwarded-for", f"{CLIENT}:port"),
        ("x-forwarded-for", f"{CLIENT}\x85"),
        ("x-forwarded-for", "\xff\xfe"),
        ("x-forwarded-for", f"{CLIENT}, {'1' * MAX_FORWARDED_BYTES}"),
        ("x-forwarded-for", f"{'a' * MAX_FORWARDED_BYTES}, {CLIENT}"),
        ("x-forwarded-for", ",".join([CLIENT, *[INNER] * 50])),
        ("forwarded", CLIENT),
        ("forwarded", "for="),
        ("forwarded", "for=unknown"),
        ("forwarded", 'for="_hidden"'),
        ("forwarded", f"proto=https;for={CLIENT};for={SPOOFED}"),
        ("forwarded", f"for={CLIENT}, proto=https"),
        ("forwarded", f'for="{CLIENT}'),
        ("forwarded", f'for="{CLIENT}\\"'),
        ("forwarded", f"for = {CLIENT}"),
        ("forwarded", f"for={CLIENT};"),
        ("forwarded", "for=[2001:db8::1]"),
        ("forwarded", f"for={CLIENT}" + "," * MAX_FORWARDED_BYTES),
    ],
)
def test_what_is_malformed_or_overlong_leaves_the_peer(header: tuple[str, str]) -> None:
    assert client(header) == PROXY


def test_two_headers_have_to_agree_since_a_proxy_passes_on_the_one_that_it_does_not_write() -> None:
    assert client(("x-forwarded-for", CLIENT), ("forwarded", f"for={CLIENT}")) == CLIENT
    assert client(("x-forwarded-for", CLIENT), ("forwarded", f"for={SPOOFED}")) == PROXY
    assert client(("x-forwarded-for", SPOOFED), ("forwarded", f"for={CLIENT}")) == PROXY
    assert client(("x-forwarded-for", CLIENT), ("forwarded", "for=unknown")) == PROXY


def test_where_all_hops_are_trusted_the_first_one_is_the_client() -> None:
    assert client(("x-forwarded-for", f"10.9.9.9, {INNER}")) == "10.9.9.9"


def test_a_peer_without_an_address_is_told_as_such() -> None:
    assert client(("x-forwarded-for", CLIENT), peer=None) == "-"


@given(st.binary(max_size=300), st.sampled_from(["forwarded", "x-forwarded-for"]))
def test_whatever_is_sent_an_address_comes_out_and_no_error(value: bytes, name: str) -> None:
    told = ADDRESSES.client_of(PROXY, [(name.encode(), value)])
    assert told == str(ip_address(told))


@given(st.text(alphabet='for=;," :[]._1234567890ab\\', max_size=60), st.ip_addresses(v=4))
def test_what_a_stranger_sends_before_it_never_replaces_what_a_proxy_appends(
    text: str, address: object
) -> None:
    for name, appended in (("x-forwarded-for", f"{address}"), ("forwarded", f"for={address}")):
        assert client((name, text), (name, appended), peer=PROXY) in {str(address), PROXY} or str(
            address
        ).startswith("10.")


@pytest.mark.parametrize(
    "address, group",
    [
        (CLIENT, CLIENT),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        (f"::ffff:{CLIENT}", CLIENT),
        ("fe80::1%eth0", "fe80::/64"),
        ("-", "-"),
    ],
)
def test_an_ipv6_subscriber_is_one_client_however_many_addresses_they_use(address: str, group: str) -> None:
    assert client_group(address) == group
