"""The vocabulary of the library: messages, tools, responses, steps, state, configuration."""

from verifiers_tito.types.config import ClientConfig
from verifiers_tito.types.messages import (
    AssistantMessage,
    ContentPart,
    GenericContentPart,
    ImageUrlContentPart,
    ImageUrlSource,
    InputAudioContentPart,
    InputAudioSource,
    Message,
    MessageContent,
    Messages,
    SystemMessage,
    TextContentPart,
    TextMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
    content_to_text,
    has_media,
    to_message,
    to_messages,
)
from verifiers_tito.types.model_input import EncodedTextChunk, ModelInput
from verifiers_tito.types.response import (
    FinishReason,
    Response,
    ResponseMessage,
    TurnTokens,
    Usage,
    first_difference,
)
from verifiers_tito.types.sampling import SamplingArgs
from verifiers_tito.types.serving import FallbackReason, Route, Served, WeightVersionSpan
from verifiers_tito.types.state import State
from verifiers_tito.types.stitching_config import ControlTextPolicy, StitchingConfig, ThinkingPolicy
from verifiers_tito.types.tools import Tool
from verifiers_tito.types.trajectory import StepTokens, TrajectoryStep, step_tokens

__all__ = [
    "AssistantMessage",
    "ClientConfig",
    "ContentPart",
    "ControlTextPolicy",
    "EncodedTextChunk",
    "FallbackReason",
    "FinishReason",
    "GenericContentPart",
    "ImageUrlContentPart",
    "ImageUrlSource",
    "InputAudioContentPart",
    "InputAudioSource",
    "Message",
    "MessageContent",
    "Messages",
    "ModelInput",
    "Response",
    "ResponseMessage",
    "Route",
    "SamplingArgs",
    "Served",
    "State",
    "StepTokens",
    "StitchingConfig",
    "SystemMessage",
    "TextContentPart",
    "TextMessage",
    "ThinkingPolicy",
    "Tool",
    "ToolCall",
    "ToolMessage",
    "TrajectoryStep",
    "TurnTokens",
    "Usage",
    "UserMessage",
    "WeightVersionSpan",
    "content_to_text",
    "first_difference",
    "has_media",
    "step_tokens",
    "to_message",
    "to_messages",
]
