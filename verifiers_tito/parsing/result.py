"""What a parser finds in an answer: reasoning, content, tool calls, what could not be read, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from verifiers_tito.types import AssistantMessage, ToolCall


class ParseTermination(StrEnum):
    """How the sampled ids ended. Falsy where they did not end cleanly, so that `message, ok = ...` reads well."""

    STOP_SEQUENCE = "stop_sequence"  # by a stop token or stop string of the format
    EOS = "eos"  # by the vocabulary's end of text, which is no stop sequence of the format
    MALFORMED = "malformed"  # cut off, or with an end token in the middle

    @property
    def is_clean(self) -> bool:
        return self is not ParseTermination.MALFORMED

    @property
    def is_stop_sequence(self) -> bool:
        return self is ParseTermination.STOP_SEQUENCE

    def __bool__(self) -> bool:
        return self.is_clean


class CallProblem(StrEnum):
    """Why a tool call is not whole."""

    NO_JSON = "its JSON cannot be read"
    NO_NAME_OR_ARGUMENTS = "it has no name or no arguments"
    NOT_CLOSED = "it is not closed"
    UNKNOWN_NAME = "no such tool was offered"
    STRAY_TEXT = "there is text between its arguments"
    NO_LITERALS = "its arguments are no literals"
    NO_CALL = "what stands between its marks is no call"
    NOT_ALONE = "another call beside it cannot be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnparsedToolCall:
    """A call that is not whole: its text as sampled, marks included, and the reason.

    `is_served`: vLLM makes a tool call of it all the same (with the arguments it could read), so that it stands among
    the tool calls too.
    """

    text: str
    problem: CallProblem
    is_served: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedText:
    """A parsed text. None means that the part is absent, which on vLLM's wire is null."""

    reasoning: str | None = None
    content: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    unparsed_tool_calls: tuple[UnparsedToolCall, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedCompletion(ParsedText):
    """What sampled ids say. `text` is what they decode to, without the end."""

    text: str
    termination: ParseTermination

    def message(self) -> AssistantMessage:
        """The message as a server that parses would have sent it."""
        return AssistantMessage(
            content=self.content,
            reasoning_content=self.reasoning,
            tool_calls=list(self.tool_calls) or None,
        )
