"""A deployment: from settings to an ASGI application, its processes, its warming and its first lines.

In: `Settings`. Out: processes that serve until they are told to stop.
"""

from proxy.app.asgi import Deployment, create_app
from proxy.app.serve import serve_deployment

__all__ = ["Deployment", "create_app", "serve_deployment"]
