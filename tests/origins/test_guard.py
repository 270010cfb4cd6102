from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, IPv6Address

import httpx
import pytest
from aiohappyeyeballs import AddrInfoType
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.errors import SourceNotAllowed
from proxy.origins.guard import Guard, Resolve, SystemResolver, is_public
from proxy.origins.http import make_client
from tests.origins.server import Server, reply

PUBLIC_4 = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
]
PRIVATE_4 = [
    "0.0.0.0",
    "0.0.0.1",
    "0.255.255.255",
    "10.0.0.0",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.0",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.0",
    "127.0.0.1",
    "127.1.2.3",
    "127.255.255.255",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.0",
    "172.17.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.0",
    "192.168.1.1",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "254.1.2.3",
    "255.255.255.255",
]
PUBLIC_6 = [
    "2000::1",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2606:4700:4700::1111",
    "2a00:1450:4001:800::200e",
    "2c0f::1",
    "3ffd::1",
    "3f00::1",
]
PRIVATE_6 = [
    "::",
    "::1",
    "::2",
    "100::",
    "100::1",
    "100:0:0:1::1",
    "64:ff9b:1::1",
    "64:ff9b:1::808:808",
    "200::1",
    "1fff::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff:ffff::1",
    "2001:db8::1",
    "2002::1",
    "3ffe::1",
    "3fff::1",
    "3fff:fff:ffff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fdff:ffff::1",
    "fe80::1",
    "fe80::1%lo",
    "febf::1",
    "fec0::1",
    "feff::1",
    "ff00::1",
    "ff02::1",
    "ff0e::1",
    "ffff::1",
]


def embedded(address: str) -> Iterator[str]:
    """Every way to carry this IPv4 address in an IPv6 address that is in use today."""
    high, low = divmod(int(IPv4Address(address)), 1 << 16)
    yield f"::ffff:{address}"
    yield f"::ffff:{high:x}:{low:x}"
    yield f"0:0:0:0:0:FFFF:{address}"
    yield f"64:ff9b::{address}"
    yield f"64:ff9b::{high:x}:{low:x}"
    yield f"0064:ff9b:0:0:0:0:{address}"


def tunnelled(address: str) -> Iterator[str]:
    """And every way of old."""
    number = int(IPv4Address(address))
    high, low = divmod(number, 1 << 16)
    other_high, other_low = divmod(number ^ 0xFFFF_FFFF, 1 << 16)
    yield f"::{address}"
    yield f"::ffff:0:{address}"
    yield f"2002:{high:x}:{low:x}::1"
    yield f"2002:{high:x}:{low:x}::"
    yield f"2001:0:{high:x}:{low:x}::1"
    yield f"2001:0:1234:5678:0:0:{other_high:x}:{other_low:x}"
    yield f"fe80::5efe:{address}"
    yield f"2a00:1450:4001:800:0:5efe:{address}"
    yield f"2a00:1450:4001:800:200:5efe:{high:x}:{low:x}"
    yield f"64:ff9b:1::{address}"


@pytest.mark.parametrize(
    "address", [*PUBLIC_4, *PUBLIC_6, *(form for address in PUBLIC_4 for form in embedded(address))]
)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *PRIVATE_4,
        *PRIVATE_6,
        *(form for address in PRIVATE_4 for form in embedded(address)),
        *(form for address in [*PRIVATE_4[::4], *PUBLIC_4[:2]] for form in tunnelled(address)),
    ],
)
def test_any_other_address_is_not_however_it_is_wrapped(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_ipv4_is_judged_alike_in_every_form_in_use(address: IPv4Address) -> None:
    assert {is_public(form) for form in embedded(str(address))} == {is_public(address)}


@given(st.ip_addresses(v=4))
def test_what_python_calls_private_is_never_public(address: IPv4Address) -> None:
    assert not (is_public(address) and (not address.is_global or address.is_multicast))


@given(st.ip_addresses(v=6))
def test_only_global_unicast_and_addresses_in_use_around_ipv4_are_public(address: IPv6Address) -> None:
    if is_public(address):
        assert int(address) >> 125 == 1 or address.ipv4_mapped or str(address).startswith("64:ff9b:")


def test_what_is_no_address_is_not_judged() -> None:
    with pytest.raises(ValueError, match="example"):
        is_public("example.com")


LOOPBACK_SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "0177.1",
    "017700000001",
    "00000177.0x0.1",
    "127.0.0.01",
    "127.0.0.0x1",
    "0",
    "0.0",
    "0x0",
    "0.0.0.0",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "localhost",
    "LOCALHOST",
    "localhost.",
]


