"""Environments written for `verifiers` 0.1 to 0.3: the names, paths and spellings that they use."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from openai import OpenAI

import verifiers_tito as vf
from tests.conftest import FAKE_MODEL, FakeMaker, locally
from verifiers_tito.testing import Completion, FakeVLLM
from verifiers_tito.utils import maybe_await, normalize_messages

PATHS = {
    "decorators": ("cleanup", "stop", "teardown"),
    "envs.env_group": ("EnvGroup",),
    "envs.environment": ("Environment",),
    "envs.integrations.reasoninggym_env": ("ReasoningGymEnv",),
    "envs.integrations.textarena_env": ("TextArenaEnv",),
    "envs.multiturn_env": ("MultiTurnEnv",),
    "envs.reasoninggym_env": ("ReasoningGymEnv",),
    "envs.singleturn_env": ("SingleTurnEnv",),
    "envs.stateful_tool_env": ("StatefulToolEnv",),
    "envs.textarena_env": ("TextArenaEnv",),
    "envs.tool_env": ("ToolEnv",),
    "parsers.maybe_think_parser": ("MaybeThinkParser",),
    "parsers.parser": ("Parser",),
    "parsers.think_parser": ("ThinkParser",),
    "parsers.xml_parser": ("XMLParser",),
    "rubrics.judge_rubric": ("JudgeRubric",),
    "rubrics.math_rubric": ("MathRubric",),
    "rubrics.rubric": ("Rubric",),
    "rubrics.rubric_group": ("RubricGroup",),
    "types": ("ChatMessage", "ChatMessages", "DatasetBuilder", "Info", "MessageType", "RewardFunc", "RolloutInput"),
    "utils.async_utils": ("maybe_await",),
    "utils.client_utils": ("setup_client", "setup_openai_client"),
    "utils.data_utils": ("extract_boxed_answer", "load_example_dataset"),
    "utils.env_utils": ("load_environment",),
    "utils.error_utils": ("ErrorChain", "get_error_chain", "get_vf_error_chain"),
    "utils.logging_utils": ("print_prompt_completions_sample", "setup_logging"),
    "utils.message_utils": ("concat_messages", "maybe_normalize_messages", "messages_to_printable"),
    "utils.response_utils": ("parse_response_message", "parse_response_tokens"),
    "utils.tool_utils": ("convert_func_to_tool_def",),
}


@pytest.fixture
def library_log() -> Iterator[logging.Logger]:
    """The library's logger, put back as it was afterwards."""
    logger = logging.getLogger("verifiers_tito")
    before = (logger.level, logger.propagate, list(logger.handlers))
    yield logger
    logger.setLevel(before[0])
    logger.propagate, logger.handlers = before[1], before[2]


async def roll(env: vf.Environment, fake: FakeVLLM, row: dict[str, Any]) -> vf.State:
    config = vf.ClientConfig(base_url=fake.base_url, stitching=locally(fake))
    async with vf.OpenAIChatCompletionsTokenClient(config) as client:
        return await env.run_rollout(row, client, FAKE_MODEL)


@pytest.mark.parametrize("path", PATHS)
def test_modules_are_where_authors_import_from(path: str) -> None:
    module = import_module(f"verifiers_tito.{path}")
    assert [name for name in PATHS[path] if not hasattr(module, name)] == []
    on_the_face = [name for name in PATHS[path] if name in vf.__all__]
    assert all(getattr(module, name) is getattr(vf, name) for name in on_the_face)


@pytest.mark.parametrize("name", ["PythonEnv", "SandboxEnv", "MCPEnv", "GymEnv"])
def test_a_class_that_is_not_here_says_what_to_do_instead(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"no attribute '{name}': .*docs/migrating.md"):
        getattr(vf, name)


async def test_annotations_of_authors_hold_and_builders_are_asked_when_rows_are_needed(qwen3_fake: FakeMaker) -> None:
    asked: list[str] = []

    def rows() -> list[vf.RolloutInput]:
        asked.append("rows")
        return [{"question": "2 + 2?", "answer": "4", "info": {"kind": "sum"}}]

    def right(completion: vf.ChatMessages, answer: str, info: vf.Info) -> float:
        last: vf.ChatMessage = completion[-1]
        return float(answer in last["content"] and info["kind"] == "sum")

    builder: vf.DatasetBuilder = rows
    functions: list[vf.RewardFunc] = [right]
    env = vf.SingleTurnEnv(eval_dataset=builder, rubric=vf.Rubric(funcs=functions))
    assert asked == []
    async with qwen3_fake(lambda request: Completion(text="It is 4.")) as fake:
        state = await roll(env, fake, env.get_eval_dataset(1)[0])
    assert (state["reward"], asked) == (1.0, ["rows"])


