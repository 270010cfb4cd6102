"""Varnish and nginx as docs/cdn.md says to run them, with the very files of docs/cdn/."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.paths import ROOT
from tests.services import free_port

SNIPPETS = ROOT / "docs" / "cdn"
START_TIMEOUT = 30.0  # s


def find(name: str) -> str:
    """These live where a user's PATH does not always lead. Raises RuntimeError."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    found = shutil.which(name, path=path)
    if found is None:
        raise RuntimeError(
            f"these tests need a real {name} (Debian: apt install varnish varnish-modules nginx)"
        )
    return found


@contextmanager
def varnish(backend_port: int) -> Iterator[str]:
    """The URL of a Varnish before the backend at this port."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="varnish-") as folder:
        Path(folder, "default.vcl").write_text(
            f"""
            vcl 4.1;
            backend default {{ .host = "127.0.0.1"; .port = "{backend_port}"; }}
            acl purgers {{ "127.0.0.1"; }}
            include "{SNIPPETS}/varnish.vcl";
            sub vcl_deliver {{ set resp.http.x-hits = obj.hits; }}
            """
        )
        command = (
            *(find("varnishd"), "-F", "-n", f"{folder}/work", "-j", "none", "-f", f"{folder}/default.vcl"),
            *("-a", f"127.0.0.1:{port}", "-s", "malloc,64m", "-p", "thread_pools=1"),
            *("-p", "thread_pool_min=50", "-p", f"vcl_path={SNIPPETS}"),
        )
        with _running(command, port, Path(folder, "log")):
            yield f"http://127.0.0.1:{port}"


@contextmanager
def nginx(backend_port: int) -> Iterator[str]:
    """The URL of an nginx before the backend at this port; `X-Cache` is what it did."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="nginx-") as folder:
        # Started by root its workers are somebody else.
        Path(folder).chmod(0o755)
        temporary = "\n".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        Path(folder, "nginx.conf").write_text(
            f"""
            daemon off;
            {"user root;" if os.geteuid() == 0 else ""}
            worker_processes 1;
            pid {folder}/pid;
            error_log stderr warn;
            events {{ worker_connections 512; }}
            http {{
              access_log off;
              {temporary}
              proxy_cache_path {folder}/cache keys_zone=images:10m max_size=64m inactive=1d use_temp_path=off;
              include {SNIPPETS}/nginx-accept.conf;
              server {{
                listen 127.0.0.1:{port};
                location / {{
                  proxy_pass http://127.0.0.1:{backend_port};
                  proxy_cache images;
                  include {SNIPPETS}/nginx-location.conf;
                  add_header X-Cache $upstream_cache_status always;
                }}
              }}
            }}
            """
        )
        command = (find("nginx"), "-p", folder, "-c", f"{folder}/nginx.conf", "-e", "stderr")
        with _running(command, port, Path(folder, "log")):
            yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(command: Sequence[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(START_TIMEOUT)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
