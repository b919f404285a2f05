"""The command as people run it, in a folder of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from verifiers_tito import cli


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a run of the command came to."""

    exit_code: int
    out: str
    err: str

    def cells(self, label: str) -> list[str]:
        """The values of the rows with this label."""
        rows = (line.partition(" ") for line in self.out.splitlines())
        return [value.strip() for name, _, value in rows if name == label]


Tito = Callable[..., Awaitable[Ran]]


@pytest.fixture
def tito(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tito:
    """`await tito("rollout", "number-guess")`, in an empty folder that is the current one. The command runs in a
    thread: fakes answer while the test's loop runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    async def run(*words: object) -> Ran:
        capsys.readouterr()
        exit_code = await asyncio.to_thread(cli.main, [*map(str, words)])
        captured = capsys.readouterr()
        return Ran(exit_code=exit_code, out=captured.out, err=captured.err)

    return run
