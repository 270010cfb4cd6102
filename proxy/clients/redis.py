"""
Clients of the three kinds of Redis, each with short time limits and without retries: redis-py's defaults
take 3 s to find a port closed and 25 s to find it silent.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import ClusterError

from proxy.clients.address import TierAddress

STEP_TIMEOUT = 0.1
"""Seconds to redis_client, and to get one answer, where a miss is the worst that being late can cost."""

_DEFAULT_PORTS = {"sentinel": 26379}


class RedisClient(Protocol):
    """One Redis, the master that a Sentinel names, or a cluster."""

    async def execute_command(self, *command: Any) -> Any: ...

    async def aclose(self) -> None: ...

    def subscriber_connection(self) -> Connection:
        """
        A connection for SUBSCRIBE, not connected yet. In a cluster it receives what any client publishes.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class _Location:
    """What an address says about where Redis is; `path` is what follows the hosts."""

    hosts: tuple[tuple[str, int], ...]
    path: tuple[str, ...]
    credentials: Mapping[str, Any]
    tls: bool

    @property
    def kind(self) -> type[Connection]:
        return SSLConnection if self.tls else Connection


def redis_client(address: TierAddress, *, step: float = STEP_TIMEOUT) -> RedisClient:
    """
    Make a client for a `redis://`, `redis+sentinel://` or `redis+cluster://` address, or one with `rediss`.

    `step` are the seconds to connect, and to get one answer. Nothing is connected yet. TLS is verified
    against the system's authorities, or those of the environment's `SSL_CERT_FILE`. Raises ValueError.
    """
    scheme, _, kind = address.scheme.partition("+")
    opener, written, most_parts = _KINDS[kind]
    parts = _read(address.place, tls=scheme == "rediss", port=_DEFAULT_PORTS.get(kind, 6379))
    if parts is None or len(parts.path) > most_parts or (len(parts.hosts) > 1 and not kind):
        raise ValueError(f"Redis is written as {scheme}{written}, not {str(address)!r}")
    try:
        return opener(parts, address, _terms(step))
    except ValueError:
        raise ValueError(f"Redis is written as {scheme}{written}, not {str(address)!r}") from None


def _read(place: str, *, tls: bool, port: int) -> _Location | None:
    identity, _, rest = place.rpartition("@")
    hosts, *path = rest.split("/")
    username, _, password = identity.partition(":")
    try:
        found = [urlsplit(f"//{host}") for host in hosts.split(",")]
        pairs = tuple((host.hostname or "", port if host.port is None else host.port) for host in found)
    except ValueError:
        return None
    if not all(host for host, _ in pairs) or re.search(r"[/#]", identity):
        return None
    credentials = {"username": unquote(username) or None, "password": unquote(password) or None}
    return _Location(hosts=pairs, path=tuple(part for part in path if part), credentials=credentials, tls=tls)


class _Standalone:
    def __init__(self, pool: ConnectionPool, sentinel: Sentinel | None = None) -> None:
        self._pool = pool
        self._redis = Redis.from_pool(pool)
        self._sentinel = sentinel

    async def execute_command(self, *command: Any) -> Any:
        # Untyped in redis-py, whose typed methods do nothing else.
        return await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]

    async def aclose(self) -> None:
        await self._redis.aclose()
        if self._sentinel is not None:
            await self._sentinel.aclose()

    def subscriber_connection(self) -> Connection:
        return self._pool.make_connection()  # type: ignore[no-any-return, no-untyped-call]


class _Cluster:
    """
    Who is master of what is learned in a task of its own, which no caller's time limit cancels: on a busy
    machine it takes longer than a call may, and would never be known.
    """

    def __init__(self, redis: RedisCluster) -> None:
        self._redis = redis
        self._learning: asyncio.Task[RedisCluster] | None = None

    async def execute_command(self, *command: Any) -> Any:
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._redis.initialize())
            self._learning.add_done_callback(_retrieve_exception)
        await asyncio.shield(self._learning)
        try:
            return await self._redis.execute_command(*command)
        except (AttributeError, LookupError) as error:
            # redis-py 8.1, where slots move to or from a node that it does not know yet.
            raise ClusterError("the cluster is being changed") from error

    async def aclose(self) -> None:
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.gather(self._learning, return_exceptions=True)
        await self._redis.aclose()

    def subscriber_connection(self) -> Connection:
        # What is published at one node of a cluster is sent to all of them.
        nodes = self._redis.get_primaries() or self._redis.startup_nodes
        node = next(iter(nodes))
        return node.connection_class(retry=_no_retry(), **node.connection_kwargs)


def _retrieve_exception(done: asyncio.Task[RedisCluster]) -> None:
    if not done.cancelled():
        done.exception()  # when every caller was cancelled, no other code does


def _no_retry() -> Retry:
    return Retry(NoBackoff(), 0)


def _terms(step: float) -> dict[str, Any]:
    return {
        "socket_connect_timeout": step,
        "socket_timeout": step,
        "retry": _no_retry(),
        "protocol": 2,
        "driver_info": None,
    }


def _open_standalone(place: _Location, _: TierAddress, terms: dict[str, Any]) -> RedisClient:
    [(host, port)] = place.hosts
    return _Standalone(
        ConnectionPool(
            connection_class=place.kind, host=host, port=port, db=_database(place.path), **place.credentials,
            **terms,
        )
    )  # fmt: skip


def _open_sentinel(place: _Location, address: TierAddress, terms: dict[str, Any]) -> RedisClient:
    service, *database = place.path
    sentinel_credentials = {
        name: address.options.get(f"sentinel_{name}") or None for name in ("username", "password")
    }
    sentinel = Sentinel(
        place.hosts, sentinel_kwargs={**terms, **sentinel_credentials, "ssl": place.tls}, **terms
    )  # type: ignore[no-untyped-call]
    master = sentinel.master_for(service, ssl=place.tls, db=_database(tuple(database)), **place.credentials)
    return _Standalone(master.connection_pool, sentinel)


def _open_cluster(place: _Location, _: TierAddress, terms: dict[str, Any]) -> RedisClient:
    return _Cluster(
        RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in place.hosts],
            # The addresses that were configured stay good when all machines behind them are new ones.
            dynamic_startup_nodes=False,
            ssl=place.tls,
            **place.credentials,
            **terms,
        )
    )


def _database(path: tuple[str, ...]) -> int:
    database = int(path[0]) if path else 0
    if database < 0:
        raise ValueError(database)
    return database


_KINDS = {
    "": (_open_standalone, "://host:port/database", 1),
    "sentinel": (_open_sentinel, "+sentinel://host:port,host:port/service/database", 2),
    "cluster": (_open_cluster, "+cluster://host:port,host:port", 0),
}
