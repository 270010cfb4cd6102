"""Every spelling of an address that is not public, asked for as a client would: nobody is connected to."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import quote

import pytest

from proxy.config.environment import InvalidSettings
from proxy.config.settings import load_settings
from proxy.origins.remote_hosts import remote_hosts
from tests.origins.server import redirect, running
from tests.web.serving import client

INSIDE = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.9.9.9", "169.254.169.254",
    "169.254.170.2", "172.16.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
]  # fmt: skip
INSIDE_6 = [
    "::", "::1", "::2", "100::1", "64:ff9b:1::1", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1",
    "2001:db8::1", "2002:7f00:1::", "3ffe::1", "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1",
    "ff02::1", "5f00::1",
]  # fmt: skip
NAMES = [
    "localhost", "LOCALHOST", "localhost.", "ｌｏｃａｌｈｏｓｔ", "loc%61lhost", "lo\u00adcalhost",
]  # fmt: skip


def spelled(address: str) -> Iterator[str]:
    number = int(IPv4Address(address))
    first, second, third, fourth = address.split(".")
    yield address
    yield f"{address}."
    yield str(number)
    yield hex(number)
    yield f"0X{number:X}"
    yield f"0{number:o}"
    yield f"0000000{number:o}"
    yield ".".join(f"{int(part):#x}" for part in address.split("."))
    yield ".".join(f"0{int(part):o}" for part in address.split("."))
    yield f"{first}.{number & 0xFFFFFF}"
    yield f"{first}.{second}.{number & 0xFFFF}"
    yield f"0x{int(first):x}.0{int(second):o}.{third}.{fourth}"
    yield "".join(chr(0xFF10 + int(each)) if each.isdigit() else each for each in address)
    yield address.replace(".", "。")
    yield address.replace(".", "%2e")
    yield "".join(f"%{ord(each):02x}" for each in address)
    yield f"{address}%00"
    yield f"{address}%20"
    for prefix in ("::", "::ffff:", "::ffff:0:", "64:ff9b::", "64:ff9b:1::", "fe80::5efe:", "2002::"):
        yield f"[{prefix}{address}]"
    yield f"[2002:{number >> 16:x}:{number & 0xFFFF:x}::1]"
    yield f"[2001:0:{number >> 16:x}:{number & 0xFFFF:x}::1]"
    yield f"[0:0:0:0:0:FFFF:{number >> 16:x}:{number & 0xFFFF:x}]"


HOSTS = [
    *(spelling for address in INSIDE for spelling in spelled(address)),
    *(f"[{address}{zone}]" for address in INSIDE_6 for zone in ("", "%25lo", "%lo")),
    *NAMES,
]

AROUND = [
    "HTTP://{}/x", "http:/{}/x", "http:{}/x", "//{}/x", "http:///{}/x", "http:\\\\{}\\x", "http:/\\{}/x",
    "http://me:pw@{}/x", "http://cdn.test@{}/x", "http://cdn.test\\@{}/x", "http://cdn.test#@{}/x",
    "http://cdn.test?@{}/x", "http://cdn.test;@{}/x", "http://@{}/x", "http://:@{}/x", "ftp://{}/x",
    "file://{}/etc/passwd", "gopher://{}/x", "dict://{}/x", "ws://{}/x", "http+unix://{}/x", "url:http://{}/x",
    " http://{}/x", "http:// {}/x", "http://\u200b{}/x", "http://.{}/x", "http://{}..:80/x", "https:/{}/x",
]  # fmt: skip
"""Other ways to lead to a host, as a key and as a place that an origin redirects to."""


def test_the_table_has_several_hundred_spellings() -> None:
    assert len(set(HOSTS)) > 500


@pytest.mark.slow
async def test_no_spelling_of_an_address_inside_is_connected_to(renderers: str, tmp_path: Path) -> None:
    """Not even where the operator listed it."""
    async with running() as server:
        # A listener that every one of them would reach, if only through the port.
        keys = [f"http://{host}:{server.port}/x" for host in HOSTS]
        keys += [form.format(f"127.0.0.1:{server.port}") for form in AROUND]
        hosts = ",".join(listed(server.port))
        async with client(renderers, origin=str(tmp_path), remote_hosts=hosts) as http:
            for key in keys:
                for path in (key, quote(key, safe="")):
                    answer = await http.get(f"/w_1/{quote(path, safe='%:/[]@;=', encoding='utf-8')}")
                    assert answer.status_code in (400, 403, 404, 502), (path, answer.text)
            readable = await http.get("/readyz")
        assert server.connections == 0
    assert readable.status_code == 200


@pytest.mark.slow
async def test_no_redirect_leads_to_an_address_inside(renderers: str) -> None:
    async with running() as origin, running() as outside:
        flags = {"origin": origin.url, "private_networks": True}
        async with client(renderers, **flags) as http:
            for number, host in enumerate([*HOSTS, *AROUND]):
                place = (host if "{}" in host else f"http://{host}/x").format("127.0.0.1")
                place = place.replace("/x", f":{outside.port}/x", 1)
                origin.put(f"/{number}.jpg", redirect(quote(place, safe="%:/[]@;=\\#? ")))
                answer = await http.get(f"/w_1/{number}.jpg")
                assert answer.status_code in (403, 404, 502), (place, answer.text)
                assert str(outside.port) not in answer.text
        assert outside.connections == 0


def listed(port: int) -> list[str]:
    """As many of them as a setting takes."""
    found = []
    for host in HOSTS:
        for entry in (host, f"{host}:{port}"):
            try:
                load_settings(remote_hosts=entry)
                remote_hosts([entry])
            except (ValueError, InvalidSettings):
                continue
            found.append(entry)
    return found
