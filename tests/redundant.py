"""Redis as it is run to survive a dead machine: a Cluster of three masters, a master under Sentinels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from redis import Redis

from tests.services import RedisServer, find_redis, free_port, redis_server

CHANGE_TIMEOUT = 30.0  # s
SERVICE = "main"


@dataclass(frozen=True, kw_only=True)
class Redundant:
    """`servers` by port; `url` is how a cache is told of them."""

    url: str
    servers: dict[int, RedisServer]

    def kill(self, port: int) -> None:
        process = self.servers[port].process
        assert process is not None
        process.kill()
        process.wait()


def ask(node: Redis, *command: str | int) -> Any:
    return node.execute_command(*command)  # type: ignore[no-untyped-call]


@contextmanager
def redis_cluster() -> Iterator[Redundant]:
    """Three masters and a replica for each, all slots covered and all replicas in step."""
    with ExitStack() as stack:
        started = [stack.enter_context(_cluster_node()) for _ in range(6)]
        servers = {server.port: server for server in started}
        _join([server.port for server in started])
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in started[:3])
        yield Redundant(url=f"redis+cluster://{hosts}", servers=servers)


@contextmanager
def _cluster_node() -> Iterator[RedisServer]:
    cluster = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1500")
    # The bus port is the port plus 10,000 by itself, which may not be free, or not be a port.
    bus = ("--cluster-port", str(free_port()))
    with redis_server(*cluster, *bus, "--repl-diskless-sync-delay", "0") as server:
        yield server


def _join(ports: Sequence[int]) -> None:
    """`redis-cli --cluster create`, without its questions and its pauses of a second."""
    nodes = [Redis(port=port, decode_responses=True) for port in ports]
    for place, node in enumerate(nodes):
        ask(node, "CLUSTER", "SET-CONFIG-EPOCH", place + 1)
    bounds = (0, 5461, 10923, 16384)
    for node, first, stop in zip(nodes, bounds, bounds[1:], strict=False):
        ask(node, "CLUSTER", "ADDSLOTSRANGE", first, stop - 1)
    for node in nodes[1:]:
        bus = int(node.config_get("cluster-port")["cluster-port"] or 0)
        port = node.connection_pool.connection_kwargs["port"]
        ask(nodes[0], "CLUSTER", "MEET", "127.0.0.1", port, bus)
    until(lambda: all(len(_known(node)) == len(nodes) for node in nodes), "the nodes to know each other")
    for replica, master in zip(nodes[3:], nodes[:3], strict=True):
        ask(replica, "CLUSTER", "REPLICATE", ask(master, "CLUSTER", "MYID"))
    # Without this no failover ever happens: who has no data does not stand for election.
    until(lambda: all(_in_step(node) for node in nodes[3:]), "the replicas to be in step")
    until(lambda: all(_is_whole(node) for node in nodes), "the cluster to be whole")
    for node in nodes:
        node.close()


def _known(node: Redis) -> dict[str, dict[str, str]]:
    known: dict[str, dict[str, str]] = ask(node, "CLUSTER NODES")
    return {name: each for name, each in known.items() if "handshake" not in each["flags"]}


def _in_step(replica: Redis) -> bool:
    return replica.info("replication").get("master_link_status") == "up"


def _is_whole(node: Redis) -> bool:
    replicas = sum("slave" in each["flags"] for each in _known(node).values())
    return replicas == 3 and ask(node, "CLUSTER INFO")["cluster_state"] == "ok"


@contextmanager
def redis_sentinel() -> Iterator[Redundant]:
    """A master, a replica in step, and three Sentinels that call a silent master dead after a second."""
    with ExitStack() as stack:
        delay = ("--repl-diskless-sync-delay", "0")
        master = stack.enter_context(redis_server(*delay))
        replica = stack.enter_context(redis_server("--replicaof", f"127.0.0.1 {master.port}", *delay))
        sentinels = [stack.enter_context(_sentinel(master.port)) for _ in range(3)]
        with Redis(port=replica.port) as client:
            until(lambda: _in_step(client), "the replica to be in step")
        until(lambda: all(_sees_all(sentinel.port) for sentinel in sentinels), "the Sentinels to see all")
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
        servers = {server.port: server for server in (master, replica, *sentinels)}
        yield Redundant(url=f"redis+sentinel://{hosts}/{SERVICE}/0", servers=servers)


def _sees_all(port: int) -> bool:
    with Redis(port=port, decode_responses=True) as sentinel:
        state = sentinel.sentinel_master(SERVICE)
    assert isinstance(state, dict)
    return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2)


class Sentinel(RedisServer):
    def command(self) -> list[str]:
        return [self.binary, str(Path(self.folder, "sentinel.conf")), "--sentinel"]


@contextmanager
def _sentinel(master: int) -> Iterator[Sentinel]:
    with TemporaryDirectory(prefix="sentinel-") as folder:
        sentinel = Sentinel(binary=find_redis(), folder=folder, port=free_port())
        Path(folder, "sentinel.conf").write_text(
            f"bind 127.0.0.1\nport {sentinel.port}\ndir {folder}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {master} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} 1000\n"
            f"sentinel failover-timeout {SERVICE} 5000\n"
        )
        sentinel.start()
        try:
            yield sentinel
        finally:
            sentinel.stop()


def until(happens: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + CHANGE_TIMEOUT
    while not happens():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {CHANGE_TIMEOUT} s for {what}")
        time.sleep(0.05)
