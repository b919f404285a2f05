"""Multi-turn RL rollouts against a vLLM server, token-in/token-out.

    import verifiers_tito as vf

is the whole author-facing face. The clients need the OpenAI package, which takes a second to import, and are loaded
when first asked for; torch, transformers and vllm are never loaded by this import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from verifiers_tito.clients import Client
from verifiers_tito.datums import Datum, DatumSet, Split, build_datums, read_datums, write_datums
from verifiers_tito.envs import (
    Environment,
    MultiTurnEnv,
    SingleTurnEnv,
    cleanup,
    load_environment,
    stop,
    teardown,
)
from verifiers_tito.errors import (
    ConfigError,
    DatumError,
    EmptyModelResponseError,
    EnvironmentHookError,
    Error,
    InfraError,
    InvalidModelResponseError,
    LocalServerError,
    ModelError,
    OverlongPromptError,
    RewardError,
    ToolCallError,
    ToolError,
    ToolParseError,
)
from verifiers_tito.rollouts import RolloutSummary, summarize
from verifiers_tito.rubrics import Rubric
from verifiers_tito.types import (
    AssistantMessage,
    ClientConfig,
    FallbackReason,
    Message,
    Messages,
    ModelInput,
    Response,
    Route,
    SamplingArgs,
    Served,
    State,
    StepTokens,
    SystemMessage,
    TextMessage,
    Tool,
    ToolCall,
    ToolMessage,
    TrajectoryStep,
    UserMessage,
    content_to_text,
)

if TYPE_CHECKING:
    from verifiers_tito.clients import OpenAIChatCompletionsClient, OpenAIChatCompletionsTokenClient

__all__ = [
    "AssistantMessage",
    "Client",
    "ClientConfig",
    "ConfigError",
    "Datum",
    "DatumError",
    "DatumSet",
    "EmptyModelResponseError",
    "Environment",
    "EnvironmentHookError",
    "Error",
    "FallbackReason",
    "InfraError",
    "InvalidModelResponseError",
    "LocalServerError",
    "Message",
    "Messages",
    "ModelError",
    "ModelInput",
    "MultiTurnEnv",
    "OpenAIChatCompletionsClient",
    "OpenAIChatCompletionsTokenClient",
    "OverlongPromptError",
    "Response",
    "RewardError",
    "RolloutSummary",
    "Route",
    "Rubric",
    "SamplingArgs",
    "Served",
    "SingleTurnEnv",
    "Split",
    "State",
    "StepTokens",
    "SystemMessage",
    "TextMessage",
    "Tool",
    "ToolCall",
    "ToolCallError",
    "ToolError",
    "ToolMessage",
    "ToolParseError",
    "TrajectoryStep",
    "UserMessage",
    "build_datums",
    "cleanup",
    "content_to_text",
    "load_environment",
    "read_datums",
    "stop",
    "summarize",
    "teardown",
    "write_datums",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("verifiers_tito.clients"), name)
