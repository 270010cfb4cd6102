"""
What of redis-py is relied on though its documentation does not promise it: a version that moves it fails
here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ClusterError, RedisClusterException, RedisError, ResponseError


@pytest.mark.parametrize(
    "function, parameters",
    [
        (Connection.connect, []),
        (Connection.send_command, ["args"]),
        (Connection.read_response, ["timeout", "disconnect_on_error"]),
        (Connection.disconnect, ["nowait"]),
        (ConnectionPool.make_connection, []),
        (ConnectionPool.__init__, ["connection_class", "connection_kwargs"]),
        (Redis.from_pool, ["connection_pool"]),
        (RedisCluster.initialize, []),
        (RedisCluster.get_primaries, []),
        (RedisCluster.__init__, ["startup_nodes", "dynamic_startup_nodes", "ssl"]),
        (ClusterNode.__init__, ["host", "port"]),
        (Retry.__init__, ["backoff", "retries"]),
    ],
)
def test_a_function_takes_what_it_is_given(function: Callable[..., Any], parameters: list[str]) -> None:
    assert set(parameters) <= inspect.signature(function).parameters.keys()


def test_a_node_of_a_cluster_tells_how_to_connect_to_it() -> None:
    node = ClusterNode("127.0.0.1", 7000, ssl_check_hostname=False, connection_class=SSLConnection)
    assert node.connection_class is SSLConnection
    assert node.connection_kwargs["host"] == "127.0.0.1"
    assert node.connection_kwargs["port"] == 7000
    made = ClusterNode("127.0.0.1", 7000)
    assert isinstance(
        made.connection_class(retry=Retry(NoBackoff(), 0), **made.connection_kwargs), Connection
    )


def test_a_pool_makes_a_connection_that_is_not_connected() -> None:
    pool = ConnectionPool(connection_class=Connection, host="127.0.0.1", port=1)
    connection = pool.make_connection()  # type: ignore[no-untyped-call]
    assert isinstance(connection, Connection)
    assert not connection.is_connected


def test_failures_are_of_the_families_that_are_caught() -> None:
    assert issubclass(ResponseError, RedisError)
    assert issubclass(ClusterError, RedisError)
    assert not issubclass(RedisClusterException, RedisError), "which is why both are named"
