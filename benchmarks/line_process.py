"""A child process that answers lines on its stdin with lines of JSON on its stdout.

    LineProcess ──starts──► the child
                ◄── one line of JSON, as soon as it is ready
    a line      ──► ◄── one line of JSON
    end of stdin ──► it stops

The child ends when its standard input does, and so also when this process is killed. It stands in a process group of
its own: a terminal's Ctrl-C reaches this process only, which then closes the pipe. What is asked and answered is none
of its business.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from verifiers_tito.errors import LocalServerError

PROJECT = Path(__file__).parent.parent
_PATIENCE_SECONDS = 10.0


class LineProcess:
    """`with LineProcess(command, name="the fake vLLM") as process`: it runs inside the block, `greeting` is its first
    line. Raises `LocalServerError` where it does not start or has ended; its own words go to `stderr` (a file, or this
    process's)."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        name: str,
        environment: Mapping[str, str] | None = None,
        stderr: IO[str] | None = None,
    ) -> None:
        self.greeting: Any = None
        self._command = list(command)
        self._name = name
        self._environment = environment
        self._stderr = stderr
        self._process: subprocess.Popen[str] | None = None

    def ask(self, line: str) -> Any:
        """The answer to one line. Waits for it; nothing else is to run meanwhile."""
        process = self._process
        if process is None or process.stdin is None:
            raise LocalServerError(f"{self._name}'s process is not running: use it inside `with`")
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
        except BrokenPipeError as error:
            raise LocalServerError(self._ended) from error
        return self._read_line()

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            self._command,
            stdin=pipe,
            stdout=pipe,
            stderr=self._stderr,
            text=True,
            cwd=PROJECT,
            env=self._environment,
            process_group=0,
        )
        try:
            self.greeting = self._read_line()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def _ended(self) -> str:
        return f"{self._name}'s process ended before it was told to; its own words are on stderr"

    def _read_line(self) -> Any:
        process = self._process
        line = process.stdout.readline() if process and process.stdout else ""
        if not line:
            raise LocalServerError(self._ended)
        return json.loads(line)

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with process:  # whose end closes the pipes
            try:
                with suppress(BrokenPipeError, subprocess.TimeoutExpired):
                    if process.stdin:
                        process.stdin.close()
                    process.wait(timeout=_PATIENCE_SECONDS)
            finally:
                process.kill()  # if it still runs
