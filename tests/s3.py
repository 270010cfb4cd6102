"""
A real S3 that verifies signatures, on loopback: OpenStack Swift with its `s3api`, as Debian packages it
(swift-proxy, swift-account, swift-container, swift-object, memcached). One copy of everything, nothing kept.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from tests.paths import ROOT
from tests.services import free_port, locked

RINGS = ("account", "container", "object")
PROGRAMS = (
    "memcached",
    "swift-ring-builder",
    "swift-proxy-server",
    *(f"swift-{ring}-server" for ring in RINGS),
)
PIPELINE = (
    "catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth slo dlo versioned_writes "
    "proxy-server"
)
EGGS = {"cache": "memcache"}
START_TIMEOUT = 180.0  # s

# On a busy machine the one node there is answers late, and must not be taken for dead.
NODE_TIMEOUTS = (
    "conn_timeout = 30\nnode_timeout = 60\nrecoverable_node_timeout = 60\nerror_suppression_limit = 1000000\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Server:
    """
    `bucket` is there and empty at the start. `hosted` is the same store for whom the first label of a host is
    the bucket: that of 127.0.0.1 is `127`, which is there too, and no name has to be looked up.
    """

    endpoint: str
    hosted: str
    hosted_bucket: str = "127"
    bucket: str = "originals"
    access_key_id: str = "test:tester"
    secret_access_key: str = "testing"
    region: str = "us-east-1"

    @property
    def config(self) -> dict[str, str]:
        """How obstore, and a variable AWS_... in capitals, call them."""
        return {
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
            "endpoint": self.endpoint,
            "region": self.region,
        }


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Raises RuntimeError when the programs are not there, or when they do not start."""
    missing = [name for name in PROGRAMS if _program(name) is None]
    if missing:
        raise RuntimeError(
            f"these tests need a real S3, and {', '.join(missing)} is missing (Debian: apt install "
            "swift-proxy swift-account swift-container swift-object memcached)"
        )
    with tempfile.TemporaryDirectory(prefix="s3-") as name, ExitStack() as stack:
        folder = Path(name)
        ports = {part: free_port() for part in (*RINGS, "proxy", "hosted", "memcached")}
        _configure(folder, ports)
        run = [str(_program("memcached")), "-l", "127.0.0.1", "-p", str(ports["memcached"])]
        stack.enter_context(_running([*run, "-u", getpass.getuser()], folder))
        for part, program in {**{ring: ring for ring in RINGS}, "proxy": "proxy", "hosted": "proxy"}.items():
            run = [str(_program(f"swift-{program}-server")), str(folder / f"{part}-server.conf")]
            stack.enter_context(_running(run, folder))
        server = S3Server(
            endpoint=f"http://127.0.0.1:{ports['proxy']}", hosted=f"http://127.0.0.1:{ports['hosted']}"
        )
        _make_bucket(server)
        yield server


