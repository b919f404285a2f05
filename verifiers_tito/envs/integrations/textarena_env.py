"""`verifiers.envs.integrations.textarena_env`: the name that environments import from there."""

from verifiers_tito.adapters import TextArenaEnv

__all__ = ["TextArenaEnv"]
