from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

import verifiers_tito as vf
from tests.conftest import FAKE_MODEL, FakeMaker, locally
from verifiers_tito.testing import replies


def test_unknown_keywords_become_attributes() -> None:
    assert vf.SingleTurnEnv(dataset=[], difficulty="hard").difficulty == "hard"


def test_a_keyword_that_looks_like_a_typo_is_pointed_out(caplog: pytest.LogCaptureFixture) -> None:
    env = vf.MultiTurnEnv(dataset=[], max_turn=3, difficulty=1)
    assert env.max_turn == 3
    assert [record.getMessage() for record in caplog.records] == [
        "MultiTurnEnv keeps max_turn as an attribute; did you mean max_turns?"
    ]


async def test_environments_are_made_off_the_main_thread() -> None:
    def make() -> list[vf.Environment]:
        single, multi = vf.SingleTurnEnv(dataset=[{"question": "q"}]), vf.MultiTurnEnv(dataset=[{"question": "q"}])
        return [single, multi, vf.ToolEnv(tools=[len]), vf.StatefulToolEnv(), vf.EnvGroup([single, multi])]

    assert len(await asyncio.to_thread(make)) == 5


def test_datasets_come_as_lists_builders_or_anything_that_yields_rows() -> None:
    rows = [{"question": "a"}, {"question": "b"}]
    for dataset in (rows, lambda: rows, (row for row in rows), vf.Environment.make_dataset(rows)):
        read = vf.SingleTurnEnv(dataset=dataset).get_dataset()
        assert [(row["example_id"], row["question"]) for row in read] == [(0, "a"), (1, "b")]


def test_rows_have_the_prompt_that_their_rollouts_begin_with() -> None:
    given = [vf.UserMessage(content="as it is")]
    env = vf.SingleTurnEnv(
        dataset=[{"question": "a"}, {"prompt": given}, {"start": 1}],
        system_prompt="S",
        few_shot=[vf.UserMessage(content="q"), {"role": "assistant", "content": "r"}],
    )
    asked, ready, silent = env.get_dataset()
    assert asked["prompt"] == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "r"},
        {"role": "user", "content": "a"},
    ]
    assert ready["prompt"] == given
    assert "prompt" not in silent
    with pytest.raises(vf.ConfigError, match="few_shot: unknown message role 'owner'"):
        vf.SingleTurnEnv(dataset=[{"question": "a"}], few_shot=[{"role": "owner", "content": "x"}]).get_dataset()


def test_a_builder_is_called_once_and_only_when_needed() -> None:
    calls: list[int] = []
    env = vf.SingleTurnEnv(dataset=lambda: calls.append(1) or [{"question": "a"}])
    assert calls == []
    env.get_dataset()
    env.get_dataset()
    assert calls == [1]


def test_rows_are_chosen_and_shuffled_by_seed() -> None:
    env = vf.SingleTurnEnv(dataset=[{"question": str(n)} for n in range(20)])
    assert [row["example_id"] for row in env.get_dataset(3)] == [0, 1, 2]
    shuffled = [row["example_id"] for row in env.get_dataset(seed=1)]
    assert sorted(shuffled) == list(range(20)) != shuffled
    assert env.get_dataset(seed=1) == env.get_eval_dataset(seed=1)


def test_an_environment_without_dataset_says_so() -> None:
    with pytest.raises(vf.ConfigError, match="SingleTurnEnv has no dataset"):
        vf.SingleTurnEnv().get_dataset()


def test_a_row_that_is_no_dict_is_named() -> None:
    with pytest.raises(vf.ConfigError, match="row 1 of the dataset must be a dict, got str"):
        vf.Environment.make_dataset([{}, "x"])


def test_completion_style_environments_are_refused() -> None:
    with pytest.raises(vf.ConfigError, match='message_type must be "chat"'):
        vf.SingleTurnEnv(dataset=[], message_type="completion")


def test_bundled_and_installed_environments_load_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert vf.load_environment("number-guess", num_examples=3).env_id == "number-guess"
    (tmp_path / "my_env.py").write_text(
        "import verifiers_tito as vf\ndef load_environment(n): return vf.SingleTurnEnv(dataset=[], n=n)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    env = vf.load_environment("my-env", n=5)
    assert (env.n, env.env_args) == (5, {"n": 5})
    del sys.modules["my_env"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "", "x;y", ".hidden"])
def test_an_environment_s_name_is_never_a_path(name: str) -> None:
    with pytest.raises(vf.ConfigError, match="letters, digits"):
        vf.load_environment(name)


def test_an_unknown_environment_lists_the_bundled_ones() -> None:
    with pytest.raises(vf.ConfigError, match=r"no environment no-such-env.*number-guess"):
        vf.load_environment("no-such-env")


async def test_a_rubric_s_cleanup_runs_after_scoring_and_its_error_stays_in_the_state(qwen3_fake: FakeMaker) -> None:
    class Messy(vf.Rubric):
        async def cleanup(self, state: vf.State) -> None:
            raise LookupError(f"reward was {state['reward']}")

    env = vf.SingleTurnEnv(dataset=[{"question": "q"}], rubric=Messy(lambda: 1.0))
    async with qwen3_fake(replies(["a", "b"])) as fake:
        config = vf.ClientConfig(base_url=fake.base_url, stitching=locally(fake))
        async with vf.OpenAIChatCompletionsTokenClient(config) as client:
            alone = await env.run_rollout(env.dataset[0], client, FAKE_MODEL)
            grouped = await env.run_group([env.dataset[0]], client, FAKE_MODEL)
    for state in (alone, *grouped):
        assert state["reward"] == 1.0
        with pytest.raises(vf.EnvironmentHookError, match=r"Messy.cleanup raised LookupError\('reward was 1.0'\)"):
            raise state["error"]
