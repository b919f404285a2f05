"""Failure 32: a real process, killed with SIGKILL twice in the middle of a run, and continued."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import verifiers_tito as vf
from tests.conftest import FakeMaker
from tests.results.killed_run import EACH, EXAMPLES, TURNS, run
from verifiers_tito.rollouts import RolloutKey
from verifiers_tito.testing import Completion, FakeRequest, FakeVLLM

PROJECT = Path(__file__).parents[2]
EVERY_KEY = {RolloutKey(example, index) for example in range(EXAMPLES) for index in range(EACH)}
TURNS_BEFORE_A_KILL = 40


async def killed_run(fake: FakeVLLM, folder: Path, killed_at: Callable[[], asyncio.Event]) -> None:
    """Starts the run in a process of its own and kills it when the server has answered so many turns."""
    kill = killed_at()
    command = (sys.executable, "-m", "tests.results.killed_run", fake.base_url, str(folder))
    process = await asyncio.create_subprocess_exec(*command, cwd=PROJECT)
    ended = asyncio.create_task(process.wait())
    killing = asyncio.create_task(kill.wait())
    await asyncio.wait((ended, killing), return_when=asyncio.FIRST_COMPLETED)
    killing.cancel()
    assert not ended.done(), "the run ended before it could be killed"
    process.kill()
    assert await ended == -9


async def test_killed_twice_and_continued_no_rollout_is_lost_or_doubled(qwen3_fake: FakeMaker, tmp_path: Path) -> None:
    events: list[asyncio.Event] = []
    answered = 0

    def numbered(request: FakeRequest) -> Completion:
        nonlocal answered
        answered += 1
        if events and answered == TURNS_BEFORE_A_KILL:
            events[-1].set()
        return Completion(text=f"answer {request.number}")

    def next_kill() -> asyncio.Event:
        nonlocal answered
        answered = 0
        events.append(asyncio.Event())
        return events[-1]

    there = []
    async with qwen3_fake(numbered) as fake:
        for _ in range(2):
            await killed_run(fake, tmp_path, next_kill)
            there.append(set(vf.load_results(tmp_path).index.rollouts))
        results = await run(fake.base_url, tmp_path)
    assert set() < there[0] < there[1] < EVERY_KEY
    check(tmp_path, results["outputs"])


def check(folder: Path, outputs: list[vf.RolloutOutput]) -> None:
    """Every rollout once, whole, with its ids in order, a reward and an advantage; no answer in two of them."""
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert len(lines) == len(outputs) == len(EVERY_KEY)
    loaded = vf.load_results(folder)
    assert loaded.metadata["finished"]
    assert set(loaded.index.rollouts) == EVERY_KEY
    states, answers = list(loaded.states()), []
    for state in states:
        summary = vf.summarize(state)
        assert (state["error"], summary.turns) == (None, TURNS)
        assert summary.extending_turns == summary.later_turns == TURNS - 1
        assert vf.build_datums(state["trajectory"]).splits == []
        answers += [step["completion"][0].content for step in state["trajectory"]]
    assert len(set(answers)) == len(answers) == len(EVERY_KEY) * TURNS
    for example in range(EXAMPLES):
        group = [state for state in states if state["example_id"] == example]
        mean = sum(state["reward"] for state in group) / len(group)
        assert [state["advantage"] for state in group] == [state["reward"] - mean for state in group]
