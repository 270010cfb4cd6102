"""A whole HTTP response as a value, with the outcome that its headers, its log line and its metrics tell."""

from __future__ import annotations

from typing import NamedTuple

from starlette.types import Send

from proxy.model.media import Body
from proxy.model.outcome import Outcome

OUTCOME = "image_proxy.outcome"
"""The key in an ASGI scope under which a page leaves its `Outcome`: `send` has no room for one."""

ON_DISCONNECT = "image_proxy.on_disconnect"
"""The key in an ASGI scope of what the HTTP server calls when the client closes its connection meanwhile."""

HeaderList = list[tuple[bytes, bytes]]


class HttpResponse(NamedTuple):
    """A response before it is sent. Header names are in lower case, as ASGI wants them."""

    status: int
    headers: HeaderList
    body: Body
    outcome: Outcome


async def send_response(send: Send, status: int, headers: HeaderList, body: Body) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
