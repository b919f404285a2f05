"""Environments: they only take turns. Scheduling, storage and scoring live elsewhere."""

from verifiers_tito.envs.decorators import cleanup, stop, teardown
from verifiers_tito.envs.env_group import EnvGroup
from verifiers_tito.envs.environment import Environment
from verifiers_tito.envs.loading import load_environment
from verifiers_tito.envs.multiturn_env import MultiTurnEnv
from verifiers_tito.envs.singleturn_env import SingleTurnEnv
from verifiers_tito.envs.stateful_tool_env import StatefulToolEnv
from verifiers_tito.envs.tool_env import ToolEnv

__all__ = [
    "EnvGroup",
    "Environment",
    "MultiTurnEnv",
    "SingleTurnEnv",
    "StatefulToolEnv",
    "ToolEnv",
    "cleanup",
    "load_environment",
    "stop",
    "teardown",
]
