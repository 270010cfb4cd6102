"""What renderers are asked to do in these tests: the work of an image, good, bad and hostile."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

from proxy.model.errors import InvalidValue, TooManyPixels

Answer = tuple[dict[str, Any], bytes]

_kept: list[bytes] = []


def echo(header: dict[str, Any], body: bytes) -> Answer:
    return header | {"pid": os.getpid()}, body


def sleep(header: dict[str, Any], body: bytes) -> Answer:
    time.sleep(header["seconds"])
    return {"pid": os.getpid()}, body[:10]


def spin(header: dict[str, Any], body: bytes) -> Answer:
    """Native code that neither returns to the interpreter nor lets another thread of it run."""
    re.match(r"(a+)+$", "a" * 64 + "b")
    return {}, b""


def spin_deaf(header: dict[str, Any], body: bytes) -> Answer:
    """As a renderer that an attacker owns: it has switched its own deadline off."""
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0)
    time.sleep(60)
    return {}, b""


def abort(header: dict[str, Any], body: bytes) -> Answer:
    os.abort()


def leave(header: dict[str, Any], body: bytes) -> Answer:
    os._exit(0)


def fill_memory(header: dict[str, Any], body: bytes) -> Answer:
    filled = []
    while True:
        filled.append(b"x" * 10_000_000)


def leak(header: dict[str, Any], body: bytes) -> Answer:
    _kept.append(b"x" * header["bytes"])
    return {"pid": os.getpid()}, b""


def refuse(header: dict[str, Any], body: bytes) -> Answer:
    raise TooManyPixels("this picture has 60 megapixels, 50 are allowed", value="60", allowed=["50"])


def refuse_option(header: dict[str, Any], body: bytes) -> Answer:
    raise InvalidValue("'w' takes a whole number", option="w")


def fail(header: dict[str, Any], body: bytes) -> Answer:
    raise KeyError("a bug of ours")


def answer_nonsense(header: dict[str, Any], body: bytes) -> Answer:
    return {"object": object(), "pid": os.getpid()}, b""


def answer_too_much(header: dict[str, Any], body: bytes) -> Answer:
    return {"text": "x" * 100_000}, b""


def zeros(header: dict[str, Any], body: bytes) -> Answer:
    return {}, bytes(header["bytes"])


def describe(header: dict[str, Any], body: bytes) -> Answer:
    """What the renderer is, seen from inside."""
    status = Path("/proc/self/status").read_text()
    return {
        "nice": os.nice(0),
        "new_privileges": "NoNewPrivs:\t1" not in status,
        "environment": dict(os.environ),
    }, b""


TASKS = {
    task.__name__: task
    for task in (
        echo,
        sleep,
        spin,
        spin_deaf,
        abort,
        leave,
        fill_memory,
        leak,
        refuse,
        refuse_option,
        fail,
        answer_nonsense,
        answer_too_much,
        zeros,
        describe,
    )
}
