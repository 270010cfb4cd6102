"""What of a request is too much to be read, and how it is refused."""

from __future__ import annotations

MAX_URL_BYTES = 8_192
MAX_HEAD_BYTES = 32_768
"""Of the request line and all headers: browsers send two thousand."""

MAX_FIELDS = 100
"""Headers of a request, and as many trailers."""

MAX_TRAILER_BYTES = 8_192
MAX_PIPELINED = 100
"""Requests that may be queued behind the one that is answered."""


class RefusedRequest(Exception):
    """The request that arrives is not read on; `status`, `code` and `detail` are those of the problem."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


LONG_URL = RefusedRequest(414, "too_long", f"a URL has at most {MAX_URL_BYTES} bytes")
LONG_HEAD = RefusedRequest(
    431, "headers_too_long", f"headers have at most {MAX_HEAD_BYTES} bytes together, in {MAX_FIELDS} lines"
)
LONG_TRAILERS = RefusedRequest(
    431,
    "trailers_too_long",
    f"trailers have at most {MAX_TRAILER_BYTES} bytes together, in {MAX_FIELDS} lines",
)
MANY_PIPELINED = RefusedRequest(429, "too_many_pipelined", f"at most {MAX_PIPELINED} requests are queued")
TIMED_OUT = RefusedRequest(408, "request_timeout", "the request did not come in time")


def invalid_request(detail: str) -> RefusedRequest:
    return RefusedRequest(400, "invalid_request", detail)
