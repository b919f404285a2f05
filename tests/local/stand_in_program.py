"""A stand-in server program and its processes, so that the lifecycle is tested without vLLM."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from verifiers_tito.local import LocalServerOptions, ServerCommand

STAND_IN = Path(__file__).with_name("stand_in")
REPOSITORY = Path(__file__).parents[2]
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """Starts the stand-in in one of its modes and knows its processes."""

    mode: str
    pids_file: Path

    def environment(self) -> dict[str, str]:
        return os.environ | {
            "STAND_IN_MODE": self.mode,
            "STAND_IN_PIDS": str(self.pids_file),
            "PYTHONPATH": os.pathsep.join((str(STAND_IN), str(REPOSITORY))),
        }

    def command(self, options: LocalServerOptions, port: int) -> ServerCommand:
        arguments = ("-m", "vllm.entrypoints.openai.api_server", "--host", options.host, "--port", str(port))
        environment = self.environment() | dict(options.environment)
        if options.api_key is not None:
            environment["VLLM_API_KEY"] = options.api_key
        return ServerCommand(arguments=(sys.executable, *arguments), environment=environment)

    def pids(self) -> list[int]:
        """The server's and its engine's process ids; waits until both are known."""
        assert eventually(self.pids_file.is_file)
        return [int(line) for line in self.pids_file.read_text().split()]

    def is_gone(self) -> bool:
        return not any(is_alive(pid) for pid in self.pids())


def command_line_of(pid: int) -> list[str]:
    return _ps(pid, "args").split()


def parent_of(pid: int) -> int:
    return int(_ps(pid, "ppid"))


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that ended and was not collected yet does not."""
    return _ps(pid, "state")[:1] not in ("", "Z", "X")


def _ps(pid: int, field: str) -> str:
    """One field of one process; empty when there is no such process."""
    answer = subprocess.run(
        ["ps", "-ww", "-o", f"{field}=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip()


def eventually(condition: Callable[[], bool]) -> bool:
    """Polls until the condition holds, at most `PATIENCE_SECONDS`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()
