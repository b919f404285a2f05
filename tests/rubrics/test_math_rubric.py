"""Mathematical answers, compared by real worker processes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest

import verifiers_tito as vf
from tests.rubrics.states import finished


@pytest.fixture(scope="module")
def rubric() -> Iterator[vf.MathRubric]:
    rubric = vf.MathRubric(max_workers=1, timeout_seconds=20)
    yield rubric
    asyncio.run(rubric.teardown())


@pytest.mark.parametrize(
    ("said", "answer", "reward"),
    [
        ("\\boxed{0.5}", "\\frac{1}{2}", 1.0),
        ("<think>\\boxed{1}</think> so \\boxed{\\frac12}", "1/2", 1.0),
        ("\\boxed{x = 4}", "4", 1.0),
        ("\\boxed{5}", "4", 0.0),
        ("\\boxed{3, 4, 5}", "4", 0.0),
        ("4", "4", 0.0),  # not in a box
        ("\\boxed{4", "4", 0.0),
        ("\\boxed{lube}", "blue", 0.0),  # the letters' products are equal
        ("\\boxed{\\text{Blue}}", "blue", 1.0),
        ("\\boxed{" + "9" * 60_000 + "}", "4", 0.0),
    ],
)
async def test_answers_are_right_if_they_are_equal(
    rubric: vf.MathRubric, said: str, answer: str, reward: float
) -> None:
    state = finished(said, answer=answer)
    await rubric.score_rollout(state)
    assert state["error"] is None
    assert state["metrics"] == {"correct_answer": reward, "math_timed_out": 0.0}
    assert state["reward"] == reward


async def test_a_reference_that_is_none_fails_the_score(rubric: vf.MathRubric) -> None:
    state = finished("\\boxed{4}", answer="")
    await rubric.score_rollout(state)
    with pytest.raises(vf.RewardError, match="the reference answer '' is none that math-verify can read"):
        raise state["error"]


async def test_an_answer_that_would_take_forever_is_wrong_and_counted_until_the_next_one() -> None:
    rubric = vf.MathRubric(max_workers=1, timeout_seconds=0.3)
    state = finished("\\boxed{9^{9^{9^{9}}}}")
    await rubric.score_rollout(state)
    assert (state["reward"], state["error"]) == (0.0, None)
    assert state["metrics"] == {"correct_answer": 0.0, "math_timed_out": 1.0}
    state["completion"] = [vf.AssistantMessage(content="no box")]
    await rubric.score_rollout(state)
    await rubric.teardown()
    assert state["metrics"] == {"correct_answer": 0.0, "math_timed_out": 0.0}


async def test_workers_end_with_their_rubric() -> None:
    rubric = vf.MathRubric(timeout_seconds=20)
    state = finished("\\boxed{4}")
    await rubric.score_rollout(state)
    worker = rubric._checker._idle.get()
    rubric._checker._idle.put(worker)
    del rubric
    gc.collect()
    assert state["reward"] == 1.0
    assert worker._process.poll() is not None


def test_a_time_limit_must_be_one() -> None:
    with pytest.raises(vf.ConfigError, match="timeout_seconds above 0, got 4 and 0"):
        vf.MathRubric(timeout_seconds=0)
