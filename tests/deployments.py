"""The service as it is run: processes of its own, on a free port."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.telemetry.logs import MAX_DELAY
from tests.paths import ROOT


@dataclass(frozen=True, kw_only=True)
class Deployed:
    url: str
    process: subprocess.Popen[str]
    log: Path

    def kill(self) -> None:
        """As the kernel does when memory runs out: nothing is put in order."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def logged(self, event: str) -> list[dict[str, Any]]:
        time.sleep(2 * MAX_DELAY)  # lines of requests are written together
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in lines if line.get("event") == event]

    def requests(self, path: str) -> list[int]:
        """The statuses of all requests for this path until now."""
        return [line["status"] for line in self.logged("request") if line["path"] == path]

    def failures(self) -> list[dict[str, Any]]:
        """What was answered with a 500, with its traceback."""
        return self.logged("request_failed")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


_CLOCK_AHEAD = """import time
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + {seconds}
time.time_ns = lambda: _time_ns() + {seconds} * 10**9
"""


def open_to_all(settings: Mapping[str, Any]) -> dict[str, str]:
    """What lets a test ask for any picture unsigned, unless it says itself who may."""
    says = {"secrets", "secrets_file", "unsigned", "dev"} & settings.keys()
    return {} if says else {"unsigned": "allow"}


@contextmanager
def deployed(clock_ahead: int = 0, /, **settings: str | int) -> Iterator[Deployed]:
    """
    `image-proxy serve`, with these settings as variables, from when it listens until it has drained.

    All of its processes have the wall clock of `time.time` so many seconds ahead.
    """
    given = {
        "cache": "memory://64MB",
        "originals_cache": "none",
        "private_networks": "true",
        "log_format": "json",
        "renderers": 1,
        **open_to_all(settings),
    }
    environ = {f"IMAGE_PROXY_{name.upper()}": str(value) for name, value in (given | settings).items()}
    with tempfile.TemporaryDirectory(prefix="deployed-") as folder:
        log = Path(folder, "log")
        Path(folder, "sitecustomize.py").write_text(_CLOCK_AHEAD.format(seconds=clock_ahead))
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", "from proxy.cli import main; main()", "serve", "--port", "0"],
                env=os.environ
                | {"PYTHONPATH": os.pathsep.join([folder, str(ROOT)] if clock_ahead else [str(ROOT)])}
                | environ,
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        with process:
            assert process.stdout is not None
            try:
                said = process.stdout.readline()
                found = re.search(r"listens on (\S+)", said)
                if found is None:
                    process.kill()
                    raise RuntimeError(f"it does not serve: {said} {log.read_text(errors='replace')}")
                yield Deployed(url=found[1], process=process, log=log)
            finally:
                if process.poll() is None:
                    process.terminate()
                try:
                    process.wait(40)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
