"""Rubrics: what a rollout is worth."""

from verifiers_tito.rubrics.advantages import assign_advantages
from verifiers_tito.rubrics.reward_function import RewardFunction
from verifiers_tito.rubrics.rubric import Rubric

__all__ = ["RewardFunction", "Rubric", "assign_advantages"]
