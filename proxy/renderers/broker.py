"""
Turns at the renderers, for clients of all web processes: one queue for all, beside the supervisor.

The kernel's queue in front of the renderers is first come, first served. So web processes ask here first, and
send no more jobs than renderers can be at. Lines of JSON cross the socket:

    web process -> broker   {"ask": id, "clients": [...], "cost": seconds}
                            {"change": id, "clients": [...]}
                            {"release": id, "cost": seconds or null}
    broker -> web process   id, when it is the turn of that one

What a web process had or waited for is released when its connection ends.
"""

from __future__ import annotations

import json
import logging
import selectors
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from proxy.fairness.queue import FairQueue

log = logging.getLogger(__name__)

TURNS_SOCKET = "turns"
"""The name of the broker's socket, in the folder of the renderers' own."""

MAX_CONNECTIONS = 1024
RECEIVE_BYTES = 65_536


class TurnBroker:
    """Gives turns at `slots` renderers to processes that connect to `path`, in a thread of its own."""

    def __init__(self, path: Path, *, slots: int) -> None:
        self._path = path
        self._queue: FairQueue[tuple[socket.socket, int]] = FairQueue(slots, ahead=slots)
        self._buffers: dict[socket.socket, bytes] = {}
        self._asked: dict[socket.socket, set[int]] = {}
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="turns", daemon=True)

    def start(self) -> None:
        self._listener.bind(str(self._path))
        self._listener.listen(MAX_CONNECTIONS)
        self._listener.setblocking(False)
        for each in (self._listener, self._woken):
            self._selector.register(each, selectors.EVENT_READ)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, if it was started; web processes are served without turns from then on."""
        if self._thread.is_alive():
            self._wake.send(b".")
            self._thread.join()
        self._selector.close()
        for each in (self._listener, self._wake, self._woken, *self._buffers):
            each.close()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                if connection is self._woken:
                    return
                if connection is self._listener:
                    self._accept()
                elif connection in self._buffers:
                    self._read(connection)
            self._grant()

    def _accept(self) -> None:
        with suppress(OSError):
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            self._buffers[connection] = b""
            self._asked[connection] = set()
            self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        try:
            received = connection.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if not received:
            self._end(connection)
            return
        *lines, self._buffers[connection] = (self._buffers[connection] + received).split(b"\n")
        try:
            for line in lines:
                self._obey(connection, json.loads(line))
        except (ValueError, LookupError, TypeError, AttributeError):
            log.exception("a web process asked for turns in a way that is not understood")
            self._end(connection)

    def _obey(self, connection: socket.socket, said: dict[str, Any]) -> None:
        asked = self._asked[connection]
        if (number := said.get("ask")) is not None:
            asked.add(number)
            self._queue.add((connection, number), said["clients"], said["cost"])
        elif (number := said.get("change")) is not None:
            if number in asked:
                self._queue.replace_clients((connection, number), said["clients"])
        elif (number := said.get("release")) in asked:
            asked.discard(number)
            self._queue.remove((connection, number), said["cost"])

    def _grant(self) -> None:
        while (turn := self._queue.take()) is not None:
            connection, number = turn
            try:
                connection.sendall(b"%d\n" % number)
            except OSError:  # it ended, or has not read for thousands of turns
                self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()
        for number in self._asked.pop(connection):
            self._queue.remove((connection, number))
        del self._buffers[connection]
