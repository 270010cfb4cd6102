"""Turns at the renderers that a web process shares with others, which a broker gives (`renderers.broker`)."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import Mapping
from pathlib import Path

import structlog

from proxy.fairness.demand import Demand
from proxy.fairness.turns import AbandonedWork, Ticket
from proxy.renderers.broker import RECEIVE_BYTES, TURNS_SOCKET

log = structlog.get_logger()


class SharedTurns:
    """
    Turns of the broker beside the renderers' socket at `renderers`.

    Where there is no broker, or it does not answer, each has its turn at once: renderers then take jobs in
    the order in which they come.
    """

    def __init__(self, renderers: str) -> None:
        self._path = str(Path(renderers).with_name(TURNS_SOCKET))
        self._connection: socket.socket | None = None
        self._tickets: dict[int, Ticket] = {}
        self._numbers: dict[Ticket, int] = {}
        self._new_number = itertools.count(1).__next__
        self._buffer = b""

    def ask(self, demand: Demand, cost: float) -> Ticket:
        ticket = Ticket(demand)
        if not demand.clients:
            ticket.give_up(AbandonedWork())
            return ticket
        number = self._new_number()
        self._tickets[number], self._numbers[ticket] = ticket, number
        ticket.unwatch = demand.watch(lambda: self._clients_changed(ticket))
        self._send({"ask": number, "clients": demand.clients, "cost": cost})
        return ticket

    def release(self, ticket: Ticket) -> None:
        if ticket.unwatch is not None:
            ticket.unwatch()
        if (number := self._numbers.pop(ticket, None)) is not None:
            del self._tickets[number]
            self._send({"release": number, "cost": ticket.seconds})

    def close(self) -> None:
        """Have no connection any more. All that waits has its turn."""
        if self._connection is not None:
            asyncio.get_running_loop().remove_reader(self._connection)
            self._connection.close()
            self._connection = None
        for ticket in [*self._tickets.values()]:
            ticket.grant()

    def _clients_changed(self, ticket: Ticket) -> None:
        if not ticket.is_waiting:
            return
        if ticket.demand.clients:
            self._send({"change": self._numbers[ticket], "clients": ticket.demand.clients})
        else:
            ticket.give_up(AbandonedWork())
            self.release(ticket)

    def _send(self, said: Mapping[str, object]) -> None:
        try:
            if self._connection is None:
                self._connect()
            assert self._connection is not None
            line = json.dumps(said, separators=(",", ":")).encode() + b"\n"
            if self._connection.send(line) < len(line):
                raise BlockingIOError
        except OSError as error:
            self._disconnect(error)

    def _connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX)
        connection.setblocking(False)
        try:
            connection.connect(self._path)
        except OSError:
            connection.close()
            raise
        self._connection, self._buffer = connection, b""
        asyncio.get_running_loop().add_reader(connection, self._read)

    def _read(self) -> None:
        assert self._connection is not None
        try:
            received = self._connection.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._disconnect(error)
            return
        if not received:
            self._disconnect(EOFError())
            return
        *lines, self._buffer = (self._buffer + received).split(b"\n")
        for line in lines:
            if (ticket := self._tickets.get(int(line))) is not None:
                ticket.grant()

    def _disconnect(self, error: Exception) -> None:
        """All have their turn: what waits has been forgotten at the other side."""
        log.warning("turns_failed", error=type(error).__name__)
        self.close()
