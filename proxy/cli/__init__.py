"""The command line: serve, warm, purge, explain, presets, tables.

In: arguments and the environment. Out: text for people, JSON for programs, and an exit code.
"""

from proxy.cli.main import main

__all__ = ["main"]
