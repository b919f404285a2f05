"""A server process under a guardian, seen from its owner.

Flow: start the guardian, which starts the server in its own process group and says the group's id; the owner
keeps the write end of the guardian's standard input. Closing it, on purpose or by dying, stops the group.
Should the guardian itself be killed, `stop` kills what it left behind. It knows processes and a log file, not
HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from verifiers_tito.errors import LocalServerError
from verifiers_tito.local.server_options import ServerCommand

GUARDIAN = Path(__file__).with_name("guardian.py")
POLL_SECONDS = 0.05
KILL_MARGIN_SECONDS = 15.0  # the guardian's own time to kill and to leave, beyond the grace


class GuardedProcess:
    """Owns one guardian. `start` once, `stop` as often as wanted."""

    def __init__(self, command: ServerCommand, *, log_path: Path, stop_grace_seconds: float) -> None:
        self._stop_grace_seconds = stop_grace_seconds
        with log_path.open("ab") as log:
            self._guardian = subprocess.Popen(
                [
                    sys.executable,
                    *("-I", str(GUARDIAN)),
                    *("--owner", str(os.getpid())),
                    *("--grace-seconds", str(stop_grace_seconds)),
                    "--",
                    *command.arguments,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(command.environment),
                start_new_session=True,
            )
        self._group: int | None = None

    @property
    def pid(self) -> int:
        """The server's process id, which is its group's id too."""
        if self._group is None:
            raise LocalServerError("the local server was not started")
        return self._group

    @property
    def exit_code(self) -> int | None:
        """`None` while the server runs. 128 + n where signal n ended it."""
        return self._guardian.poll()

    async def read_pid(self) -> None:
        """Waits for the server's process id. Leaves it unknown when the program could not be started."""
        if self._guardian.stdout is None:
            raise LocalServerError("the guardian of the local server was started without a pipe")
        line = await asyncio.to_thread(self._guardian.stdout.readline)
        self._group = int(line) if line.strip() else None
        if self._group is None:
            await self.wait()

    async def wait(self) -> int:
        """Waits until the server is gone; returns its exit code."""
        while (code := self._guardian.poll()) is None:  # noqa: ASYNC110 - no event works on every loop
            await asyncio.sleep(POLL_SECONDS)
        return code

    def request_stop(self) -> None:
        """Tells the guardian to stop the group, at once and without waiting."""
        if self._guardian.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._guardian.stdin.close()

    async def stop(self) -> None:
        """Stops the group and returns when none of it lives. Safe to cancel: the guardian finishes alone."""
        self.request_stop()
        deadline = time.monotonic() + self._stop_grace_seconds + KILL_MARGIN_SECONDS
        while self._guardian.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
        if self._guardian.poll() is None:
            self._guardian.kill()
        self._guardian.wait()
        if self._group is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._group, signal.SIGKILL)
        if self._guardian.stdout is not None:
            self._guardian.stdout.close()
