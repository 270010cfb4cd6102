"""The system calls that a renderer may make once it is warm, as a seccomp filter for this machine."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass

ALLOW = 0x7FFF0000
FAIL = 0x00050000
KILL_PROCESS = 0x80000000
"""What a filter decides (seccomp(2)); FAIL has an errno in its low bits."""

LOAD, JUMP_EQUAL, JUMP_NOT_LESS, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
"""Instructions of classic BPF (linux/bpf_common.h), on 32-bit words."""

NUMBER_OFFSET, MACHINE_OFFSET, ARGUMENTS_OFFSET = 0, 4, 16
"""Bytes into struct seccomp_data. Both machines are little-endian: an argument's low word comes first."""

X32_BIT = 0x40000000
"""Calls of the x32 ABI have it in their number: another table, and none of it is allowed."""

THREAD_FLAGS = 0x00010F00
"""CLONE_THREAD, VM, FS, FILES and SIGHAND: what makes a thread, and neither a process nor a namespace."""

NAMESPACE_FLAGS = 0x7E020000
WRITING_FLAGS = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | 0o20000000
"""Of open(2); the last is __O_TMPFILE without O_DIRECTORY."""

PROT_EXEC = 4
PR_SET_NAME = 15
FIOCLEX, TCGETS = 0x5451, 0x5401
F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC = 1, 2, 3, 1030


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """
    How a kernel calls itself (linux/audit.h), its number of seccomp(2), and those of the calls that are
    allowed there.
    """

    audit_name: int
    seccomp: int
    numbers: Mapping[str, int]


# The order is that of the filter: what renderings call most comes first.
MACHINES: Mapping[str, Machine] = {
    "x86_64": Machine(
        audit_name=0xC000003E,
        seccomp=317,
        numbers={
            "futex": 202, "recvfrom": 45, "sendto": 44, "read": 0, "munmap": 11, "madvise": 28, "brk": 12,
            "write": 1, "writev": 20, "pread64": 17, "close": 3, "stat": 4, "fstat": 5, "lstat": 6,
            "newfstatat": 262, "statx": 332, "lseek": 8, "mremap": 25, "rt_sigaction": 13,
            "rt_sigprocmask": 14, "rt_sigreturn": 15, "sigaltstack": 131, "access": 21, "faccessat": 269,
            "faccessat2": 439, "readlink": 89, "readlinkat": 267, "getcwd": 79, "getdents64": 217,
            "sched_yield": 24, "sched_getaffinity": 204, "getcpu": 309, "membarrier": 324, "nanosleep": 35,
            "clock_nanosleep": 230, "clock_gettime": 228, "clock_getres": 229, "gettimeofday": 96,
            "setitimer": 38, "alarm": 37, "getpid": 39, "getppid": 110, "gettid": 186, "getuid": 102,
            "getgid": 104, "geteuid": 107, "getegid": 108, "uname": 63, "sysinfo": 99, "getrusage": 98,
            "getrandom": 318, "set_robust_list": 273, "rseq": 334, "restart_syscall": 219, "poll": 7,
            "ppoll": 271, "exit": 60, "exit_group": 231, "accept4": 288, "recvmsg": 47, "sendmsg": 46,
            "shutdown": 48, "getsockname": 51, "setsockopt": 54, "getsockopt": 55, "dup": 32, "dup2": 33,
            "dup3": 292, "clone": 56, "clone3": 435, "open": 2, "openat": 257, "mmap": 9, "mprotect": 10,
            "prctl": 157, "tgkill": 234, "ioctl": 16, "fcntl": 72, "prlimit64": 302,
        },
    ),
    "aarch64": Machine(
        audit_name=0xC00000B7,
        seccomp=277,
        numbers={
            "futex": 98, "recvfrom": 207, "sendto": 206, "read": 63, "munmap": 215, "madvise": 233,
            "brk": 214, "write": 64, "writev": 66, "pread64": 67, "close": 57, "fstat": 80,
            "newfstatat": 79, "statx": 291, "lseek": 62, "mremap": 216, "rt_sigaction": 134,
            "rt_sigprocmask": 135, "rt_sigreturn": 139, "sigaltstack": 132, "faccessat": 48,
            "faccessat2": 439, "readlinkat": 78, "getcwd": 17, "getdents64": 61, "sched_yield": 124,
            "sched_getaffinity": 123, "getcpu": 168, "membarrier": 283, "nanosleep": 101,
            "clock_nanosleep": 115, "clock_gettime": 113, "clock_getres": 114, "gettimeofday": 169,
            "setitimer": 103, "getpid": 172, "getppid": 173, "gettid": 178, "getuid": 174, "geteuid": 175,
            "getgid": 176, "getegid": 177, "uname": 160, "sysinfo": 179, "getrusage": 165, "getrandom": 278,
            "set_robust_list": 99, "rseq": 293, "restart_syscall": 128, "ppoll": 73, "exit": 93,
            "exit_group": 94, "accept4": 242, "recvmsg": 212, "sendmsg": 211, "shutdown": 210,
            "getsockname": 204, "setsockopt": 208, "getsockopt": 209, "dup": 23, "dup3": 24, "clone": 220,
            "clone3": 435, "openat": 56, "mmap": 222, "mprotect": 226, "prctl": 167, "tgkill": 131,
            "ioctl": 29, "fcntl": 25, "prlimit64": 261,
        },
    ),
}  # fmt: skip
"""By `platform.machine()`: the numbers of asm/unistd_64.h and of asm-generic/unistd.h."""


