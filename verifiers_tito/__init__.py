"""Multi-turn RL rollouts against a vLLM server, token-in/token-out.

    import verifiers_tito as vf

is the whole author-facing face. Clients (which need the OpenAI package) and datums (which need numpy) are loaded when
first asked for, because those two take longer to import than all the rest; torch, transformers and vllm are never
loaded by this import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from verifiers_tito.clients import Client
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
    from verifiers_tito.datums import Datum, DatumSet, Split, build_datums, read_datums, write_datums

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


_CLIENTS = frozenset({"OpenAIChatCompletionsClient", "OpenAIChatCompletionsTokenClient"})


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    part = "clients" if name in _CLIENTS else "datums"
    return getattr(import_module(f"{__name__}.{part}"), name)
