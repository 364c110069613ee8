"""Starts a submission's process, and ends it with everything that it started.

The grader runs this file as a process of its own: ``python keeper.py CONTROL STATUS FOLDER USER COMMAND…``. Whatever
the command leaves behind, however often it forks, becomes a child of this process (Linux's child subreaper), so all of
it can be found and ended. That happens when the grader closes CONTROL, by itself or because it has ended. USER is a
number or empty; FOLDER is removed at the end. The command's exit status is written to STATUS.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path

WAIT = 5.0
"""Seconds to wait for processes that were ended to be gone."""


def main() -> None:
    control, status, folder, user = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    command = os.fork()
    if command == 0:
        start(sys.argv[5:], user, (control, status, wake, woken))
    for stream in (0, 1):
        os.close(stream)
    while True:
        ready, _, _ = select.select([control, wake], [], [])
        if control in ready:
            break
        os.read(wake, 4096)
        report(command, status)
    end(command)
    shutil.rmtree(folder, ignore_errors=True)


def start(command: list[str], user: str, to_close: tuple[int, ...]) -> None:
    """Become the command, in a session of its own and as another user if one is given."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for one in to_close:
            os.close(one)
        if user:
            os.setgroups([])
            os.setgid(int(user))
            os.setuid(int(user))
        os.execv(command[0], command)
    finally:
        os._exit(127)


def report(command: int, status: int) -> None:
    """Take notice of processes that have ended, and tell how the command did."""
    try:
        while True:
            process, how = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            if process == command:
                os.write(status, f"{os.waitstatus_to_exitcode(how)}\n".encode())
    except ChildProcessError:
        return


def end(command: int) -> None:
    """Stop, then end, the command's process group and all descendants, until none is left."""
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        found = descendants()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in found:
                send(process, number)
        if not sys.platform.startswith("linux"):
            send(-command, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def send(process: int, number: int) -> None:
    try:
        os.kill(process, number)
    except (ProcessLookupError, PermissionError):  # it has ended meanwhile
        return


def descendants() -> list[int]:
    """The children of this process, their children, and so on; none where there is no /proc."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(place.name)] = int((place / "stat").read_text("latin-1").rpartition(")")[2].split()[1])
        except (OSError, IndexError):  # it has ended meanwhile
            continue
    found, new = [], [os.getpid()]
    while new:
        new = [process for process, parent in parents.items() if parent in new]
        found += new
    return found


if __name__ == "__main__":
    main()