async def test_hooks_may_be_plain_functions_that_return_nothing_or_dicts(qwen3_fake: FakeMaker) -> None:
    class Env(vf.MultiTurnEnv):
        def setup_state(self, state: vf.State, **kwargs: Any) -> None:
            state["asked"] = 0

        def env_response(self, messages: vf.Messages, state: vf.State) -> list[dict[str, str]]:
            state["asked"] += 1
            if state["asked"] == 2:
                state["final_env_response"] = "Enough."
            return [{"role": "user", "content": f"Again, not {messages[-1]['content']}."}]

    async with qwen3_fake(lambda request: Completion(text="so")) as fake:
        state = await roll(Env(dataset=[{"question": "Say."}]), fake, {"question": "Say."})
    assert state["error"] is None
    assert [m["content"] for m in state["completion"]] == ["so", "Again, not so.", "so", "Enough."]


async def test_a_blocking_client_of_a_judge_is_asked_without_blocking(qwen3_fake: FakeMaker) -> None:
    async def right(judge: Any, prompt: Any, completion: Any, answer: Any, state: vf.State) -> float:
        return float("yes" in await judge(prompt, completion, answer, state))

    async with qwen3_fake(lambda request: Completion(text="yes"), api_key="secret") as fake:
        with OpenAI(base_url=fake.base_url, api_key="secret", default_headers={"X-Team": "a"}, timeout=9) as blocking:
            rubric = vf.JudgeRubric(judge_client=blocking, judge_model=FAKE_MODEL)
            rubric.add_reward_func(right)
            assert rubric.judge_client is blocking
            state = vf.State(input={}, prompt="2 + 2?", completion="4", answer="4", trajectory=[])
            await rubric.score_rollout(state)
            await rubric.teardown()
    assert (state["reward"], state.get("error")) == (1.0, None)


def test_messages_of_any_shape_are_normalized_and_errors_name_the_field() -> None:
    assert normalize_messages("hi", field_name="prompt") == [vf.UserMessage(content="hi")]
    with pytest.raises(ValueError, match="prompt: unknown message role 'owner'"):
        normalize_messages([{"role": "owner", "content": "hi"}], field_name="prompt")


async def test_maybe_await_takes_plain_and_coroutine_functions() -> None:
    async def later(number: int) -> int:
        return number + 1

    assert [await maybe_await(later, 1), await maybe_await(max, 1, 2)] == [2, 2]


def test_the_log_is_written_once_from_the_level_on(
    library_log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    vf.setup_logging("WARNING")
    vf.setup_logging("INFO", log_format="%(levelname)s %(message)s")
    library_log.getChild("part").info("begun")
    library_log.getChild("part").debug("unseen")
    with vf.quiet_verifiers():
        library_log.info("unseen")
    with vf.log_level("DEBUG"):
        library_log.debug("closer")
    vf.setup_logging(None)
    library_log.error("unseen")
    assert capsys.readouterr().err == "INFO begun\nDEBUG closer\n"


def test_a_log_level_that_does_not_exist_is_refused(library_log: logging.Logger) -> None:
    with pytest.raises(vf.ConfigError, match=r"no log level 'LOUD'; there are .*DEBUG"), vf.log_level("LOUD"):
        pytest.fail("the block must not run")


def test_a_sample_of_rollouts_shows_words_calls_errors_and_rewards(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    call = vf.ToolCall(id="1", name="look", arguments='{"x": 1}')
    completions = [[vf.AssistantMessage(content="hm", tool_calls=[call])], "second", "third"]
    vf.print_prompt_completions_sample(
        ["a", "b", "c"], completions, [None, vf.ToolError("broke"), None], [0.5, None, 1.0], step=7, num_samples=2
    )
    shown = capsys.readouterr().out
    assert "Step 7" in shown
    assert all(text in shown for text in ("assistant: hm", 'calls look({"x": 1})', "0.50", "error: broke", "none"))
    assert "third" not in shown


def test_importing_the_package_leaves_logging_alone() -> None:
    assert "verifiers_tito" in sys.modules
    assert logging.getLogger("verifiers_tito").handlers == []
