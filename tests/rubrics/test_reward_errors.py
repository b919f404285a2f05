"""What becomes of an exception in a reward function. It is never a silent zero."""

from __future__ import annotations

import logging

import pytest

import verifiers_tito as vf
from tests.rubrics.states import finished


def fails_on_5(completion: vf.Messages) -> float:
    if completion[-1].content == "5":
        raise LookupError("five")
    return 1.0


@vf.turn_reward
def failing_turns(state: vf.State) -> list[float]:
    raise LookupError("turns")


def failing_group(states: list[vf.State]) -> list[float]:
    raise LookupError("group")


async def test_by_default_the_rollout_has_no_reward_but_its_cause() -> None:
    states = [finished("4"), finished("5")]
    await vf.Rubric(fails_on_5).score_group(states)
    assert [state["reward"] for state in states] == [1.0, None]
    assert states[1]["advantage"] is None
    assert isinstance(states[1]["error"], vf.RewardError)
    assert isinstance(states[1]["error"].__cause__, LookupError)
    assert "reward_errors" not in states[0]["metrics"]


async def test_a_zero_that_stands_for_an_error_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    states = [finished("4"), finished("5")]
    rubric = vf.Rubric([fails_on_5, lambda: 2.0], on_error=vf.OnRewardError.ZERO_COUNTED)
    with caplog.at_level(logging.WARNING):
        await rubric.score_group(states)
    assert [state["reward"] for state in states] == [3.0, 2.0]
    assert [state["metrics"]["fails_on_5"] for state in states] == [1.0, 0.0]
    assert [state["metrics"]["reward_errors"] for state in states] == [0.0, 1.0]
    assert [state["error"] for state in states] == [None, None]
    assert "fails_on_5: LookupError: five" in caplog.text
    assert vf.run_metrics(states)["reward_errors"] == 0.5


async def test_zeros_are_counted_for_turns_and_groups_too() -> None:
    states = [finished(turns=2), finished(turns=1)]
    await vf.Rubric([failing_turns, failing_group], on_error="zero_counted").score_group(states)
    assert [state["metrics"]["reward_errors"] for state in states] == [2.0, 2.0]
    assert [step["reward"] for step in states[0]["trajectory"]] == [0.0, 0.0]


async def test_a_rollout_that_failed_before_stays_failed_whatever_the_policy() -> None:
    state = finished()
    state["error"] = vf.ModelError("gone")
    await vf.Rubric(fails_on_5, on_error="zero_counted").score_rollout(state)
    assert (state["reward"], state["metrics"]) == (None, {})


async def test_a_group_function_that_returns_no_list_is_an_error_of_the_group() -> None:
    states = [finished(), finished()]
    await vf.Rubric(lambda states: None).score_group(states)
    assert all("which is no list of scores" in str(state["error"]) for state in states)


async def test_a_reward_error_of_the_function_s_own_is_kept_as_it_is() -> None:
    class TooVagueError(vf.RewardError):
        pass

    def vague() -> float:
        raise TooVagueError("vague")

    state = finished()
    await vf.Rubric(vague).score_rollout(state)
    assert type(state["error"]) is TooVagueError
    assert state["error"].__notes__ == ["raised in the reward function vague"]


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(vf.ConfigError, match="on_error must be one of fail, zero_counted, got 'ignore'"):
        vf.Rubric(on_error="ignore")


def test_a_function_called_like_the_count_of_errors_gets_another_name() -> None:
    def reward_errors() -> float:
        return 0.0

    assert vf.Rubric(reward_errors).get_reward_func_names() == ["reward_errors_2"]
