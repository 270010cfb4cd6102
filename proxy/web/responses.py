"""A whole HTTP response as a value, with the outcome that its headers, its log line and its metrics tell."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from starlette.types import Scope, Send

from proxy.model.media import Body
from proxy.model.outcome import Outcome

OUTCOME = "image_proxy.outcome"
"""The key in an ASGI scope under which a page leaves its `Outcome`: `send` has no room for one."""

ON_DISCONNECT = "image_proxy.on_disconnect"
"""The key in an ASGI scope of what the HTTP server calls when the client closes its connection meanwhile."""

WRITE_RESPONSE = "image_proxy.write_response"
"""The key in an ASGI scope of the HTTP server's `WriteResponse`, where it has one."""

HeaderList = list[tuple[bytes, bytes]]


class HttpResponse(NamedTuple):
    """A response before it is sent. Header names are in lower case, as ASGI wants them."""

    status: int
    headers: HeaderList
    body: Body
    outcome: Outcome


class WriteResponse(Protocol):
    """Writes a whole response at once; false, with nothing written, where it has to be sent as ASGI does."""

    def __call__(self, status: int, headers: HeaderList, body: Body) -> bool: ...


async def respond(scope: Scope, send: Send, status: int, headers: HeaderList, body: Body) -> None:
    """Answer the request of `scope` with a whole response, in one write where the HTTP server can do that."""
    write: WriteResponse | None = scope.pop(WRITE_RESPONSE, None)  # it refers to the scope, too
    if write is None or not write(status, headers, body):
        await send_response(send, status, headers, body)


async def send_response(send: Send, status: int, headers: HeaderList, body: Body) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
