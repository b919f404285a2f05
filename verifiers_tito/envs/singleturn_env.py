"""One question, one answer."""

from __future__ import annotations

from typing import Any

from verifiers_tito.envs.multiturn_env import MultiTurnEnv


class SingleTurnEnv(MultiTurnEnv):
    """A `MultiTurnEnv` that ends after the model's first turn."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_turns=1, **kwargs)