@contextmanager
def shared_s3_server(folder: Path) -> Iterator[S3Server]:
    """
    One server for all processes that name the same folder: the first to come starts it, in a process of its
    own, and it ends when the last has left or died. Raises as `s3_server` does.
    """
    address, log = folder / "s3.json", folder / "s3.log"
    keeper: subprocess.Popen[bytes] | None = None
    with (folder / "s3.users").open("ab") as users:
        with locked(folder / "s3.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)  # waits while a server ends that all had left
            if not address.exists():
                with log.open("wb") as output:
                    keeper = subprocess.Popen(
                        [sys.executable, "-m", "tests.s3", str(folder)],
                        cwd=ROOT,
                        stderr=output,
                        start_new_session=True,  # Ctrl-C is for those who use it
                    )
                while not address.exists():
                    if keeper.poll() is not None:
                        raise RuntimeError(log.read_text(errors="replace"))
                    time.sleep(0.01)
            server = S3Server(**json.loads(address.read_text()))
        yield server
    if keeper is not None:
        keeper.wait()


def _serve_until_all_have_left(folder: Path) -> None:
    address, written = folder / "s3.json", folder / "s3.written"
    with s3_server() as server, (folder / "s3.users").open("ab") as users:
        written.write_text(json.dumps(asdict(server)))
        written.rename(address)
        fcntl.flock(users, fcntl.LOCK_EX)
        address.unlink()


def _program(name: str) -> str | None:
    # Debian's account, container and object servers stand where only root looks.
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")


def _configure(folder: Path, ports: Mapping[str, int]) -> None:
    (folder / "disks" / "one").mkdir(parents=True)
    sections: dict[str, str] = {
        "swift": "[swift-hash]\nswift_hash_path_prefix = p\nswift_hash_path_suffix = s\n"
        "[storage-policy:0]\nname = gold\ndefault = yes\n"
    }
    common = (
        f"[DEFAULT]\nbind_ip = 127.0.0.1\nswift_dir = {folder}\nworkers = 0\nuser = {getpass.getuser()}\n"
    )
    common += "log_address = /dev/null\n"
    for ring in RINGS:
        sections[f"{ring}-server"] = (
            f"{common}bind_port = {ports[ring]}\ndevices = {folder / 'disks'}\nmount_check = false\n"
            f"[pipeline:main]\npipeline = {ring}-server\n[app:{ring}-server]\nuse = egg:swift#{ring}\n"
            f"[{ring}-replicator]\n[{ring}-updater]\n[{ring}-auditor]\n"
        )
        builder = [str(_program("swift-ring-builder")), str(folder / f"{ring}.builder")]
        for step in (
            ["create", "4", "1", "1"],
            ["add", f"r1z1-127.0.0.1:{ports[ring]}/one", "1"],
            ["rebalance"],
        ):
            subprocess.run([*builder, *step], check=True, capture_output=True)
    settings = {
        "tempauth": "user_test_tester = testing .admin .reseller_admin\n",
        "s3api": "s3_acl = no\n",
        "cache": f"memcache_servers = 127.0.0.1:{ports['memcached']}\n",
        "versioned_writes": "allow_versioned_writes = true\n",
    }
    for part, domain in {"proxy": "", "hosted": "storage_domain = 0.0.1\n"}.items():
        told = {**settings, "s3api": settings["s3api"] + domain}
        filters = "".join(
            f"[filter:{name}]\nuse = egg:swift#{EGGS.get(name, name)}\n{told.get(name, '')}"
            for name in PIPELINE.split()[:-1]
        )
        sections[f"{part}-server"] = (
            f"{common}bind_port = {ports[part]}\n[pipeline:main]\npipeline = {PIPELINE}\n"
            f"[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n{NODE_TIMEOUTS}{filters}"
        )
    for name, text in sections.items():
        (folder / f"{name}.conf").write_text(text)


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[None]:
    with (folder / "log").open("ab") as log:
        environment = os.environ | {"SWIFT_DIR": str(folder)}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _make_bucket(server: S3Server) -> None:
    """Through Swift's own interface, for which a token is enough."""
    user = {"x-auth-user": server.access_key_id, "x-auth-key": server.secret_access_key}
    deadline = time.monotonic() + START_TIMEOUT
    with httpx.Client(base_url=server.endpoint, trust_env=False) as http:
        while True:
            try:
                token = http.get("/auth/v1.0", headers=user).headers.get("x-auth-token", "")
                path = f"/v1/AUTH_test/{server.bucket}"
                # The first object tells that the last of the servers listens: until then they answer 503.
                hosted = f"/v1/AUTH_test/{server.hosted_bucket}"
                for made in (path, f"{path}/first", hosted):
                    http.put(made, headers={"x-auth-token": token}).raise_for_status()
                http.delete(f"{path}/first", headers={"x-auth-token": token}).raise_for_status()
                http.get(f"{server.hosted}/healthcheck").raise_for_status()
            except (httpx.TransportError, httpx.HTTPStatusError):
                pass
            else:
                return
            if time.monotonic() > deadline:
                raise RuntimeError("the S3 server did not start")
            time.sleep(0.1)


if __name__ == "__main__":
    _serve_until_all_have_left(Path(sys.argv[1]))
