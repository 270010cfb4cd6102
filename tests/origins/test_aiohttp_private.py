"""What of aiohttp is relied on though it is not documented: a version that moves it fails here, by name."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import AsyncIterator
from functools import partial

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler

from proxy.origins.aiohttp_private import MAX_UNREAD_ANSWERS, limit_unread_answers, send_requests_once


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_session_has_a_switch_for_its_second_try(session: aiohttp.ClientSession) -> None:
    assert session._retry_connection is True
    assert "self._retry_connection" in inspect.getsource(aiohttp.ClientSession._request), "it is read there"
    send_requests_once(session)
    assert session._retry_connection is False


async def test_a_connector_makes_its_protocols_with_a_factory(session: aiohttp.ClientSession) -> None:
    connector = session.connector
    assert connector is not None
    factory = connector._factory
    assert isinstance(factory, partial)
    assert (factory.func, factory.args, factory.keywords) == (
        ResponseHandler,
        (),
        {"loop": asyncio.get_running_loop()},
    )
    for connecting in (
        aiohttp.TCPConnector._create_direct_connection,
        aiohttp.TCPConnector._create_connection,
    ):
        assert inspect.iscoroutinefunction(connecting)
    assert "self._factory" in inspect.getsource(aiohttp.TCPConnector), "it is called there"
    limit_unread_answers(connector)
    assert isinstance(connector._factory(), ResponseHandler)


async def test_a_protocol_is_the_queue_of_the_answers_that_are_not_read_yet() -> None:
    protocol = ResponseHandler(loop=asyncio.get_running_loop())
    assert list(inspect.signature(ResponseHandler).parameters) == ["loop"]
    assert list(inspect.signature(ResponseHandler.data_received).parameters) == ["self", "data"]
    assert list(inspect.signature(ResponseHandler.set_exception).parameters)[:2] == ["self", "exc"]
    assert isinstance(protocol._buffer, deque)
    assert protocol.transport is None
    assert len(protocol) == 0
    protocol.feed_data((object(), object()), 0)  # type: ignore[arg-type]
    assert len(protocol) == 1


async def test_a_connection_with_too_many_unread_answers_is_closed(session: aiohttp.ClientSession) -> None:
    assert session.connector is not None
    limit_unread_answers(session.connector)
    protocol = session.connector._factory()
    protocol.set_response_params(read_until_eof=True)
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    protocol.data_received(interim * MAX_UNREAD_ANSWERS)
    assert len(protocol) == MAX_UNREAD_ANSWERS
    assert protocol.exception() is None
    protocol.data_received(interim)
    assert len(protocol) == 0
    assert isinstance(protocol.exception(), aiohttp.ServerDisconnectedError)
