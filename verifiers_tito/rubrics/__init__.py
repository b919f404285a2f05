"""Rubrics: what a rollout is worth."""

from verifiers_tito.rubrics.advantages import assign_advantages
from verifiers_tito.rubrics.reward_function import RewardFunction
from verifiers_tito.rubrics.rubric import Rubric
from verifiers_tito.rubrics.tool_rubric import ToolCallCount, ToolRubric, count_tool_calls

__all__ = ["RewardFunction", "Rubric", "ToolCallCount", "ToolRubric", "assign_advantages", "count_tool_calls"]
