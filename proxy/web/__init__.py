"""HTTP: which part of the application answers a request, and the headers, body and log line that it gets.

In: ASGI scopes. Out: `HttpResponse` values, sent, logged and counted by `AccessLog`; no pixels, no clients.
"""

from proxy.web.access_log import AccessLog
from proxy.web.images import Images
from proxy.web.responses import HttpResponse

__all__ = ["AccessLog", "HttpResponse", "Images"]
