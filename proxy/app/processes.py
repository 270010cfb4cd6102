"""
Web processes: uvicorn's server in this process, or uvicorn's supervisor over several.

uvicorn has no hooks for what a deployment needs here: to be not ready before the listener closes, to close it
in the supervisor, too, and to obey signals that came while it started. So both classes are subclassed, and
all that is taken of uvicorn beyond its documentation is in this module. tests/app/test_processes.py names it,
and fails when another version has moved it.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Collection
from types import FrameType

import uvicorn
from uvicorn.supervisors import Multiprocess

from proxy.app.asgi import Deployment
from proxy.app.http_protocol import BoundedProtocol

HEALTH_CHECK_TIMEOUT = 60
"""
Seconds that a web process may leave its supervisor's health check unanswered, which it cannot answer before
it has imported its code: with uvicorn's five, a busy machine kills each new process as it starts, forever.
"""


def collect_signals() -> list[int]:
    """
    Collect SIGTERM and SIGINT in the list that is returned, in place of ending the process.

    uvicorn replaces these handlers while it runs, and raises the signals again when it has drained: that they
    are collected then is what makes the exit code 0.
    """
    received: list[int] = []
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda number, _: received.append(number))
    return received


def run_web_processes(
    deployment: Deployment, listeners: list[socket.socket], early_signals: Collection[int]
) -> None:
    """
    Serve on `listeners` until SIGTERM or SIGINT, then drain; at once if there were `early_signals`.

    With one web process it is this one. Several are started from here and started anew when they die; each
    makes its own application from the pickled `deployment`.
    """
    settings = deployment.settings
    config = uvicorn.Config(
        deployment,
        factory=True,
        workers=settings.workers,
        http=BoundedProtocol,
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_worker_healthcheck=HEALTH_CHECK_TIMEOUT,
        timeout_graceful_shutdown=max(1, round(settings.drain_timeout)),
    )
    if settings.workers > 1:
        supervisor = DrainingSupervisor(config, listeners, deployment)
        supervisor.signal_queue.extend(early_signals)
        supervisor.run()
    else:
        DrainingServer(config, deployment, early_signals).run(listeners)


class DrainingServer(uvicorn.Server):
    """The only web process. After a signal it accepts connections for `drain_delay`, but is not ready."""

    def __init__(
        self, config: uvicorn.Config, deployment: Deployment, early_signals: Collection[int]
    ) -> None:
        super().__init__(config)
        self._deployment = deployment
        self._early_signals = early_signals

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._early_signals:
            self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        delay = self._deployment.settings.drain_delay
        if self._deployment.begin_draining() and delay:
            asyncio.get_running_loop().call_later(delay, super().handle_exit, sig, frame)
        else:
            super().handle_exit(sig, frame)


class DrainingSupervisor(Multiprocess):
    """The process above several web processes. It tells them to stop after `drain_delay`."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], deployment: Deployment) -> None:
        super().__init__(config, sockets)
        self._deployment = deployment

    def keep_subprocess_alive(self) -> None:
        if self.signal_queue:  # which are handled first
            return
        for each in self.processes:
            # The child has its own. While it is open here, too, a child that dies during a health check is
            # waited for until that has timed out, and no signal is handled meanwhile.
            each.child_conn.close()
        super().keep_subprocess_alive()

    def handle_term(self) -> None:
        self.handle_int()

    def handle_int(self) -> None:
        if self._deployment.begin_draining():
            time.sleep(self._deployment.settings.drain_delay)
        self.should_exit.set()

    def terminate_all(self) -> None:
        # While the supervisor has them open, connections are made that no process will accept.
        for each in self.sockets:
            each.close()
        super().terminate_all()
