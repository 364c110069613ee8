"""What a submission's process may do: limits of memory, time and size; on Linux no files, no processes, no network.

`limit` uses resource limits and is for accidents. `confine` asks the Linux kernel for more, without any privilege, and
cannot be undone by whoever runs in the process: Landlock (Linux 5.13) leaves no files to read but those of Python and
NumPy and none to write, and a system call filter (seccomp, on x86-64 and ARM64) refuses new processes, sockets, and
signals to others. Where the kernel offers neither, nothing happens; `confine` says what holds.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

FILE_SIZE = 16 * 2**20
"""Bytes that may be written to one file, where files can be written at all."""
READABLE = ("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/dev/urandom")
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", f"{sys.base_prefix}/lib")
"""Folders of shared libraries. What is in them can be read, but for Python's own folders: those hold packages."""
PACKAGES = ("site-packages", "dist-packages")

_ACCESS = {"execute": 0, "write": 1, "read": 2, "list": 3}
_RIGHTS = ((1, 13), (2, 14), (3, 15), (5, 16))
"""(version of Landlock, how many rights over files it knows), from its header."""
_READ = 1 << _ACCESS["execute"] | 1 << _ACCESS["read"]
_LIST = 1 << _ACCESS["list"]
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""The column of the table below, and the kernel's number of the architecture."""
_REFUSED = {
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438), "tkill": (200, 130), "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190),
    "mq_open": (240, 180), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "bpf": (321, 280),
    "io_uring_setup": (425, 425), "perf_event_open": (298, 241), "add_key": (248, 217), "keyctl": (250, 219),
}  # fmt: skip
_CLONE, _CLONE3, _PRLIMIT = (56, 220), (435, 435), (302, 261)
_KILL = ((62, 129), (234, 131))
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_THREAD = 0x10000


def limit(memory: int, seconds: int) -> None:
    """At most so many bytes of address space and seconds of the processor, no large files and no core dumps."""
    try:
        import resource
    except ImportError:  # Windows
        return
    wanted = [("RLIMIT_AS", memory), ("RLIMIT_CPU", seconds), ("RLIMIT_FSIZE", FILE_SIZE), ("RLIMIT_CORE", 0)]
    if hasattr(os, "geteuid") and os.geteuid():
        wanted.append(("RLIMIT_NPROC", 64))
    for kind, value in wanted:
        with contextlib.suppress(AttributeError, ValueError, OSError):  # an unlimited kind, or a lower limit already
            resource.setrlimit(getattr(resource, kind), (value, value))


def confine(readable: Iterable[str]) -> tuple[str, ...]:
    """Leave this process only the files of Python, of the system's libraries and of `readable`, and no processes.

    Returns:
        What the kernel agreed to, of "files" and "processes".
    """
    if not sys.platform.startswith("linux"):
        return ()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)  # no new privileges: both of what follows want it
    done = []
    if _confine_files(libc, readable):
        done.append("files")
    if _confine_processes(libc):
        done.append("processes")
    return tuple(done)


def _confine_files(libc: ctypes.CDLL, readable: Iterable[str]) -> bool:
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    known = (1 << max(count for since, count in _RIGHTS if version >= since)) - 1
    attributes = struct.pack("=QQQ", known, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    if rules < 0:
        return False
    for path in {*READABLE, *_system(), *readable}:
        _allow(libc, rules, path, _READ | (_LIST if Path(path).is_dir() else 0))
    _allow(libc, rules, str(Path(os.__file__).parent), _LIST)
    _allow(libc, rules, os.devnull, 1 << _ACCESS["read"] | 1 << _ACCESS["write"])
    agreed = libc.syscall(_RESTRICT_SELF, rules, 0) == 0
    os.close(rules)
    return agreed


def _system() -> list[str]:
    """The shared libraries and Python's standard library, without the packages that are installed there."""
    kinds: list[tuple[Path, str | tuple[str, ...]]] = [(Path(folder), "python") for folder in LIBRARIES]
    found: list[str] = []
    for folder, skip in [*kinds, (Path(os.__file__).parent, PACKAGES)]:
        with contextlib.suppress(OSError):  # not on this machine
            found += [str(path) for path in folder.iterdir() if not path.name.startswith(skip)]
    return found


def _allow(libc: ctypes.CDLL, rules: int, path: str, access: int) -> None:
    try:
        where = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not on this machine, or a link to nowhere
        return
    libc.syscall(_ADD_RULE, rules, 1, struct.pack("=Qi", access, where), 0)
    os.close(where)


def _confine_processes(libc: ctypes.CDLL) -> bool:
    if platform.machine() not in _MACHINES:
        return False
    column, machine = _MACHINES[platform.machine()]
    program = filter_program(column, machine, os.getpid())
    code = b"".join(struct.pack("=HBBI", *line) for line in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    pointer = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(buffer)))
    return libc.prctl(22, 2, pointer, 0, 0) == 0


def filter_program(column: int, machine: int, process: int) -> list[Sequence[int]]:
    """The system call filter as instructions (code, jump if true, jump if false, operand) of the kernel's machine."""
    refuse, allow = (_RETURN, 0, 0, _ERROR | _EPERM), (_RETURN, 0, 0, _ALLOW)
    first_argument = (_LOAD, 0, 0, 16)
    lines: list[Sequence[int]] = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, machine), refuse, (_LOAD, 0, 0, 0)]
    lines += [(_AT_LEAST, 0, 1, 0x40000000), refuse]  # x32's numbers
    for numbers in _REFUSED.values():
        if (number := numbers[column]) is not None:
            lines += [(_EQUAL, 0, 1, number), refuse]
    lines += [(_EQUAL, 0, 1, _CLONE3[column]), (_RETURN, 0, 0, _ERROR | _ENOSYS)]  # the C library then takes clone
    lines += [(_EQUAL, 0, 4, _CLONE[column]), first_argument, (_ANY_BIT, 0, 1, _THREAD), allow, refuse]
    for numbers in _KILL:
        lines += [(_EQUAL, 0, 4, numbers[column]), first_argument, (_EQUAL, 0, 1, process), allow, refuse]
    own = [(_EQUAL, 2, 0, 0), (_EQUAL, 1, 0, process)]
    lines += [(_EQUAL, 0, 5, _PRLIMIT[column]), first_argument, *own, refuse, allow]
    return [*lines, allow]