class Recorder:
    """Makes sockets, notes for which address, and refuses each: nothing is connected to."""

    def __init__(self) -> None:
        self.connected: list[str] = []

    def __call__(self, address: AddrInfoType) -> socket.socket:
        self.connected.append(str(address[4][0]))
        raise OSError("refused")


async def asked(host: str, network: Recorder, resolve: Resolve | None = None) -> None:
    async with make_client(resolve=resolve, socket_factory=network) as client:
        await client.get(f"http://{f'[{host}]' if ':' in host else host}/tom.jpg")


@pytest.fixture
def resolver() -> Iterator[SystemResolver]:
    resolver = SystemResolver()
    yield resolver
    resolver.close()


def answering(*answers: list[str]) -> Resolve:
    """A resolver that says one thing the first time and another the next."""
    left = list(answers)

    async def answer(host: str, port: int) -> list[str]:
        return left.pop(0)

    return answer


@pytest.mark.parametrize("host", LOOPBACK_SPELLINGS)
async def test_the_address_is_judged_and_not_its_spelling(host: str, resolver: SystemResolver) -> None:
    """The system's resolver reads decimal, octal, hexadecimal and short forms: so must the guard."""
    network = Recorder()
    with pytest.raises((SourceNotAllowed, httpx.ConnectError, httpx.InvalidURL)):
        await asked(host, network)
    assert network.connected == []
    with pytest.raises((SourceNotAllowed, OSError)):
        await Guard([], resolver.resolve).addresses(host, 80)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "localhost"])
async def test_a_server_on_loopback_sees_no_connection(server: Server, host: str) -> None:
    server.put("/tom.jpg", reply(b"tom"))
    async with make_client() as client:
        with pytest.raises(SourceNotAllowed, match="private_networks") as refusal:
            await client.get(f"http://{host}:{server.port}/tom.jpg")
    assert host not in refusal.value.message
    assert server.connections == 0


async def test_a_private_host_is_exempt_and_no_other(server: Server) -> None:
    server.put("/tom.jpg", reply(b"tom"))
    async with make_client(private_hosts=["127.0.0.1"]) as client:
        assert (await client.get(f"{server.url}/tom.jpg")).content == b"tom"
        with pytest.raises(SourceNotAllowed):
            await client.get(f"http://localhost:{server.port}/tom.jpg")
    assert server.connections == 1


async def test_one_private_address_among_public_ones_refuses_the_host() -> None:
    for addresses in (["8.8.8.8", "127.0.0.1"], ["::1", "8.8.8.8"], ["8.8.8.8"] * 9 + ["10.0.0.1"]):
        network = Recorder()
        with pytest.raises(SourceNotAllowed) as refusal:
            await asked("photos.test", network, answering(addresses))
        assert network.connected == []
        assert not any(address in refusal.value.message for address in addresses)


async def test_a_name_that_changes_its_answer_gains_nothing() -> None:
    """DNS rebinding: what was judged is what is connected to, so a second answer is judged anew."""
    network = Recorder()
    resolve = answering(["8.8.8.8"], ["127.0.0.1"])
    async with make_client(resolve=resolve, socket_factory=network) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://photos.test/tom.jpg")
        with pytest.raises(SourceNotAllowed):
            await client.get("http://photos.test/tom.jpg")
    assert network.connected == ["8.8.8.8"]


async def test_the_judged_address_is_connected_to_and_the_host_header_keeps_the_name(server: Server) -> None:
    server.put("/tom.jpg", reply(b"tom"))
    client = make_client(private_hosts=["photos.test"], resolve=answering(["127.0.0.1"]))
    async with client:
        assert (await client.get(f"http://photos.test:{server.port}/tom.jpg")).content == b"tom"
    assert server.asked[0].headers["host"] == f"photos.test:{server.port}"


