"""`tito init`: what it writes works as it is, and nothing that is there is lost."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.conftest import Tito
from tests.conftest import MODELS
from verifiers_tito.commands.environment_templates import EnvironmentKind
from verifiers_tito.testing import FakeTokenizer

NAME = "some-new-one"


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def _forget_modules() -> Iterator[None]:
    """Modules of this name are written anew by every test."""
    yield
    for module in ("some_new_one", "test_some_new_one"):
        sys.modules.pop(module, None)
    importlib.invalidate_caches()


@pytest.mark.usefixtures("_forget_modules")
@pytest.mark.parametrize("kind", list(EnvironmentKind))
async def test_the_test_of_each_kind_passes_as_it_is_written(
    kind: EnvironmentKind, tito: Tito, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qwen3_tokenizer: FakeTokenizer
) -> None:
    assert (await tito("init", NAME, "--kind", kind)).exit_code == 0
    monkeypatch.setenv("TITO_MODELS", str(MODELS))
    sys.path.insert(0, str(tmp_path))
    test_file = importlib.import_module("test_some_new_one")
    monkeypatch.setattr(test_file, "tokenizer", lambda: qwen3_tokenizer)  # the same one, loaded already
    tests = [value for name, value in vars(test_file).items() if name.startswith("test_")]
    assert len(tests) >= 2
    for test in tests:
        await asyncio.to_thread(test)


async def test_it_prints_the_two_commands_to_run_next(tito: Tito, tmp_path: Path) -> None:
    here = await tito("init", NAME)
    elsewhere = await tito("init", NAME, "--into", "a folder")
    assert here.out.splitlines()[1:] == [
        "  python -m pytest test_some_new_one.py  # builds a small model the first time: a minute",
        "  tito rollout some-new-one --base-url http://localhost:8000/v1",
    ]
    assert elsewhere.out.splitlines()[1:] == [
        "  python -m pytest 'a folder/test_some_new_one.py'  # builds a small model the first time: a minute",
        "  cd 'a folder' && tito rollout some-new-one --base-url http://localhost:8000/v1",
    ]
    assert (tmp_path / "a folder" / "some_new_one.py").is_file()


@pytest.mark.parametrize("taken", ["some_new_one.py", "test_some_new_one.py"])
async def test_nothing_is_overwritten_and_nothing_half_written(taken: str, tito: Tito, tmp_path: Path) -> None:
    (tmp_path / taken).write_text("years of work")
    ran = await tito("init", NAME)
    assert (ran.exit_code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert f"{taken} is there already" in ran.err
    assert names_in(tmp_path) == [taken]
    assert (tmp_path / taken).read_text() == "years of work"


@pytest.mark.parametrize("name", ["", "3d", "a.b", "../a", "a b", "_a", "ä", "class", "-"])
async def test_a_name_that_is_no_name_is_refused(name: str, tito: Tito, tmp_path: Path) -> None:
    ran = await tito("init", name)
    assert (ran.exit_code, names_in(tmp_path)) == (1, [])
    assert repr(name) in ran.err


@pytest.mark.parametrize("name", ["json", "number-guess", "verifiers-tito"])
async def test_a_name_that_python_or_a_bundled_example_has_is_refused(name: str, tito: Tito, tmp_path: Path) -> None:
    ran = await tito("init", name)
    assert (ran.exit_code, names_in(tmp_path)) == (1, [])
    assert f"there is a module {name.replace('-', '_')} already" in ran.err
