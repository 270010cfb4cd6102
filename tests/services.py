"""Real servers for tests, on free ports of the loopback interface, stopped by whoever started them."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.paths import ROOT

_TOOLS = ROOT / ".tools"
START_TIMEOUT = 30.0  # s


@dataclass(kw_only=True)
class RedisServer:
    """One redis-server that keeps nothing on disk. `stop` and `start` again: same port, empty."""

    binary: str
    folder: str
    port: int
    options: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Returns when it answers; raises RuntimeError, with what it said, when it does not."""
        log = Path(self.folder, "log")
        with log.open("wb") as output:
            self.process = subprocess.Popen(self.command(), stdout=output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"redis-server did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.01)

    def command(self) -> list[str]:
        return [
            self.binary,
            *("--bind", "127.0.0.1", "--port", str(self.port)),
            *("--save", "", "--appendonly", "no", "--dir", self.folder),
            *self.options,
        ]

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(START_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _answers(self) -> bool:
        """Asked for a password is an answer too."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


@contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    """`options` are redis-server's own, as on its command line."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(binary=find_redis(), folder=folder, port=free_port(), options=options)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def find_redis() -> str:
    """The environment's `REDIS_SERVER`, else on PATH, else anywhere in `.tools/`. Raises RuntimeError."""
    named = os.environ.get("REDIS_SERVER")
    if named:
        found, where = shutil.which(named), f"REDIS_SERVER is {named!r}"
    else:
        found, where = shutil.which("redis-server") or _unpacked(), f"none on PATH, none in {_TOOLS}"
    if found is None:
        raise RuntimeError(
            f"these tests need a real redis-server: {where} (Debian: apt install redis-server)"
        )
    return found


def _unpacked() -> str | None:
    return next(
        (str(path) for path in sorted(_TOOLS.rglob("redis-server")) if os.access(path, os.X_OK)), None
    )


def free_port() -> int:
    """Below those that the kernel gives away, so that no connection of another test takes it meanwhile."""
    for _ in range(100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(15_000, 30_000)))
            port: int = probe.getsockname()[1]
            return port
    raise RuntimeError("no port is free")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time; the lock ends with its holder, however that ends."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
