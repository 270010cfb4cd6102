"""A renderer that a hostile image has taken over may say anything: that picture fails, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.errors import Overloaded, TooCostly
from proxy.renderers import protocol
from proxy.renderers.client import RendererClient


def reply(header: object, body: bytes = b"") -> bytes:
    packed = header if isinstance(header, bytes) else json.dumps(header).encode()
    return protocol.LENGTHS.pack(len(packed), len(body)) + packed + body


NONSENSE = {
    "not JSON": reply(b"\xff{"),
    "not an object": reply([]),
    "nested": reply(b"[" * 60_000),
    "nothing": reply({}),
    "no header": reply({"header": "text"}),
    "unknown error": reply({"error": "no_such", "message": "", "facts": {}}),
    "error of no name": reply({"error": [], "message": "", "facts": {}}),
    "no facts": reply({"error": "too_costly", "message": "", "facts": [1]}),
    "facts that overwrite": reply(
        {"error": "too_costly", "message": "", "facts": {"message": "", "self": 1}}
    ),
    "long header": protocol.LENGTHS.pack(2**32 - 1, 0),
    "long body": protocol.LENGTHS.pack(2, 2**64 - 1) + b"{}",
}


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """The process that the rogue says it is."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


async def answered_by_rogue(folder: Path, *, pid: int, at: int, said: bytes) -> None:
    """Asks for a picture where the only renderer greets with `pid` and `at`, says `said` and leaves."""

    async def rogue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        header_bytes, body_bytes = protocol.LENGTHS.unpack(await reader.readexactly(protocol.LENGTHS.size))
        await reader.readexactly(header_bytes + body_bytes)
        writer.write(protocol.GREETING.pack(pid, at) + said)
        writer.close()

    async with await asyncio.start_unix_server(rogue, folder / "rogue"):
        await RendererClient(str(folder / "rogue"), queue_timeout=1).run("render", {}, b"original", 5)


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
async def test_a_renderer_that_talks_nonsense_is_killed(
    said: bytes, tmp_path: Path, victim: subprocess.Popen[bytes]
) -> None:
    with pytest.raises(TooCostly, match="went wrong"):
        await answered_by_rogue(tmp_path, pid=victim.pid, at=time.monotonic_ns(), said=said)
    assert await asyncio.to_thread(victim.wait, 5) < 0


@pytest.mark.parametrize("pid", [0, 1, os.getpid(), 2**32 - 1], ids=["0", "1", "ours", "4294967295"])
async def test_a_renderer_cannot_turn_the_kill_against_others(pid: int, tmp_path: Path) -> None:
    """0 would mean our own process group."""
    with pytest.raises(TooCostly, match="went wrong"):
        await answered_by_rogue(tmp_path, pid=pid, at=2**64 - 1, said=NONSENSE["nothing"])


async def test_half_a_greeting_is_no_greeting(tmp_path: Path) -> None:
    async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"abc")
        writer.close()

    async with await asyncio.start_unix_server(mute, tmp_path / "mute"):
        with pytest.raises(Overloaded):
            await RendererClient(str(tmp_path / "mute"), queue_timeout=0.1).run("render", {}, b"", 5)


@given(st.binary(max_size=200) | st.text(alphabet='[]{}":,0e-9.ntf').map(str.encode))
def test_whatever_comes_unpacks_or_is_a_value_error(packed: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(protocol.unpack(packed), dict)
