"""A renderer that is hostile to the last line: what it tries, and what came of it, as JSON."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import platform
import queue
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from proxy.model.media import Document
from proxy.renderers import Job, JobKind, RenderedFile, Reply

LIBC = ctypes.CDLL(None, use_errno=True)
MEMORY_OF_PARENT = [0]
PTRACE_ATTACH, PTRACE_SEIZE, PR_SET_DUMPABLE = 16, 0x4206, 4

CALL_NUMBERS = {
    "x86_64": {
        "clone": 56, "execveat": 322, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311,
        "pidfd_open": 434, "memfd": 319, "shmget": 29, "unshare": 272, "io_uring_setup": 425,
        "keyctl": 250, "bpf": 321, "userfaultfd": 323, "perf_event_open": 298, "openat2": 437,
        "inotify_init1": 294,
    },
    "aarch64": {
        "clone": 220, "execveat": 281, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271,
        "pidfd_open": 434, "memfd": 279, "shmget": 194, "unshare": 97, "io_uring_setup": 425,
        "keyctl": 219, "bpf": 280, "userfaultfd": 282, "perf_event_open": 241, "openat2": 437,
        "inotify_init1": 26,
    },
}.get(platform.machine(), {})  # fmt: skip


def call(name: str, *arguments: int | bytes | None) -> str:
    """Past Python and libc, as machine code would."""
    answer = LIBC.syscall(
        ctypes.c_long(CALL_NUMBERS[name]),
        *(ctypes.c_long(each) if isinstance(each, int) else each for each in arguments),
    )
    return checked(answer)


def checked(answer: int) -> str:
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return f"returned {answer}"


def read(path: str) -> str:
    with open(path, "rb") as file:
        return repr(file.read(20))


def connect(kind: socket.SocketKind, family: socket.AddressFamily, address: object) -> str:
    with socket.socket(family, kind) as connection:
        connection.connect(address)  # type: ignore[arg-type]
    return "connected"


def fork() -> str:
    if os.fork() == 0:
        os._exit(0)
    return "forked"


def executable_memory() -> str:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    return "mapped"


def memory_made_executable() -> str:
    memory = mmap.mmap(-1, 4096)
    return checked(
        LIBC.mprotect(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(memory))), 4096, 5)
    )


def memory_of_parent(name: str) -> str:
    local = (ctypes.c_char * 16)()
    start = MEMORY_OF_PARENT[0]
    vectors = [(ctypes.c_size_t * 2)(ctypes.addressof(local), 16), (ctypes.c_size_t * 2)(start, 16)]
    return call(name, os.getppid(), ctypes.addressof(vectors[0]), 1, ctypes.addressof(vectors[1]), 1, 0)


def attacks(target: dict[str, str]) -> dict[str, Callable[[], object]]:
    """By name. `target` has a `folder` with a `secret` file and the path and port of sockets that listen."""
    folder, parent = Path(target["folder"]), os.getppid()
    secret, own = folder / "secret", Path(__file__)
    tcp, unix, abstract = ("127.0.0.1", int(target["port"])), target["socket"], "\0" + target["abstract"]
    MEMORY_OF_PARENT[:] = [int(target["memory"])]
    return {
        "open /etc/passwd": lambda: read("/etc/passwd"),
        "open a file of the service": lambda: read(str(secret)),
        "open through /proc/self/root": lambda: read("/proc/self/root/etc/passwd"),
        "open through ..": lambda: read("/usr/lib/../../etc/passwd"),
        "open what lies beside the code": lambda: read(str(own.parents[2] / "pyproject.toml")),
        "openat2": lambda: call("openat2", -100, b"/etc/passwd\0", bytes(24), 24),
        "list the folder of the service": lambda: os.listdir(folder),
        "list /": lambda: os.listdir("/"),
        "list /proc": lambda: os.listdir("/proc"),
        "environ of the parent": lambda: read(f"/proc/{parent}/environ"),
        "memory of the parent": lambda: read(f"/proc/{parent}/mem"),
        "maps of the parent": lambda: read(f"/proc/{parent}/maps"),
        "command line of the parent": lambda: read(f"/proc/{parent}/cmdline"),
        "descriptors of the parent": lambda: os.listdir(f"/proc/{parent}/fd"),
        "own environ": lambda: read("/proc/self/environ"),
        "own memory": lambda: os.open("/proc/self/mem", os.O_RDWR),
        "write a file": lambda: (folder / "new").write_text("x"),
        "write /tmp": lambda: Path("/tmp/image-proxy-attack").write_text("x"),
        "write scratch": lambda: Path(os.environ["XDG_CACHE_HOME"], "attack").write_text("x"),
        "append to a file": lambda: os.open(secret, os.O_WRONLY | os.O_APPEND),
        "open a file for both": lambda: os.open(own, os.O_RDWR),
        "truncate while reading": lambda: os.open(secret, os.O_RDONLY | os.O_TRUNC),
        "make an unnamed file": lambda: os.open(folder, os.O_TMPFILE | os.O_RDWR),
        "truncate": lambda: os.truncate(secret, 0),
        "remove": lambda: os.remove(secret),
        "rename": lambda: os.rename(secret, folder / "renamed"),
        "make a folder": lambda: os.mkdir(folder / "made"),
        "symlink": lambda: os.symlink("/etc/passwd", folder / "link"),
        "link": lambda: os.link(secret, folder / "linked"),
        "make a pipe": lambda: os.mkfifo(folder / "pipe"),
        "chmod": lambda: os.chmod(secret, 0o777),
        "change its times": lambda: os.utime(secret),
        "TCP": lambda: connect(socket.SOCK_STREAM, socket.AF_INET, tcp),
        "UDP": lambda: connect(socket.SOCK_DGRAM, socket.AF_INET, tcp),
        "UDP without connect": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", tcp),
        "unix socket": lambda: connect(socket.SOCK_STREAM, socket.AF_UNIX, unix),
        "abstract socket": lambda: connect(socket.SOCK_STREAM, socket.AF_UNIX, abstract),
        "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0),
        "raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
        "listen": lambda: socket.create_server(("127.0.0.1", 0)),
        "pair of sockets": socket.socketpair,
        "open /etc/hosts": lambda: read("/etc/hosts"),
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "exec of the code": lambda: call("execveat", -100, b"/bin/true\0", None, None, 0),
        "subprocess": lambda: subprocess.run(["/bin/true"], check=True),
        "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "fork": fork,
        "clone": lambda: call("clone", int(signal.SIGCHLD), None, None, None, None),
        "clone of a namespace": lambda: call("clone", 0x10000000 | signal.SIGCHLD, None, None, None, None),
        "kill the parent": lambda: os.kill(parent, 0),
        "kill its group": lambda: os.killpg(os.getpgid(0), 0),
        "tgkill": lambda: checked(LIBC.tgkill(parent, parent, 0)),
        "ptrace": lambda: call("ptrace", PTRACE_ATTACH, parent, None, None),
        "ptrace, politely": lambda: call("ptrace", PTRACE_SEIZE, parent, None, None),
        "read the parent": lambda: memory_of_parent("process_vm_readv"),
        "write the parent": lambda: memory_of_parent("process_vm_writev"),
        "pidfd": lambda: call("pidfd_open", parent, 0),
        "shared memory": lambda: call("shmget", 0, 4096, 0o1600),
        "memfd": lambda: call("memfd", b"x\0", 0),
        "executable memory": executable_memory,
        "memory made executable": memory_made_executable,
        "unshare": lambda: call("unshare", 0x10000000),
        "io_uring": lambda: call("io_uring_setup", 1, ctypes.addressof((ctypes.c_uint64 * 32)())),
        "keyctl": lambda: call("keyctl", 0, -3, 0),
        "bpf": lambda: call("bpf", 0, ctypes.addressof((ctypes.c_uint64 * 32)()), 64),
        "userfaultfd": lambda: call("userfaultfd", 1),
        "perf": lambda: call("perf_event_open", ctypes.addressof((ctypes.c_uint64 * 16)()), 0, -1, -1, 0),
        "chroot": lambda: os.chroot("/"),
        "another user": lambda: os.setuid(os.getuid()),
        "dumpable": lambda: checked(LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)),
        "inotify": lambda: call("inotify_init1", 0),
        "nice": lambda: os.nice(0),
        "limits of the parent": lambda: __import__("resource").prlimit(parent, 7, (1, 1)),
    }  # fmt: skip


def outcome(attack: Callable[[], object]) -> str:
    """What it got, or that it was `refused`."""
    try:
        return f"GOT {attack()!r}"
    except OSError as error:
        return f"refused: {error}"


class Worker(threading.Thread):
    """A thread that waits for what it is to do: one of them is older than the filter of calls."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.asked: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self.answered: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.start()

    def run(self) -> None:
        while True:
            self.answered.put(outcome(self.asked.get()))

    def outcome(self, attack: Callable[[], object]) -> str:
        self.asked.put(attack)
        return self.answered.get(timeout=10)


OLD_THREAD = Worker()


def attack(job: Job) -> Reply:
    """All attacks on what the job's options name, each from the main thread, an older and a newer one."""
    tried = {}
    old, new = OLD_THREAD, Worker()
    for name, each in attacks(json.loads(job.options)).items():
        tried[name] = [outcome(each), old.outcome(each), new.outcome(each)]
    body = json.dumps({"pid": os.getpid(), "tried": tried}).encode()
    return Reply(files=(RenderedFile(body=body, format=Document.JSON, width=1, height=1),))


TASKS = {JobKind.DESCRIBE: attack}
