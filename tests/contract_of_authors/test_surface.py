"""The names, parameters and fields that environments written for `verifiers` 0.1.11 to 0.3.0 count on.

What they do is tested where they are defined; here it is that none is lost, and that positions are kept.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import verifiers_tito as vf
from tests.conftest import FAKE_MODEL, FakeMaker, locally
from verifiers_tito.envs.decorators import marked_methods
from verifiers_tito.testing import replies_by_turn

ENVIRONMENT = """dataset eval_dataset system_prompt few_shot parser rubric sampling_args message_type tool_defs
    max_workers env_id env_args map_kwargs max_seq_len score_rollouts pass_threshold"""
GENERATE = """max_concurrent results_path state_columns save_results push_to_hf_hub hf_hub_dataset_name
    independent_scoring max_retries on_start on_progress on_log"""
PARAMETERS: list[tuple[Callable[..., Any], str]] = [
    (vf.Environment, ENVIRONMENT),
    (vf.MultiTurnEnv, "max_turns timeout_seconds"),
    (vf.ToolEnv, "tools max_turns error_formatter stop_errors"),
    (vf.EnvGroup, "envs env_names map_kwargs"),
    (vf.StatefulToolEnv.add_tool, "self tool args_to_skip"),
    (vf.StatefulToolEnv.update_tool_args, "self tool_name tool_args messages state"),
    (vf.MultiTurnEnv.rollout, "self input client model sampling_args"),
    (vf.MultiTurnEnv.env_response, "self messages state"),
    (vf.MultiTurnEnv.setup_state, "self state"),
    (vf.MultiTurnEnv.get_prompt_messages, "self state"),
    (vf.MultiTurnEnv.render_completion, "self state"),
    (vf.MultiTurnEnv.add_trajectory_step, "self state step"),
    (vf.MultiTurnEnv.get_model_response, "self state prompt client model tool_defs sampling_args"),
    (vf.Environment.generate, f"self inputs client model sampling_args {GENERATE}"),
    (vf.Environment.evaluate, "self client model sampling_args num_examples rollouts_per_example max_concurrent"),
    (vf.Rubric, "funcs weights parser"),
    (vf.Rubric.add_reward_func, "self func weight"),
    (vf.Rubric.add_metric, "self func weight"),
    (vf.Rubric.add_class_object, "self name obj"),
    (vf.RubricGroup, "rubrics"),
    (vf.JudgeRubric, "parser judge_client judge_model judge_sampling_args judge_prompt"),
    (vf.Parser, "extract_fn"),
    (vf.ThinkParser, "extract_fn"),
    (vf.XMLParser, "fields answer_field extract_fn"),
    (vf.load_environment, "env_id"),
]
ERRORS: dict[type[Exception], type[Exception]] = {
    vf.ModelError: vf.Error,
    vf.InvalidModelResponseError: vf.ModelError,
    vf.EmptyModelResponseError: vf.InvalidModelResponseError,
    vf.OverlongPromptError: vf.Error,
    vf.ToolError: vf.Error,
    vf.ToolParseError: vf.ToolError,
    vf.ToolCallError: vf.ToolError,
    vf.InfraError: vf.Error,
}
STOPS = """prompt_too_long max_turns_reached has_final_env_response max_total_completion_tokens_reached
    no_tools_called"""
STATE = """input client model sampling_args tool_defs trajectory trajectory_id completion reward advantage metrics error
    final_env_response stop_condition is_completed is_truncated timing usage prompt_too_long prompt answer info
    example_id turn"""
STEP = "prompt completion response tokens reward advantage is_truncated trajectory_id extras"
TOKENS = """prompt_ids prompt_mask completion_ids completion_mask completion_logprobs overlong_prompt is_truncated
    routed_experts"""


@pytest.mark.parametrize(("of", "names"), PARAMETERS, ids=lambda value: getattr(value, "__qualname__", ""))
def test_parameters_have_their_names_and_positions(of: Callable[..., Any], names: str) -> None:
    expected = names.split()
    assert list(inspect.signature(of).parameters)[: len(expected)] == expected


def test_errors_are_caught_by_the_names_of_old() -> None:
    assert [child.__name__ for child, parent in ERRORS.items() if not issubclass(child, parent)] == []


def test_the_stops_of_old_are_there_and_errors_come_first() -> None:
    names = [name for name, _ in marked_methods(vf.ToolEnv(dataset=[{"question": "?"}], tools=[]), "stop")]
    assert names[0] == "has_error"
    assert set(STOPS.split()) <= set(names)


async def test_a_state_its_steps_and_their_tokens_have_all_fields_of_old(qwen3_fake: FakeMaker) -> None:
    row = {"question": "?", "answer": "4", "info": {"level": 1}}
    env = vf.SingleTurnEnv(dataset=[row], map_kwargs={"num_proc": 2})
    async with qwen3_fake(replies_by_turn(["4"])) as fake:
        config = vf.ClientConfig(base_url=fake.base_url, stitching=locally(fake))
        state = await env.run_rollout(env.get_dataset()[0], config, FAKE_MODEL)
    (step,) = state["trajectory"]
    assert [name for name in STATE.split() if name not in state] == []
    assert [name for name in STEP.split() if name not in step] == []
    assert sorted(step["tokens"]) == sorted(TOKENS.split())
    assert (state["turn"], state["answer"], state["info"]) == (1, "4", {"level": 1})


async def test_the_environment_says_from_which_reward_on_a_rollout_passes(qwen3_fake: FakeMaker) -> None:
    def half(**kwargs: Any) -> float:
        return 0.5

    rates = []
    for options in ({}, {"pass_threshold": 0.6}):
        env = vf.SingleTurnEnv(dataset=[{"question": "?"}], rubric=vf.Rubric(half), **options)
        async with qwen3_fake(replies_by_turn(["4"])) as fake:
            config = vf.ClientConfig(base_url=fake.base_url, stitching=locally(fake))
            run = await env.evaluate(config, FAKE_MODEL, rollouts_per_example=2, show_progress=False)
        rates.append(run["metadata"]["pass_at_k"])
    assert [rate["1"] for rate in rates] == [1.0, 0.0]
