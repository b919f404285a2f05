"""Runs a server in a process group of its own and stops the whole group when its owner is gone.

    python guardian.py --owner PID --grace-seconds S -- COMMAND...

The owner holds the write end of this process's standard input and never writes: end of file means "stop",
however it came about (closed on purpose, crash, SIGKILL). A changed parent means the same. The first line on
standard output is the server's process id, which is also its group's id; the server's own output goes to
standard error. When the server ends by itself, what is left of its group is stopped and its exit code is
passed on.

Standard library only, and started by file path, so that it is up before the server has imported anything.
It does not know what the server serves.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from types import FrameType

POLL_SECONDS = 0.1
KILL_WAIT_SECONDS = 10.0
COMMAND_NOT_RUN = 127  # what a shell answers when a program cannot be started
SUBREAPER_OPTION = 36  # PR_SET_CHILD_SUBREAPER of Linux's prctl


class StopRequestedError(Exception):
    """A signal asked the guardian itself to stop."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="guardian")
    parser.add_argument("--owner", type=int, required=True)
    parser.add_argument("--grace-seconds", type=float, required=True)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _request_stop)
    _adopt_orphans()
    try:
        server = subprocess.Popen(
            arguments.command, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), start_new_session=True
        )
    except OSError as exc:
        print(f"cannot start {arguments.command[0]}: {exc}", file=sys.stderr)
        return COMMAND_NOT_RUN
    try:
        # An owner that is gone already does not read this line.
        with contextlib.suppress(BrokenPipeError):
            print(server.pid, flush=True)
        _wait_for_an_end(server, owner=arguments.owner)
    except StopRequestedError:
        pass
    finally:
        stop_group(server, grace_seconds=arguments.grace_seconds)
    code = server.returncode if server.returncode is not None else -signal.SIGKILL
    return code if code >= 0 else 128 - code


def _request_stop(_number: int, _frame: FrameType | None) -> None:
    raise StopRequestedError


def _adopt_orphans() -> None:
    """Linux: grandchildren whose parent died become children of this process, which can reap them."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SUBREAPER_OPTION, 1, 0, 0, 0)


def _wait_for_an_end(server: subprocess.Popen[bytes], *, owner: int) -> None:
    """Returns when the server ended, standard input reached its end, or the owner is no longer the parent."""
    while server.poll() is None and os.getppid() == owner:
        readable, _, _ = select.select([sys.stdin], [], [], POLL_SECONDS)
        if readable and not os.read(sys.stdin.fileno(), 1024):
            return


def stop_group(server: subprocess.Popen[bytes], *, grace_seconds: float) -> None:
    """SIGTERM to the group, `grace_seconds` to obey, then SIGKILL. Further stop signals are ignored
    meanwhile.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _signal_group(server.pid, signal.SIGTERM)
    if not _group_ends(server, within_seconds=grace_seconds):
        _signal_group(server.pid, signal.SIGKILL)
        _group_ends(server, within_seconds=KILL_WAIT_SECONDS)


def _group_ends(server: subprocess.Popen[bytes], *, within_seconds: float) -> bool:
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        server.poll()
        if server.returncode is not None:
            _reap_orphans()
        if not _signal_group(server.pid, 0):
            return True
        time.sleep(POLL_SECONDS / 5)
    return False


def _reap_orphans() -> None:
    """Collects adopted processes that ended; a zombie would count as a living member of the group."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _signal_group(group: int, number: int) -> bool:
    """Whether the group still has a member to receive the signal."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS answers the latter for a group of zombies
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
