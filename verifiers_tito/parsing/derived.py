"""Which format a chat template writes: found out by rendering a turn with marked parts and reading it back.

    turn (reasoning, content, call) ──template──► text behind the generation prompt ──each format──► the same turn?

A format fits if it gives back all that the template wrote. It knows no model's name: the template is the authority.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from verifiers_tito.parsing.names import CALLS_BY_NAME, HARMONY_CALLS, HARMONY_REASONING, format_by_names
from verifiers_tito.parsing.parser import ResponseFormat
from verifiers_tito.parsing.request import ParseRequest
from verifiers_tito.parsing.result import ParsedText
from verifiers_tito.tokenization import TemplateRefusedError
from verifiers_tito.types import Tool

REASONING, CONTENT, VALUE = "Qzthoughtzq", "Qzanswerzq", "Qzvaluezq"
TOOL = Tool(
    name="qzcall",
    description="Calls.",
    parameters={"type": "object", "properties": {"qzkey": {"type": "string"}}},
)
CALL = {"id": "qzcallid0", "name": TOOL.name, "arguments": f'{{"qzkey": "{VALUE}"}}'}
QUESTION = {"role": "user", "content": "Qzquestionzq"}
REASONING_PARSERS = ("qwen3", "glm45", "deepseek_r1")
"""Who fits them is read by all of them alike; the first that fits is taken."""


class Misfit(StrEnum):
    """Why no format is found."""

    NO_CALLS = "the template writes no tool calls"
    UNKNOWN_CALLS = "the template writes tool calls in a way that no format here reads"


class RenderedText(Protocol):
    @property
    def text(self) -> str: ...


class TemplateRenderer(Protocol):
    """What renders a conversation: `tokenization.LocalTokenizer` does."""

    def render_now(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        template_fields: Mapping[str, Any] | None = None,
        add_generation_prompt: bool = True,
    ) -> RenderedText: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedFormat:
    """The format of a template, under the names that vLLM knows. `reasoning_parser` is None where the template writes
    no reasoning, `tool_call_parser` where it writes no calls that can be read: `misfit` says which."""

    format: ResponseFormat
    reasoning_parser: str | None
    tool_call_parser: str | None
    misfit: Misfit | None = None


def derive_format(renderer: TemplateRenderer) -> DerivedFormat:
    """Tries the known formats on turns that the template renders."""
    thought = _written(renderer, {"content": CONTENT, "reasoning_content": REASONING, "thinking": REASONING})
    calling = _written(renderer, {"content": "", "tool_calls": [CALL]})
    if calling is None or VALUE not in calling:
        reasoning = _reasoning_parser(thought)
        return _derived(reasoning, None, Misfit.NO_CALLS)
    if _fits(calling, HARMONY_REASONING, HARMONY_CALLS):
        return _derived(HARMONY_REASONING, HARMONY_CALLS, None)
    reasoning = _reasoning_parser(thought)
    for name in sorted(CALLS_BY_NAME):
        if _fits(calling.rpartition("</think>")[2], None, name):
            return _derived(reasoning, name, None)
    return _derived(reasoning, None, Misfit.UNKNOWN_CALLS)


def _derived(reasoning: str | None, calls: str | None, misfit: Misfit | None) -> DerivedFormat:
    return DerivedFormat(
        format=format_by_names(reasoning_parser=reasoning, tool_call_parser=calls),
        reasoning_parser=reasoning,
        tool_call_parser=calls,
        misfit=misfit,
    )


def _reasoning_parser(written: str | None) -> str | None:
    if written is None or REASONING not in written:
        return None
    if _read(written, HARMONY_REASONING, HARMONY_CALLS).reasoning == REASONING:
        return HARMONY_REASONING
    for name in REASONING_PARSERS:
        parsed = _read(written, name, None)
        if (parsed.reasoning or "").strip() == REASONING and (parsed.content or "").lstrip().startswith(CONTENT):
            return name
    return None


def _fits(written: str, reasoning: str | None, calls: str) -> bool:
    """Whether the one call is read, name and arguments. What stands behind it, as the turn's end, does not matter."""
    for end in _ends(written):
        parsed = _read(written[:end], reasoning, calls)
        if [call.name for call in parsed.tool_calls] == [TOOL.name] and VALUE in parsed.tool_calls[0].arguments:
            return not parsed.unparsed_tool_calls and CALL["arguments"] == parsed.tool_calls[0].arguments
    return False


def _ends(written: str) -> Iterator[int]:
    """Where the turn may end: at its end, or before its last control token, which no format but one reads."""
    yield len(written)
    place = written.rfind("<")
    while place > written.find(VALUE):
        yield place
        place = written.rfind("<", 0, place)


def _read(written: str, reasoning: str | None, calls: str | None) -> ParsedText:
    response_format = format_by_names(reasoning_parser=reasoning, tool_call_parser=calls)
    return response_format.parse(written, ParseRequest(tools=(TOOL,)), call_id=lambda: "")


def _written(renderer: TemplateRenderer, turn: Mapping[str, Any]) -> str | None:
    """What the template writes behind the generation prompt, or None where it refuses. A prompt that opens or closes
    the reasoning itself belongs to the turn."""
    tools = [TOOL.model_dump(exclude_none=True)]
    try:
        ask = renderer.render_now([QUESTION], tools=tools).text
        whole = renderer.render_now(
            [QUESTION, {"role": "assistant", **turn}], tools=tools, add_generation_prompt=False
        ).text
    except TemplateRefusedError:
        return None
    begin = next((place for place, (one, other) in enumerate(zip(ask, whole, strict=False)) if one != other), len(ask))
    think = whole.find("<think>", whole.find(QUESTION["content"]))
    return whole[begin if think < 0 else min(begin, think) :].lstrip("\n")
