"""`verifiers.envs.integrations.reasoninggym_env`: the name that environments import from there."""

from verifiers_tito.adapters import ReasoningGymEnv

__all__ = ["ReasoningGymEnv"]