async def test_when_one_address_refuses_the_next_is_tried(server: Server) -> None:
    server.put("/tom.jpg", reply(b"tom"))
    addresses = ["127.0.0.2", "::1", "127.0.0.1"]
    async with make_client(private_hosts=["photos.test"], resolve=answering(addresses)) as client:
        assert (await client.get(f"http://photos.test:{server.port}/tom.jpg")).content == b"tom"


async def test_families_take_turns_and_tries_are_few() -> None:
    network = Recorder()
    addresses = ["2a00::1", "2a00::2", "2a00::3", "8.8.8.8", "8.8.4.4", "1.1.1.1"]
    with pytest.raises(httpx.ConnectError):
        await asked("photos.test", network, answering(addresses))
    assert network.connected[:4] == ["2a00::1", "8.8.8.8", "2a00::2", "8.8.4.4"]
    assert len(set(network.connected)) == 4


@pytest.mark.parametrize(
    "host", ["does-not-exist.invalid", "x" * 64 + ".test", "a..test", "%00", "evil.com\\x"]
)
async def test_a_name_that_does_not_resolve_cannot_be_connected_to(
    host: str, resolver: SystemResolver
) -> None:
    with pytest.raises(OSError, match=r"."):
        await Guard([], resolver.resolve).addresses(host, 80)


async def test_a_name_without_an_address_cannot_be_connected_to() -> None:
    with pytest.raises(httpx.ConnectError):
        await asked("photos.test", Recorder(), answering([]))


async def test_a_refusal_reaches_the_caller_of_httpx_as_it_is() -> None:
    async with make_client(resolve=answering(["10.0.0.1"])) as client:
        with pytest.raises(SourceNotAllowed, match="private_networks"):
            await client.get("http://photos.test/")


async def test_a_name_that_does_not_resolve_is_an_error_of_httpx() -> None:
    async def broken(host: str, port: int) -> list[str]:
        raise OSError

    async with make_client(resolve=broken) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://photos.test/")


@contextmanager
def deaf(address: str, port: int) -> Iterator[None]:
    """Nobody answers there, and nobody refuses: a listener whose backlog is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((address, port))
        yield


async def test_an_address_that_says_nothing_is_left_for_the_next(server: Server) -> None:
    server.put("/tom.jpg", reply(b"tom"))
    with deaf("127.0.0.9", server.port):
        there = answering(["127.0.0.9", "127.0.0.1"])
        async with make_client(private_hosts=["photos.test"], resolve=there) as client:
            answer = await client.get(f"http://photos.test:{server.port}/tom.jpg", timeout=20)
    assert answer.content == b"tom"


async def test_an_address_that_says_nothing_is_left_in_time(server: Server) -> None:
    with deaf("127.0.0.9", server.port):
        there = answering(["127.0.0.9"])
        async with make_client(private_hosts=["photos.test"], resolve=there) as client:
            with pytest.raises(httpx.ConnectTimeout):
                await client.get(f"http://photos.test:{server.port}/tom.jpg", timeout=0.2)


async def test_a_client_that_is_closed_leaves_no_thread_behind() -> None:
    async with make_client() as client:
        with pytest.raises(SourceNotAllowed):
            await client.get("http://localhost/tom.jpg")
        threads = [each for each in threading.enumerate() if each.name.startswith("lookup")]
        assert threads
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


async def test_callers_that_ask_for_one_name_at_a_time_share_a_lookup(
    resolver: SystemResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = [], threading.Event()

    def slow(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        answer.wait(20)
        return [(0, 0, 0, "", ("8.8.8.8", port))]

    monkeypatch.setattr("proxy.origins.guard.getaddrinfo", slow)
    waiting = [asyncio.create_task(resolver.resolve("photos.test", 80)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    answer.set()
    assert await asyncio.gather(*waiting[1:]) == [["8.8.8.8"]] * 4
    assert asked == ["photos.test"]
