"""Environments of other packages, as environments of this one. Each package is an extra and loads when it is used."""

from verifiers_tito.adapters.gymnasium_env import GymnasiumEnv
from verifiers_tito.adapters.reasoning_gym_env import ReasoningGymEnv
from verifiers_tito.adapters.textarena_env import TextArenaEnv

__all__ = ["GymnasiumEnv", "ReasoningGymEnv", "TextArenaEnv"]