def call_filter(machine: Machine, pid: int) -> bytes:
    """
    Return the filter for the process `pid`, as an array of struct sock_filter.

    A call that is not in the table fails with EPERM, which Python reports as PermissionError. Of calls with
    rules, only integers can be judged: the filter sees no memory behind a pointer.
    """
    rules = {
        # Its flags are behind a pointer: libc falls back to `clone`, where they are an integer.
        "clone3": [_return(FAIL | errno.ENOSYS)],
        "clone": _when_masked(0, THREAD_FLAGS | NAMESPACE_FLAGS, THREAD_FLAGS),
        "open": _when_masked(1, WRITING_FLAGS, os.O_RDONLY),
        "openat": _when_masked(2, WRITING_FLAGS, os.O_RDONLY),
        "mmap": _when_masked(2, PROT_EXEC, 0),
        "mprotect": _when_masked(2, PROT_EXEC, 0),
        "prctl": _when_any(0, PR_SET_NAME),
        "tgkill": _when_any(0, pid),
        "ioctl": _when_any(1, FIOCLEX, TCGETS),
        "fcntl": _when_any(1, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC),
        "prlimit64": _when_zero_pointer(2),
    }
    program = [
        _load(MACHINE_OFFSET), _instruction(JUMP_EQUAL, machine.audit_name, 1, 0), _return(KILL_PROCESS),
        _load(NUMBER_OFFSET), _instruction(JUMP_NOT_LESS, X32_BIT, 0, 1), _return(KILL_PROCESS),
    ]  # fmt: skip
    for name, number in machine.numbers.items():
        body = rules.get(name, [_return(ALLOW)])
        program += [_instruction(JUMP_EQUAL, number, 0, len(body)), *body]
    return b"".join([*program, _return(FAIL | errno.EPERM)])


def _when_masked(argument: int, mask: int, expected: int) -> list[bytes]:
    """Allow the call when `argument & mask` is what is expected."""
    return [_load(_low_word(argument)), _instruction(AND, mask), *_allow_any(expected)]


def _when_any(argument: int, *expected: int) -> list[bytes]:
    return [_load(_low_word(argument)), *_allow_any(*expected)]


def _when_zero_pointer(argument: int) -> list[bytes]:
    low = _low_word(argument)
    return [
        _load(low), _instruction(JUMP_EQUAL, 0, 1, 0), _return(FAIL | errno.EPERM), _load(low + 4),
        *_allow_any(0),
    ]  # fmt: skip


def _allow_any(*expected: int) -> list[bytes]:
    allowed = [each for value in expected for each in (_instruction(JUMP_EQUAL, value, 0, 1), _return(ALLOW))]
    return [*allowed, _return(FAIL | errno.EPERM)]


def _low_word(argument: int) -> int:
    return ARGUMENTS_OFFSET + 8 * argument


def _load(offset: int) -> bytes:
    return _instruction(LOAD, offset)


def _return(decision: int) -> bytes:
    return _instruction(RETURN, decision)


def _instruction(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """struct sock_filter (linux/filter.h)."""
    return struct.pack("=HBBI", code, if_true, if_false, operand)
