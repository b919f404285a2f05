from __future__ import annotations

from collections.abc import Sequence

import pytest

import verifiers_tito as vf
from tests.rubrics.states import finished


def right(completion: vf.Messages, answer: str) -> float:
    return float(completion[-1].content == answer)


def length(completion: vf.Messages) -> float:
    return float(len(completion[-1].content))


def of_group(states: list[vf.State]) -> list[float]:
    return [float(number) for number in range(len(states))]


@vf.turn_reward
def one_each(state: vf.State) -> list[float]:
    return [1.0] * state["turn"]


async def test_rewards_are_summed_and_metrics_of_one_name_are_kept_apart() -> None:
    group = vf.RubricGroup([vf.Rubric([right, length], weights=[1.0, 0.1]), vf.Rubric(right, weights=[2.0])])
    state = finished("4")
    await group.score_rollout(state)
    assert state["reward"] == pytest.approx(3.1)
    assert state["metrics"] == {"right": 1.0, "length": 1.0, "right_2": 1.0}
    assert group.get_reward_func_names() == ["right", "length", "right_2"]
    assert group.get_reward_weights() == [1.0, 0.1, 2.0]
    assert group.get_reward_funcs() == [right, length, right]


async def test_advantages_are_those_of_the_total_reward_with_the_right_signs() -> None:
    """The first rubric alone ranks the rollouts the other way round."""
    group = vf.RubricGroup([vf.Rubric(length), vf.Rubric(right, weights=[10.0])])
    states = [finished("4", turns=2), finished("no idea", turns=1)]
    await group.score_group(states)
    assert [state["reward"] for state in states] == [11.0, 7.0]
    assert [state["advantage"] for state in states] == [2.0, -2.0]
    assert [step["advantage"] for state in states for step in state["trajectory"]] == [2.0, 2.0, -2.0]
    await group.score_group(states)
    assert [step["advantage"] for state in states for step in state["trajectory"]] == [2.0, 2.0, -2.0]


async def test_an_environment_s_own_step_advantages_and_rewards_stay() -> None:
    state = finished(turns=2)
    state["trajectory"][0] = {"advantage": 9.0, "reward": 8.0}
    await vf.RubricGroup([vf.Rubric(right), vf.Rubric(length)]).score_group([state])
    assert state["trajectory"] == [{"advantage": 9.0, "reward": 8.0}, {"advantage": 0.0, "reward": None}]


async def test_turn_rewards_of_all_rubrics_add_up() -> None:
    state = finished(turns=2)
    group = vf.RubricGroup([vf.Rubric(one_each), vf.Rubric(right), vf.Rubric(one_each, weights=[0.5])])
    await group.score_rollout(state)
    await group.score_rollout(state)
    assert [step["reward"] for step in state["trajectory"]] == [1.5, 1.5]
    assert state["reward"] == 2.0 + 1.0 + 1.0


async def test_a_rollout_that_one_rubric_fails_has_no_reward() -> None:
    def failing(completion: vf.Messages) -> float:
        return 1.0 / (len(completion[-1].content) - 1)

    group = vf.RubricGroup([vf.Rubric(right), vf.Rubric(failing), vf.Rubric(one_each)])
    states = [finished("4", turns=1), finished("44")]
    await group.score_group(states)
    assert [state["reward"] for state in states] == [None, 1.0]
    assert isinstance(states[0]["error"].__cause__, ZeroDivisionError)
    assert states[0]["metrics"] == {"right": 1.0}
    assert states[0]["trajectory"][0]["reward"] is None
    assert [state["advantage"] for state in states] == [None, 0.0]


async def test_counts_of_errors_are_summed_over_rubrics() -> None:
    def failing() -> float:
        raise LookupError

    def lenient() -> vf.Rubric:
        return vf.Rubric(failing, on_error="zero_counted")

    state = finished()
    await vf.RubricGroup([lenient(), vf.Rubric(right), lenient()]).score_rollout(state)
    assert state["metrics"] == {"failing": 0.0, "right": 1.0, "failing_2": 0.0, "reward_errors": 2.0}
    assert state["reward"] == 1.0


async def test_group_functions_work_in_a_group_and_cannot_score_one_rollout() -> None:
    group = vf.RubricGroup([vf.Rubric(right), vf.Rubric(of_group)])
    states = [finished(), finished()]
    await group.score_group(states)
    assert [state["reward"] for state in states] == [1.0, 2.0]
    with pytest.raises(vf.ConfigError, match="of_group scores a group"):
        await group.score_rollout(states[0])


async def test_a_rubric_that_scores_in_its_own_way_is_asked_for_it_and_groups_nest() -> None:
    class Fixed(vf.Rubric):
        async def score_group(self, states: Sequence[vf.State]) -> None:
            for state in states:
                state["reward"], state["metrics"] = 5.0, {"right": 0.5}

    state = finished()
    inner = vf.RubricGroup([vf.Rubric(right), Fixed()])
    await vf.RubricGroup([inner, vf.Rubric(right)]).score_group([state])
    assert state["reward"] == 1.0 + 5.0 + 1.0
    assert sorted(state["metrics"].values()) == [0.5, 1.0, 1.0]
    assert len(state["metrics"]) == 3


async def test_parsers_objects_functions_and_endings_reach_the_rubrics() -> None:
    ended: list[str] = []

    class Ending(vf.Rubric):
        async def cleanup(self, state: vf.State) -> None:
            ended.append("cleanup")

        async def teardown(self) -> None:
            ended.append("teardown")

    own = vf.Parser()
    group = vf.RubricGroup([Ending(), vf.Rubric(parser=own)])
    parser = vf.ThinkParser()
    env = vf.SingleTurnEnv(dataset=[], rubric=group, parser=parser)
    assert [rubric.parser for rubric in group.rubrics] == [parser, own]
    assert env.parser is group.parser is parser
    group.add_class_object("tool", 1)
    group.add_metric(right)
    assert [rubric.class_objects for rubric in group.rubrics] == [{"tool": 1}] * 2
    assert group.rubrics[0].weights == [0.0]
    await group.cleanup(finished())
    await env.teardown()
    assert ended == ["cleanup", "teardown"]


def test_a_group_needs_a_rubric() -> None:
    with pytest.raises(vf.ConfigError, match="at least one rubric"):
        vf.RubricGroup([])
