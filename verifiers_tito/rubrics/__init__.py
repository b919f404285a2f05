"""Rubrics: what a rollout is worth.

`JudgeRubric` is looked up when first asked for, because the OpenAI package takes a second to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from verifiers_tito.rubrics.advantages import assign_advantages
from verifiers_tito.rubrics.math_rubric import MathRubric
from verifiers_tito.rubrics.reward_function import RewardFunction, turn_reward
from verifiers_tito.rubrics.rubric import OnRewardError, Rubric
from verifiers_tito.rubrics.rubric_group import RubricGroup
from verifiers_tito.rubrics.tool_rubric import ToolCallCount, ToolRubric, count_tool_calls
from verifiers_tito.rubrics.verdict import NO_SCORE, Score, Verdict, read_score, read_verdict

if TYPE_CHECKING:
    from verifiers_tito.rubrics.judge_rubric import JudgeRubric

__all__ = [
    "NO_SCORE",
    "JudgeRubric",
    "MathRubric",
    "OnRewardError",
    "RewardFunction",
    "Rubric",
    "RubricGroup",
    "Score",
    "ToolCallCount",
    "ToolRubric",
    "Verdict",
    "assign_advantages",
    "count_tool_calls",
    "read_score",
    "read_verdict",
    "turn_reward",
]


def __getattr__(name: str) -> Any:
    if name != "JudgeRubric":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("verifiers_tito.rubrics.judge_rubric").JudgeRubric
