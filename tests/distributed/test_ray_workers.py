"""Rollouts on a Ray cluster of several nodes on this machine, one of which is killed in mid-run."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import AuthenticationError

import verifiers_tito as vf
from tests.conftest import FAKE_MODEL, FakeMaker
from tests.local.stand_in_program import eventually, is_alive
from verifiers_tito import cli
from verifiers_tito.distributed import RayWorkers
from verifiers_tito.testing import Completion, FakeRequest, FakeVLLM

pytestmark = pytest.mark.ray
ray = pytest.importorskip("ray")

EXAMPLES, EACH, TURNS = 30, 4, 3
KEY = "sk-of-a-ray-test"
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}


class TalkingEnv(vf.MultiTurnEnv):
    async def env_response(self, messages: vf.Messages, state: vf.State, **kwargs: Any) -> str:
        return f"and {state['turn']}?"


class Meeting:
    """Where the first rollout of a process waits until those of another one are there, too."""

    def __init__(self) -> None:
        self._processes: set[int] = set()
        self._is_complete = asyncio.Event()

    async def processes(self) -> set[int]:
        return self._processes

    async def arrive(self, process: int) -> None:
        self._processes.add(process)
        if len(self._processes) == 2:
            self._is_complete.set()
        await self._is_complete.wait()


class MeetingEnv(TalkingEnv):
    """Both workers have begun before any rollout ends. Later on nothing is asked of Ray: a rollout on the node that is
    killed would see that fail, and end with an error of its own."""

    meeting: Any
    has_met = False

    async def setup_state(self, state: vf.State) -> vf.State:
        if not self.has_met:
            await self.meeting.arrive.remote(os.getpid())
            self.has_met = True
        return state


def length(completion: vf.Messages) -> float:
    return float(sum(len(vf.content_to_text(message.content)) for message in completion) % 7)


def make_env(kind: type[TalkingEnv] = TalkingEnv, *, examples: int = 1, **attributes: Any) -> TalkingEnv:
    rows = [{"question": f"Talk of {number}."} for number in range(examples)]
    return kind(dataset=rows, rubric=vf.Rubric(length), max_turns=TURNS, env_id="talking", **attributes)


def numbered(request: FakeRequest) -> Completion:
    return Completion(text=f"answer {request.number}")


def config(*fakes: FakeVLLM, **fields: Any) -> vf.ClientConfig:
    stitching = vf.StitchingConfig(tokenizer="server")
    return vf.ClientConfig(**{"base_url": tuple(fake.base_url for fake in fakes), "stitching": stitching, **fields})


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without processors, and two nodes with room for one worker each."""
    from ray.cluster_utils import Cluster  # noqa: PLC0415  late: it takes seconds

    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        memory = {"object_store_memory": 100 * 2**20, "include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "resources": {"head": 1}, **memory})
        try:
            for _ in range(2):
                made.add_node(num_cpus=1, **memory)
            ray.init(address=made.address, log_to_driver=False)
            yield made
        finally:
            ray.shutdown()
            made.shutdown()


async def evaluate(env: vf.Environment, client: vf.ClientConfig, workers: RayWorkers, **options: Any) -> dict[str, Any]:
    made = {"rollouts_per_example": EACH, "show_progress": False, "workers": workers, **options}
    return await env.evaluate(client, FAKE_MODEL, {"max_tokens": 12}, **made)


async def test_a_node_is_killed_in_mid_run_and_every_rollout_is_there_once(
    cluster: Any, qwen3_fake: FakeMaker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed: list[int] = []

    def kill_a_node(everything: list[Any], new: list[Any], metadata: dict[str, Any]) -> None:
        """Returns when a worker is dead. Until then the servers answer nobody, who are in this thread, too: it cannot
        finish what it has under way."""
        if not killed:
            workers = ray.get(meeting.processes.remote())
            cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
            assert eventually(lambda: not all(map(is_alive, workers)))
            killed.extend(pid for pid in workers if not is_alive(pid))

    meeting = ray.remote(Meeting).options(num_cpus=0, resources={"head": 1}, max_concurrency=EXAMPLES * EACH).remote()
    async with qwen3_fake(numbered, api_key=KEY) as one, qwen3_fake(numbered, api_key=KEY, max_model_len=4096) as other:
        with caplog.at_level(logging.WARNING, logger="verifiers_tito"):
            results = await evaluate(
                make_env(MeetingEnv, examples=EXAMPLES, meeting=meeting),
                config(one, other, api_key=KEY),
                RayWorkers(workers=2, rollouts_per_worker=2 * EACH),
                results_path=tmp_path,
                on_progress=kill_a_node,
            )
        asked = [len([request for request in fake.posts if "completions" in request.path]) for fake in (one, other)]
    assert len(killed) == 1
    assert "a worker is lost: what it had under way is run by another one" in caplog.text
    assert min(asked) > 0, "one of the servers was never asked"
    check(tmp_path, results["outputs"])
    assert KEY not in caplog.text


def check(folder: Path, outputs: list[Any]) -> None:
    """Every rollout once and whole, its ids in order, with a reward and an advantage; no answer in two of them."""
    written = (folder / "results.jsonl").read_text()
    assert KEY not in written + (folder / "metadata.json").read_text()
    lines = [json.loads(line) for line in written.splitlines()]
    assert len(lines) == len(outputs) == EXAMPLES * EACH
    states, answers = list(vf.load_results(folder).states()), []
    assert len(states) == EXAMPLES * EACH
    for state in states:
        summary = vf.summarize(state)
        assert (state["error"], summary.turns, summary.extending_turns) == (None, TURNS, TURNS - 1)
        answers += [step["completion"][0].content for step in state["trajectory"]]
    for example in range(EXAMPLES):
        group = [state for state in states if state["example_id"] == example]
        mean = sum(state["reward"] for state in group) / len(group)
        assert [state["advantage"] for state in group] == [state["reward"] - mean for state in group]


async def test_errors_of_workers_are_raised_here_as_they_are(cluster: Any, qwen3_fake: FakeMaker) -> None:
    env, lock = make_env(), threading.Lock()
    async with qwen3_fake(numbered, api_key=KEY) as fake:
        with pytest.raises(AuthenticationError) as caught:
            await evaluate(env, config(fake, api_key="wrong"), RayWorkers(workers=1))
        assert caught.value.status_code == 401
        missing = RayWorkers(workers=1, environment=lambda: vf.load_environment("missing-env"))
        with pytest.raises(vf.ConfigError, match="no environment missing-env"):
            await evaluate(env, config(fake, api_key=KEY), missing)
        env.lock = lock  # type: ignore[attr-defined]
        with pytest.raises(vf.ConfigError, match="cannot be pickled for its workers"):
            await evaluate(env, config(fake, api_key=KEY), RayWorkers(workers=1))
        with pytest.raises(vf.ConfigError, match="give generate a ClientConfig"):
            await evaluate(env, object(), RayWorkers(workers=1))  # type: ignore[arg-type]


async def test_the_command_and_generate_run_bundled_environments_and_cancelling_frees_the_workers(
    cluster: Any, qwen3_fake: FakeMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    async with qwen3_fake(numbered) as fake:
        words = ["rollout", "number-guess", "--base-url", fake.base_url, "--tokenizer", "server", "-n", "2"]
        assert await asyncio.to_thread(cli.main, [*words, "--ray", "--workers", "1", "--no-progress"]) == 0
        assert "6 (examples: 2)" in capsys.readouterr().out
        env = vf.load_environment("number-guess")
        run = asyncio.create_task(
            evaluate(env, config(fake), RayWorkers(workers=1), on_progress=lambda *told: run.cancel())
        )
        with pytest.raises(asyncio.CancelledError):
            await run
        # The only place is free again: another worker gets it.
        results = await evaluate(env, config(fake), RayWorkers(workers=1, start_seconds=60), num_examples=1)
        assert [output["error"] for output in results["outputs"]] == [None] * EACH


def test_what_cannot_be_is_refused_before_anything_starts() -> None:
    with pytest.raises(vf.ConfigError, match=r"workers and rollouts_per_worker of at least 1"):
        RayWorkers(workers=0)
