"""Which part of the application answers a request, decided from its path and its port."""

from __future__ import annotations

import re

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from proxy.url.grammar import INFO_PREFIX, SIGNATURE_SEGMENT
from proxy.web.access_log import Responder


class Switch:
    """
    Sends each request to the pictures, to what is said about them, to the pages, or to the metrics and
    nothing else when it came in at their port. Lifespan goes to the
    pages, which own the rest; what is outside the mount does too, and finds nothing there.
    """

    def __init__(self, pages: Starlette, mount: str, metrics: ASGIApp, metrics_port: int | None) -> None:
        self._pages = pages
        self._metrics = metrics
        self._metrics_port = metrics_port
        self._below = f"{mount}/".encode()
        self._page_paths = (b"/healthz", b"/readyz", b"/metrics", f"{mount}/-/".encode())
        self._info = re.compile(
            b"%b(?:%b)?%b/" % (re.escape(mount.encode()), SIGNATURE_SEGMENT.pattern, INFO_PREFIX.encode())
        )
        self.images: Responder | None = None
        self.info: Responder | None = None

    def responder(self, scope: Scope) -> Responder | None:
        if self.images is None or self._is_for_metrics(scope):
            return None
        path = scope["raw_path"]
        if path == b"*":  # the whole server (RFC 9110 section 9.3.7), which is mostly pictures
            return self.images
        if self._info.match(path):
            return self.info
        is_page = not path.startswith(self._below) or path.startswith(self._page_paths)
        return None if is_page else self.images

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_for_metrics = scope["type"] == "http" and self._is_for_metrics(scope)
        await (self._metrics if is_for_metrics else self._pages)(scope, receive, send)

    def _is_for_metrics(self, scope: Scope) -> bool:
        # By the port of the socket that it came in at, whatever its Host says.
        return self._metrics_port is not None and scope["server"][1] == self._metrics_port
