"""A deployment: from settings to an ASGI application, its processes, its warming and its first lines.

In: `Settings`. Out: processes that serve until they are told to stop.
"""
