from __future__ import annotations

from typing import Any

import pytest

import verifiers_tito as vf
from tests.rubrics.states import finished


@vf.turn_reward
def progress(state: vf.State) -> list[float]:
    return [float(number) for number in range(len(state["trajectory"]))]


@vf.turn_reward
async def politeness(state):  # needs no annotation
    return [1.0] * state["turn"]


def step_rewards(state: vf.State) -> list[float | None]:
    return [step["reward"] for step in state["trajectory"]]


async def test_each_turn_gets_its_rewards_and_the_rollout_their_sum() -> None:
    state = finished(turns=3)
    await vf.Rubric([progress, politeness, lambda: 10.0], weights=[1.0, 0.5, 1.0]).score_rollout(state)
    assert step_rewards(state) == [0.5, 1.5, 2.5]
    assert state["metrics"] == {"progress": 3.0, "politeness": 3.0, "<lambda>": 10.0}
    assert state["reward"] == 3.0 + 1.5 + 10.0


async def test_a_turn_reward_s_list_is_no_group_s_even_in_a_group() -> None:
    states = [finished(turns=2), finished(turns=4)]
    await vf.Rubric(progress).score_group(states)
    assert [state["reward"] for state in states] == [1.0, 6.0]
    assert [state["advantage"] for state in states] == [-2.5, 2.5]


async def test_scoring_again_does_not_add_up() -> None:
    state, rubric = finished(turns=2), vf.Rubric([progress, politeness])
    await rubric.score_rollout(state)
    await rubric.score_rollout(state)
    assert step_rewards(state) == [1.0, 2.0]


async def test_a_metric_of_turns_leaves_the_steps_alone() -> None:
    state = finished(turns=2)
    state["trajectory"][0]["reward"] = 7.0  # an environment's
    rubric = vf.Rubric(lambda: 1.0)
    rubric.add_metric(progress)
    await rubric.score_rollout(state)
    assert step_rewards(state) == [7.0, None]
    assert state["metrics"]["progress"] == 1.0


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ([1.0], "wrong returned 1 scores for a rollout of 2 turns"),
        (1.0, "wrong returned 1.0, which is no list of scores"),
        (None, "wrong returned None, which is no list"),
        ([1.0, "x"], "wrong returned 'x', which is no number"),
    ],
)
async def test_turn_rewards_that_do_not_fit_fail_the_score_and_leave_no_reward_behind(
    returned: Any, message: str
) -> None:
    @vf.turn_reward
    def wrong() -> Any:
        return returned

    state = finished(turns=2)
    await vf.Rubric([progress, wrong]).score_rollout(state)
    assert state["reward"] is None
    assert step_rewards(state) == [None, None]
    with pytest.raises(vf.RewardError, match=message):
        raise state["error"]


def test_a_turn_reward_cannot_ask_for_the_group() -> None:
    @vf.turn_reward
    def confused(states: list[vf.State]) -> list[float]:
        return []

    with pytest.raises(vf.ConfigError, match=r"confused is marked @turn_reward.*cannot take states"):
        vf.Rubric(confused)
