"""
The locks around a renderer: what hostile bytes that own it could still reach is what these leave open.

Landlock (landlock(7)) takes the file system, TCP, and other processes away, seccomp(2) all system calls that
renderings do not need, and another uid the files and processes of the service's own. None is everywhere: each
function returns whether the system offers its lock, and goes on where it does not.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import StrEnum

from proxy.renderers.syscalls import MACHINES, call_filter


class Lock(StrEnum):
    """What a renderer can be locked by."""

    LANDLOCK = "landlock"
    SECCOMP = "seccomp"
    UID = "uid"
    """Another user than that of the web processes."""


FIRST_UID = 60_600
"""Up to 61183 systemd, which lists who uses which uids (systemd.io/UIDS-AND-GIDS), leaves them unused."""

MAX_UIDS = 500

PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38

# The same on all machines, since these calls are younger than their common table.
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
LANDLOCK_CREATE_RULESET_VERSION = 1
LANDLOCK_RULE_PATH_BENEATH = 1

FILE_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
"""The rights that each version of landlock added: those that are handled are denied unless a rule allows."""

READ_FILE, READ_DIR = 1 << 2, 1 << 3
WRITE_FILE, REMOVE_FILE, MAKE_DIR, MAKE_FILE, TRUNCATE = 1 << 1, 1 << 5, 1 << 7, 1 << 8, 1 << 14
READ = READ_FILE | READ_DIR
WRITE = READ | WRITE_FILE | REMOVE_FILE | MAKE_DIR | MAKE_FILE | TRUNCATE
OF_FILES = READ_FILE | WRITE_FILE | TRUNCATE
"""The rights that a rule for anything but a folder may name."""

BIND_AND_CONNECT_TCP = 3
ABSTRACT_SOCKETS_AND_SIGNALS = 3

SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_TSYNC = 1

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def lock_files(readable: Iterable[str], *, writable: Iterable[str] = ()) -> bool:
    """
    Take all files from this thread but those below `readable`, and writing to all but those below `writable`;
    TCP, and signals and abstract sockets to processes that are not locked in with it.

    It binds the calling thread and those that it starts: to be called before there is any other. Returns
    whether the kernel has it.
    """
    if sys.platform != "linux":
        return False
    try:
        abi = _call(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_CREATE_RULESET_VERSION)
        rights = sum(added for since, added in FILE_RIGHTS_BY_ABI.items() if since <= abi)
        attributes = struct.pack(
            "=QQQ",
            rights,
            BIND_AND_CONNECT_TCP if abi >= 4 else 0,
            ABSTRACT_SOCKETS_AND_SIGNALS if abi >= 6 else 0,
        )[: 8 if abi < 4 else 16 if abi < 6 else 24]
        rules = _call(LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)
        try:
            for paths, allowed in ((readable, READ), (writable, WRITE)):
                for path in paths:
                    _allow_beneath(rules, path, allowed & rights)
            _forbid_new_privileges()
            _call(LANDLOCK_RESTRICT_SELF, rules, 0)
        finally:
            os.close(rules)
    except OSError:  # ENOSYS, EOPNOTSUPP, or what a container's own filter says in their place
        return False
    return True


def lock_calls() -> bool:
    """
    Take all system calls from all threads of this process that are not in the table of `syscalls`.

    Nothing can load a library or write a file after that. Returns whether the kernel has it, and we the table
    of this machine.
    """
    machine = MACHINES.get(platform.machine())
    if sys.platform != "linux" or machine is None:
        return False
    program = call_filter(machine, os.getpid())
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_program = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    try:
        _forbid_new_privileges()
        refused = _call(machine.seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, filter_program)
    except OSError:
        return False
    return refused == 0  # else the id of a thread that could not follow


def become(uid: int, needed: Sequence[str], owned: str) -> bool:
    """
    Go on as the user and group `uid`, who gets the folder `owned`. To be called before there are threads.

    Returns False, and changes nothing, when this process is not root, when the system does not let it, and
    when that user could not read all of `needed`: of an installation below a home that is its owner's alone.
    """
    if not hasattr(os, "setresuid") or os.geteuid() != 0:
        return False
    groups = os.getgroups()
    try:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, 0)  # the way back is open: `access` asks for the real user
        if all(_can_read(path) for path in needed):
            os.setresuid(0, 0, 0)
            os.chown(owned, uid, uid)
            os.setresuid(uid, uid, uid)
            return True
    except OSError:
        pass
    os.setresuid(0, 0, 0)
    os.setresgid(0, 0, 0)
    with suppress(OSError):
        os.setgroups(groups)
    return False


def hide_memory() -> None:
    """
    Keep processes of the same user from reading this one's memory, environment and files through /proc and
    ptrace (PR_SET_DUMPABLE in prctl(2)). It does not bind root, and ends with exec.
    """
    if sys.platform == "linux":
        _libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def _can_read(path: str) -> bool:
    return os.access(path, os.R_OK | (os.X_OK if os.path.isdir(path) else 0))


def _allow_beneath(rules: int, path: str, allowed: int) -> None:
    """struct landlock_path_beneath_attr; a path that does not exist needs no rule."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        allowed &= -1 if os.path.isdir(path) else OF_FILES
        if allowed:
            _call(
                LANDLOCK_ADD_RULE,
                rules,
                LANDLOCK_RULE_PATH_BENEATH,
                struct.pack("=Qi", allowed, descriptor),
                0,
            )
    finally:
        os.close(descriptor)


def _forbid_new_privileges() -> None:
    if _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")


def _call(number: int, *arguments: int | bytes | None) -> int:
    """A system call. Raises OSError."""
    answer: int = _libc.syscall(
        ctypes.c_long(number),
        *(ctypes.c_long(each) if isinstance(each, int) else each for each in arguments),
    )
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
