"""A renderer in the test's own event loop: it accepts every job at once, and answers when it is told."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from proxy.renderers import Reply
from proxy.renderers.protocol import ACCEPTANCE, FRAME_PREFIX, pack_answer
from tests.renderers.tasks import picture_of


@dataclass(kw_only=True)
class FakeJob:
    """One that was accepted at `accepted` (monotonic ns)."""

    options: str
    accepted: int
    writer: asyncio.StreamWriter = field(repr=False)

    def answer(self) -> None:
        start, bodies = pack_answer(Reply(files=(picture_of(self.options.encode()),)))
        self.writer.write(start + b"".join(bodies))
        self.writer.close()


@dataclass(kw_only=True)
class FakeRenderer:
    socket_path: str
    _jobs: asyncio.Queue[FakeJob] = field(default_factory=asyncio.Queue)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def next_job(self) -> FakeJob:
        async with asyncio.timeout(20):
            return await self._jobs.get()

    @property
    def is_idle(self) -> bool:
        """Whether all jobs that came were given out by `next_job`."""
        return self._jobs.empty()

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
            await writer.wait_closed()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        header_bytes, _, *sizes = FRAME_PREFIX.unpack(await reader.readexactly(FRAME_PREFIX.size))
        header = json.loads(await reader.readexactly(header_bytes))
        await reader.readexactly(sum(sizes))
        accepted = time.monotonic_ns()
        writer.write(ACCEPTANCE.pack(os.getpid(), accepted))
        self._jobs.put_nowait(FakeJob(options=header["options"], accepted=accepted, writer=writer))


@asynccontextmanager
async def fake_renderer(folder: Path) -> AsyncIterator[FakeRenderer]:
    fake = FakeRenderer(socket_path=str(folder / "fake"))
    async with await asyncio.start_unix_server(fake.serve, fake.socket_path):
        yield fake
        await fake.close()
