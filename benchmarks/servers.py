"""Servers of `peers.toml`, other checkouts, nginx and the bare loop: started, and their URLs."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from benchmarks.processes import running
from benchmarks.scenarios import Kind, Scenario

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools" / "peers"
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{ access_log {folder}/access.log; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_requests 100000; server {{ listen 127.0.0.1:{port}; root {folder}; }} }}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One table of `peers.toml`."""

    name: str
    command: str
    crop: str
    width: str = ""
    quality: str = ""
    needs: str = ""
    only: tuple[str, ...] = ()
    caches: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    def missing(self, places: Mapping[str, object]) -> bool:
        path = self.needs.format_map(places)
        return bool(path) and not (Path(path).exists() or shutil.which(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that runs; `origin` is what its URLs call the origin."""

    name: str
    pid: int
    port: int
    entry: Entry
    origin: str

    def takes_part(self, scenario: Scenario) -> bool:
        return scenario.fits(self.entry.only, self.entry.caches)

    def target(self, scenario: Scenario, key: str, width: int, format: str) -> str:
        template = self.entry.crop if scenario.height else self.entry.width
        quality = "" if format == "png" else self.entry.quality.format(value=scenario.quality)
        return template.format(
            key=key, width=width, height=scenario.height, format=format, quality=quality, origin=self.origin,
        )  # fmt: skip


def entries(path: Path) -> Iterator[Entry]:
    """Read the servers of a file like `peers.toml`."""
    for name, table in tomllib.loads(path.read_text()).items():
        yield Entry(**{**cast(dict[str, Any], table), "name": name, "only": tuple(table.get("only", ()))})


def checkout(ours: Entry, folder: Path) -> Entry:
    """Another checkout of image-proxy, run by the interpreter of its own `.venv`."""
    command = ours.command.replace("{python} -m proxy", f"{folder.resolve()}/.venv/bin/image-proxy")
    return Entry(
        name=folder.resolve().name, command=command, crop=ours.crop, width=ours.width,
        quality=ours.quality, caches=True,
        environment={"PYTHONPATH": str(folder.resolve())},
    )  # fmt: skip


@contextmanager
def server(entry: Entry, places: Mapping[str, object]) -> Iterator[Server]:
    """Start an entry's server in a folder of its own. Raises RuntimeError when it does not start."""
    with tempfile.TemporaryDirectory() as folder:
        filled = {**places, "folder": folder}
        command = shlex.split(entry.command.format_map(filled))
        environment = {name: value.format_map(filled) for name, value in entry.environment.items()}
        port = cast(int, places["port"])
        with running(
            command, port, cwd=Path(folder), environment={"PYTHONPATH": str(ROOT), **environment}
        ) as pid:
            yield Server(name=entry.name, pid=pid, port=port, entry=entry, origin=str(places["origin"]))


@contextmanager
def nginx(body: bytes, port: int) -> Iterator[Server]:
    """nginx with one worker and `body` as a static file: the limit of hits, with an access log as ours."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        Path(folder, "hit.jpg").write_bytes(body)
        Path(folder, "conf").write_text(NGINX.format(folder=folder, port=port))
        program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        only = (Kind.HIT.value, Kind.NOT_MODIFIED.value)
        entry = Entry(name="nginx", command="", crop="/hit.jpg", only=only, caches=True)
        command = [program or "nginx", "-c", f"{folder}/conf"]
        with running(command, port, cwd=Path(folder)) as pid:
            yield Server(name="nginx", pid=pid, port=port, entry=entry, origin="")


class Bare:
    """The loop of `bare.py`, in as many processes as servers have renderers."""

    def __init__(self, processes: int) -> None:
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.bare"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
                env={"VIPS_CONCURRENCY": "1", "PATH": "/usr/bin:/bin"},
            )
            for _ in range(processes)
        ]  # fmt: skip

    def run(self, scenario: Scenario, folder: Path) -> tuple[int, float, float]:
        """How many renditions were made, and the seconds and CPU seconds of all."""
        count = max(scenario.count // len(self.processes), 1)
        job = {
            "path": str(folder / scenario.original), "width": scenario.width, "height": scenario.height,
            "format": scenario.format, "quality": scenario.quality, "count": count,
        }  # fmt: skip
        started = time.perf_counter()
        for each in self.processes:
            assert each.stdin is not None
            each.stdin.write(json.dumps(job) + "\n")
            each.stdin.flush()
        cpu = sum(float(self.line(each)) for each in self.processes)
        return count * len(self.processes), time.perf_counter() - started, cpu

    @staticmethod
    def line(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline() or "nan"

    def close(self) -> None:
        for each in self.processes:
            each.kill()
            each.communicate()


def install() -> None:
    """Install ipx and thumbor, pinned by their locks, into `.tools/peers`, with npm and pip."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    here = ROOT / "benchmarks" / "peers"
    if shutil.which("npm"):
        for name in ("package.json", "package-lock.json"):
            shutil.copy(here / name, TOOLS)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=TOOLS, check=True)
    subprocess.run([sys.executable, "-m", "venv", TOOLS / "thumbor"], check=True)
    pip = [
        TOOLS / "thumbor" / "bin" / "pip",
        "install",
        "-q",
        "--require-hashes",
        "-r",
        here / "thumbor.lock",
    ]
    subprocess.run(pip, check=True)


if __name__ == "__main__":
    install()
