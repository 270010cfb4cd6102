"""
What this proxy needs of aiohttp and aiohttp does not document. It is used nowhere else, and
tests/origins/test_aiohttp_private.py names each attribute and signature, so that a version which moves one
of them fails there.
"""

from __future__ import annotations

import asyncio
from functools import partial

import aiohttp
from aiohttp.client_proto import ResponseHandler

MAX_UNREAD_ANSWERS = 16
"""Answers, interim ones included, that a server may have sent and that are not read yet."""


def send_requests_once(session: aiohttp.ClientSession) -> None:
    """
    Keep `session` from sending a request again when an idle connection turns out to be closed: retries are
    counted elsewhere. There is no argument for this; aiohttp's own test client does the same.
    """
    session._retry_connection = False


def limit_unread_answers(connector: aiohttp.BaseConnector) -> None:
    """
    Close connections of `connector` on which answers come that nothing was asked for. aiohttp reads interim
    ones (1xx) for as long as there are any: without end they would hold up the event loop longer than any
    deadline. To be called where an event loop runs.
    """
    reader: type[ResponseHandler] = _LimitedResponseHandler
    connector._factory = partial(reader, loop=asyncio.get_running_loop())


class _LimitedResponseHandler(ResponseHandler):
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if len(self) > MAX_UNREAD_ANSWERS:
            self._buffer.clear()
            if self.transport is not None:
                self.transport.abort()
            self.set_exception(aiohttp.ServerDisconnectedError())
