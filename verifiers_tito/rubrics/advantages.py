"""Group-centred advantages: how much better a rollout did than its group on average.

Advantage is reward minus the group's mean reward (the baseline of GRPO, Shao et al. 2024, without dividing by the
standard deviation). Rollouts without a reward have no part in the mean and get no advantage.
"""

from __future__ import annotations

from collections.abc import Sequence

from verifiers_tito.types import State


def assign_advantages(states: Sequence[State]) -> None:
    """Sets `advantage` on every state of one group, and on its steps that have none of their own.

    A step's advantage is its own when an environment set it; one that an earlier call set here follows the state.
    """
    rewards = [state["reward"] for state in states if state.get("reward") is not None]
    mean = sum(rewards) / len(rewards) if rewards else 0.0
    for state in states:
        reward, earlier = state.get("reward"), state.get("advantage")
        state["advantage"] = None if reward is None else reward - mean
        for step in state["trajectory"]:
            if step["advantage"] is None or step["advantage"] == earlier:
                step["advantage"] = state["advantage"]
