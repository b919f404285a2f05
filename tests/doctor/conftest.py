"""The command as people run it, and folders with other chat templates."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from verifiers_tito import cli
from verifiers_tito.testing import FakeModel, FakeVLLM, random_tokens

PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message.role | capitalize }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant: {% endif %}"
)
"""Turns that end with a line break, with which what a model samples may merge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a run of the command came to."""

    exit_code: int
    out: str
    err: str


Doctor = Callable[..., Awaitable[Ran]]
MakeFolder = Callable[[str | None], Path]
FakeOf = Callable[[Path], FakeVLLM]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """`await doctor("URL", "--json")`. The command runs in a thread: fakes answer while the test's loop runs."""

    async def run(*words: object) -> Ran:
        capsys.readouterr()
        exit_code = await asyncio.to_thread(cli.main, ["doctor", *map(str, words)])
        captured = capsys.readouterr()
        return Ran(exit_code=exit_code, out=captured.out, err=captured.err)

    return run


@pytest.fixture
def make_folder(qwen3_tiny: Path, tmp_path: Path) -> MakeFolder:
    """A folder with Qwen3's vocabulary and another chat template, or none."""

    def make(template: str | None) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        for file in qwen3_tiny.glob("*.json"):
            (folder / file.name).symlink_to(file)
        if template is not None:
            (folder / "chat_template.jinja").write_text(template)
        return folder

    return make


@pytest.fixture
def fake_of() -> FakeOf:
    """`async with fake_of(folder) as fake`: a fake of its own for a folder that only one test needs."""
    return lambda folder: FakeVLLM(FakeModel(folder=folder), script=random_tokens(shortest=8))
