"""Route each request by its path and its port: to a responder for images, or to an application for pages."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from proxy.url.path import INFO_PREFIX, SIGNATURE_SEGMENT
from proxy.web.access_log import Responder
from proxy.web.images import Images
from proxy.web.read_urls import RepeatedHit


class Switch:
    """
    The application inside of `AccessLog`.

    Below `mount`, `/-/info/...` goes to the responder `info`, what is no page to the responder `images`; both
    are `None` until the lifespan has opened them. All other requests go to the application `pages`, and so do
    the lifespan's events; outside of `mount` it finds nothing. What comes in at `metrics_port` goes to the
    application `metrics`, whatever its path.
    """

    def __init__(self, *, pages: ASGIApp, mount: str, metrics: ASGIApp, metrics_port: int | None) -> None:
        self._pages = pages
        self._metrics = metrics
        self._metrics_port = metrics_port
        self._mounted = f"{mount}/".encode()
        self._page_paths = (b"/healthz", b"/readyz", b"/metrics", f"{mount}/-/".encode())
        self._info = re.compile(
            b"%b(?:%b)?%b/" % (re.escape(mount.encode()), SIGNATURE_SEGMENT.pattern, INFO_PREFIX.encode())
        )
        self.images: Images | None = None
        self.info: Images | None = None

    def responder(self, scope: Scope) -> Responder | None:
        if self.images is None or self._is_for_metrics(scope):
            return None
        path = scope["raw_path"]
        if path == b"*":  # OPTIONS of the whole server (RFC 9110 section 9.3.7), which is mostly images
            return self.images
        if self._info.match(path):
            return self.info
        is_page = not path.startswith(self._mounted) or path.startswith(self._page_paths)
        return None if is_page else self.images

    def repeated(
        self, port: int | None, raw_path: bytes, query: bytes, accept: bytes | None
    ) -> RepeatedHit | None:
        """Return what `Images.repeated` returns, of a request that comes in at `port`."""
        if self.images is None or (self._metrics_port is not None and port == self._metrics_port):
            return None
        return self.images.repeated(raw_path, query, accept)  # it has read no path of a page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_for_metrics = scope["type"] == "http" and self._is_for_metrics(scope)
        await (self._metrics if is_for_metrics else self._pages)(scope, receive, send)

    def _is_for_metrics(self, scope: Scope) -> bool:
        # By the port of the socket, whatever Host says.
        return self._metrics_port is not None and scope["server"][1] == self._metrics_port
