"""HTTP: which part of the application answers a request, and the headers, body and log line that it gets.

In: ASGI scopes. Out: `HttpResponse` values, sent, logged and counted by `AccessLog`; no pixels, no clients.
"""
