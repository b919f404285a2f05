"""Are two mathematical answers equal? Asked of `math-verify`, in processes that are ended when they take too long.

Its algebra runs for hours on a tower of powers, where neither threads nor signals can stop it. So each question goes to
a worker (`math_worker.py`); one that does not answer in time is killed, and the next question starts another. Works in
any event loop and thread. This module knows no rollouts.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, SimpleQueue

from verifiers_tito.errors import ConfigError, InfraError

_PROGRAM = Path(__file__).with_name("math_worker.py")
_START_SECONDS = 60.0


class Comparison(StrEnum):
    """How a response compares with the reference."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNREADABLE = "unreadable"
    """The reference holds no answer."""
    TIMED_OUT = "timed out"
    CRASHED = "crashed"
    """The worker died: the answer took more memory or depth than it has."""


class MathChecker:
    """At most `max_workers` processes, started when needed. `close` ends them, as does the end of the program."""

    def __init__(self, *, max_workers: int, timeout_seconds: float) -> None:
        if find_spec("math_verify") is None:
            raise ConfigError("comparing mathematical answers needs math-verify: pip install 'verifiers-tito[math]'")
        if max_workers < 1 or timeout_seconds <= 0:
            raise ConfigError(
                f"max_workers must be at least 1 and timeout_seconds above 0, got {max_workers} and {timeout_seconds}"
            )
        self._timeout_seconds = timeout_seconds
        self._threads = ThreadPoolExecutor(max_workers, thread_name_prefix="math-checker")
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self.close = weakref.finalize(self, _close, self._threads, self._idle)

    async def compare(self, reference: str, response: str) -> Comparison:
        """Compares in a thread that waits for a worker. Raises `InfraError` where no worker starts."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._compare, reference, response)

    def _compare(self, reference: str, response: str) -> Comparison:
        with self._worker() as worker:
            return worker.ask({"reference": reference, "response": response}, seconds=self._timeout_seconds)

    @contextmanager
    def _worker(self) -> Iterator[_Worker]:
        try:
            worker = self._idle.get_nowait()
        except Empty:
            worker = _Worker()
        try:
            yield worker
        finally:
            if worker.is_alive:
                self._idle.put(worker)
            else:
                worker.close()


class _Worker:
    """One process, asked one thing at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.is_alive = True
        if (said := self._exchange("", seconds=_START_SECONDS)) != "ready":
            self.close()
            raise InfraError(f"no worker for math-verify starts within {_START_SECONDS:.0f} s: it said {said!r}")

    def ask(self, question: dict[str, str], *, seconds: float) -> Comparison:
        return Comparison(self._exchange(json.dumps(question) + "\n", seconds=seconds))

    def close(self) -> None:
        self.is_alive = False
        self._process.kill()
        self._process.communicate()

    def _exchange(self, line: str, *, seconds: float) -> str:
        """The line that the process answers with; it is killed after `seconds`."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            answer = self._talk(line)
        finally:
            timer.cancel()
        self.is_alive = bool(answer) and not late.is_set()
        return answer or (Comparison.TIMED_OUT if late.is_set() else Comparison.CRASHED)

    def _talk(self, line: str) -> str:
        """The next line of the process, "" where it has ended."""
        if self._process.stdin is None or self._process.stdout is None:
            raise InfraError("a worker for math-verify has no pipes")
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
            return self._process.stdout.readline().strip()
        except BrokenPipeError:
            return ""


def _close(threads: ThreadPoolExecutor, idle: SimpleQueue[_Worker]) -> None:
    threads.shutdown(cancel_futures=True)
    while not idle.empty():
        idle.get().close()
