from __future__ import annotations

import asyncio
from typing import Any

import pytest

import verifiers_tito as vf


def finished(**fields: Any) -> vf.State:
    row = {"prompt": [vf.UserMessage(content="q")], "answer": "4", "info": {"a": 1}, "level": 3, **fields}
    return vf.State(
        input=row,
        trajectory=[],
        completion=[vf.AssistantMessage(content="4")],
        error=None,
        timing={"generation_ms": 5.0, "scoring_ms": 0.0, "total_ms": 5.0},
    )


async def test_the_reward_is_the_weighted_sum_and_every_score_is_a_metric() -> None:
    async def right(completion: vf.Messages, answer: str) -> float:
        return float(completion[-1].content == answer)

    def length(completion: vf.Messages) -> int:
        return len(completion[-1].content)

    rubric = vf.Rubric([right, length], weights=[1.0, 0.5])
    rubric.add_metric(lambda level: level)
    state = finished()
    await rubric.score_rollout(state)
    assert state["reward"] == 1.5
    assert state["metrics"] == {"right": 1.0, "length": 1.0, "<lambda>": 3.0}
    assert state["timing"]["total_ms"] >= 5.0


async def test_functions_get_what_they_name_or_everything() -> None:
    seen: dict[str, Any] = {}

    def all_of_it(**everything: Any) -> float:
        seen.update(everything)
        return 0.0

    rubric = vf.Rubric(all_of_it, parser="the parser")
    rubric.add_class_object("judge", "the judge")
    state = finished()
    await rubric.score_rollout(state)
    assert seen["state"] is state
    assert {"prompt", "completion", "answer", "info", "task", "parser", "judge", "level"} <= seen.keys()
    assert (seen["parser"], seen["judge"], seen["level"], seen["task"]) == ("the parser", "the judge", 3, "default")


async def test_functions_of_one_name_keep_their_own_metrics() -> None:
    rubric = vf.Rubric([lambda: 1.0, lambda: 2.0])
    state = finished()
    await rubric.score_rollout(state)
    assert state["metrics"] == {"<lambda>": 1.0, "<lambda>_2": 2.0}


def failing() -> float:
    raise ZeroDivisionError("by zero")


def not_a_number() -> str:
    return "high"


def infinite() -> float:
    return float("inf")


def needs_more(completion: vf.Messages, no_such_thing: int) -> float:
    return 0.0


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (failing, "reward function failing: ZeroDivisionError: by zero"),
        (not_a_number, "not_a_number returned 'high', which is no number"),
        (infinite, "infinite returned inf"),
        (needs_more, "needs_more: TypeError: needs no_such_thing; there is .*answer"),
    ],
)
async def test_a_reward_function_that_fails_is_no_zero(function: Any, message: str) -> None:
    state = finished()
    await vf.Rubric([lambda: 1.0, function]).score_rollout(state)
    assert state["reward"] is None
    with pytest.raises(vf.RewardError, match=message):
        raise state["error"]


async def test_a_failed_rollout_has_no_reward_and_no_part_in_the_group_s_mean() -> None:
    states = [finished(answer=answer) for answer in ("4", "4", "5")]
    states[1]["error"] = vf.ModelError("gone")
    await vf.Rubric(lambda answer: float(answer)).score_group(states)
    assert [state["reward"] for state in states] == [4.0, None, 5.0]
    assert [state["advantage"] for state in states] == [-0.5, None, 0.5]


async def test_group_functions_see_the_whole_group() -> None:
    def rank(completions: list[vf.Messages], answers: list[str]) -> list[float]:
        return [float(answers.index(answer)) for answer in answers]

    def listed(states) -> list[float]:
        return [1.0] * len(states)

    states = [finished(answer=answer) for answer in "abc"]
    await vf.Rubric([rank, listed]).score_group(states)
    assert [state["reward"] for state in states] == [1.0, 2.0, 3.0]
    assert [state["advantage"] for state in states] == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize("annotation", [list, "list", "List[float]", "typing.List", list[float]])
async def test_a_list_annotation_in_any_spelling_means_a_group_function(annotation: Any) -> None:
    def ones(state: Any = None) -> Any:
        return [1.0, 1.0]

    ones.__annotations__["return"] = annotation
    states = [finished(), finished()]
    await vf.Rubric(ones).score_group(states)
    assert [state["reward"] for state in states] == [1.0, 1.0]


async def test_scoring_again_moves_the_steps_advantages_along_but_not_their_own() -> None:
    states = [finished(answer="1"), finished(answer="3")]
    for state in states:
        state["trajectory"] = [{"advantage": None}, {"advantage": 9.0}]
    rubric = vf.Rubric(lambda answer: float(answer))
    await rubric.score_group(states)
    states[0]["answer"] = "5"
    await rubric.score_group(states)
    assert [state["advantage"] for state in states] == [1.0, -1.0]
    assert [[step["advantage"] for step in state["trajectory"]] for state in states] == [[1.0, 9.0], [-1.0, 9.0]]


async def test_states_are_scored_at_once() -> None:
    waiting = asyncio.Barrier(3)

    async def meets_the_others(state: vf.State) -> float:
        async with asyncio.timeout(5):
            await waiting.wait()
        return 1.0

    states = [finished() for _ in range(3)]
    await vf.Rubric(meets_the_others).score_group(states)
    assert [state["reward"] for state in states] == [1.0] * 3


async def test_a_group_function_with_too_few_scores_fails_the_group() -> None:
    states = [finished(), finished()]
    await vf.Rubric(lambda states: [1.0]).score_group(states)
    assert all("1 scores for a group of 2" in str(state["error"]) for state in states)


async def test_a_group_function_cannot_score_one_rollout() -> None:
    with pytest.raises(vf.ConfigError, match="scores a group: use run_group or score_group"):
        await vf.Rubric(lambda states: [1.0]).score_rollout(finished())


def test_weights_must_match_functions() -> None:
    with pytest.raises(vf.ConfigError, match="2 functions, 1 weights"):
        vf.Rubric([failing, infinite], weights=[1.0])


def test_a_parser_is_there_even_if_none_was_given_and_an_environment_s_is_taken() -> None:
    assert type(vf.Rubric().parser) is vf.Parser
    parser = vf.XMLParser(["answer"])
    env = vf.SingleTurnEnv(dataset=[], parser=parser, rubric=vf.Rubric())
    assert env.rubric.parser is env.parser is parser
    own = vf.SingleTurnEnv(dataset=[], rubric=vf.Rubric(parser=parser))
    assert own.parser is parser
    assert type(vf.SingleTurnEnv(dataset=[]).parser) is vf.Parser


async def test_runs_that_are_not_scored_have_dummy_rewards() -> None:
    states = [finished(), finished()]
    await vf.Rubric(failing).dummy_score_group(states)
    assert [(state["reward"], state["metrics"]) for state in states] == [(0.0, {})] * 2
