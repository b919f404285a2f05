"""The example that trains: what it compares itself with, and that it can be stopped and continued on a real server."""

from __future__ import annotations

import asyncio
import json
import sys
from argparse import Namespace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_ppo.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = spec_from_file_location("train_ppo", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for what annotations name
    spec.loader.exec_module(module)
    return module


def test_halving_seven_numbers_always_hits_in_three_guesses(example: ModuleType) -> None:
    assert example.halving_reward() == pytest.approx((1.0 + 2 * 0.75 + 4 * (1 - 1 / 3)) / 7)


async def test_the_careless_player_plays_whole_games_and_heeds_some_of_the_hints(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "WARM_GAMES", 60)
    games = await example.careless_games(seed=0)
    assert len(games) == 60
    assert games == await example.careless_games(seed=0)
    played = [[message["content"] for message in game[-6:] if message["role"] != "system"] for game in games]
    pairs = [
        (int(a), hint, int(b))
        for game in played
        for a, hint, b in zip(game, game[1:], game[2:], strict=False)
        if "wrong" in hint
    ]
    heeded = [(b > a) == ("higher" in hint) and a != b for a, hint, b in pairs]
    assert 0.5 < sum(heeded) / len(heeded) < 0.95
    assert {guess for pair in pairs for guess in (pair[0], pair[2])} == set(range(1, 8))


def test_a_journal_drops_what_came_after_the_last_saved_step(example: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "trained.jsonl"
    journal = example.Journal(path, steps_done=0)
    for step in range(3):
        journal.add(step=step, reward=step / 10)
    assert example.Journal(path, steps_done=2).rewards == [0.0, 0.1]
    assert len(path.read_text().splitlines()) == 2


def test_a_run_that_was_begun_with_other_settings_is_not_continued(example: ModuleType, tmp_path: Path) -> None:
    def options(**changed: Any) -> Namespace:
        return Namespace(**{"folder": tmp_path, "seed": 0, "steps": 2, "games": 4, **changed})

    example.keep_settings(options())
    example.keep_settings(options(steps=3))
    with pytest.raises(SystemExit, match=r"was begun with .*'games': 4\}, not .*'games': 8\}: remove it, or choose"):
        example.keep_settings(options(games=8))


@pytest.mark.vllm
async def test_a_short_run_is_continued_by_a_longer_one(tmp_path: Path) -> None:
    small = ("--games", "2", "--group-size", "2", "--warm-steps", "5", "--epochs", "1", "--folder", str(tmp_path))
    run = tmp_path / "seed-0"
    for steps in (1, 2):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(EXAMPLE), *small, "--steps", str(steps)), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        assert ("sampler and learner agree on" in out.decode()) == (steps == 1)
        lines = (run / "trained.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == list(range(steps))
        assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in (run / "states").iterdir()) == ["step-0", "step-2"]
