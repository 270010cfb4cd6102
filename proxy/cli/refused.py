"""How a command says no: it has a module of its own because every command may."""

from __future__ import annotations


class Refused(Exception):
    """What was asked for on the command line cannot be. The message says why, and is all that is printed."""
