"""Fixtures for the tests of local servers and models."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.local.stand_in_program import StandIn


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs of servers that fail are kept: here, and not in the machine's temporary folder."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


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
