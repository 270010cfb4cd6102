"""
Renderer processes that may be killed, and the way to them.

libvips cannot be interrupted from inside: a hostile file costs seconds, gigabytes or the process. So it runs
in children that die instead of us. `serve` keeps them (`supervisor.Supervisor`); every web process asks them
through its own `client.RendererClient`, and all web processes share one listening socket, so
that no core idles behind a busy web process. Nothing is imported here: a renderer needs only its own half.
"""
