"""A stand-in server program, so that the lifecycle is tested without vLLM."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

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


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that ended and was not collected yet does not."""
    status = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            return status.read_text().rpartition(")")[2].split()[0] not in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def eventually(condition: Callable[[], bool]) -> bool:
    """Polls until the condition holds, at most `PATIENCE_SECONDS`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[[str], StandIn]:
    return lambda mode: StandIn(mode=mode, pids_file=tmp_path / "pids")


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A folder that looks enough like a model for the command line to be built."""
    folder = tmp_path / "some-model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder
