"""Which format a chat template writes: found out by rendering a turn with marked parts and reading it back.

    turn (reasoning, content, call) ──template──► text behind the generation prompt ──each format──► the same turn?

A format fits if it gives back all that the template wrote. It knows no model's name: the template is the authority.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from verifiers_tito.parsing.json_calls import BareJson
from verifiers_tito.parsing.machine import THINK, THINK_END
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
ARGUMENTS = {"qzkey": VALUE}
QUESTION = {"role": "user", "content": "Qzquestionzq"}
PARTNERS = {
    "deepseek_v3": "deepseek_r1",
    **{name: name for name in ("gemma4", "glm45", "kimi_k2", "minimax_m2", "mistral", "muse_glimmer")},
}
"""Reasoning parsers by the tool parsers that they go with. Others go with Qwen's: `<think>` looks alike everywhere."""


class Misfit(StrEnum):
    """Why no format is found."""

    NO_CALLS = "the template writes no tool calls"
    UNKNOWN_CALLS = "the template writes tool calls in a way that no format here reads"


class RenderedText(Protocol):
    @property
    def text(self) -> str: ...


class RendersTemplate(Protocol):
    """What renders a conversation: `tokenization.LocalTokenizer` and `renderers.ModelTemplate` do. Raises
    `TemplateRefusedError` where the template refuses."""

    def render_now(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
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


def derive_format(renderer: RendersTemplate) -> DerivedFormat:
    """Tries the known formats on turns that the template renders."""
    reasoning = dict.fromkeys(("reasoning", "reasoning_content", "thinking"), REASONING)
    thought = _written(renderer, {"content": CONTENT, **reasoning})
    calling = _written_call(renderer)
    if calling is None:
        return _derived(_reasoning_parser(thought, None), None, Misfit.NO_CALLS)
    if _fits(calling, HARMONY_REASONING, HARMONY_CALLS):
        return _derived(HARMONY_REASONING, HARMONY_CALLS, None)
    behind = calling.rpartition(THINK_END)[2]
    fitting = (name for name in sorted(CALLS_BY_NAME) if _may_be(name, behind) and _fits(behind, None, name))
    calls = next(fitting, None)
    return _derived(_reasoning_parser(thought, calls), calls, None if calls else Misfit.UNKNOWN_CALLS)


def _derived(reasoning: str | None, calls: str | None, misfit: Misfit | None) -> DerivedFormat:
    return DerivedFormat(
        format=format_by_names(reasoning_parser=reasoning, tool_call_parser=calls),
        reasoning_parser=reasoning,
        tool_call_parser=calls,
        misfit=misfit,
    )


def _reasoning_parser(written: str | None, calls: str | None) -> str | None:
    if written is None or REASONING not in written:
        return None
    for name in (HARMONY_REASONING, PARTNERS.get(calls or "", "qwen3")):
        parsed = _read(written, name, None)
        if (parsed.reasoning or "").strip() == REASONING and (parsed.content or "").lstrip().startswith(CONTENT):
            return name
    return None


def _may_be(calls: str, written: str) -> bool:
    """Bare JSON is found in any text; a template that means it writes it first."""
    syntax = CALLS_BY_NAME[calls]
    return not isinstance(syntax, BareJson) or written.lstrip().startswith(("{", syntax.mark))


def _fits(written: str, reasoning: str | None, calls: str) -> bool:
    """Whether the one call is read, name and arguments. What stands behind it, as the turn's end, does not matter."""
    for end in _ends(written):
        parsed = _read(written[:end], reasoning, calls)
        if parsed.tool_calls and not parsed.unparsed_tool_calls:
            call = parsed.tool_calls[0]
            return call.name == TOOL.name and call.arguments == json.dumps(ARGUMENTS)
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


def _written_call(renderer: RendersTemplate) -> str | None:
    """A turn with a call, its arguments as an object or, where the template wants that, as text; None for neither."""
    for arguments in (ARGUMENTS, json.dumps(ARGUMENTS)):
        call = {"id": "qzcallid0", "type": "function", "function": {"name": TOOL.name, "arguments": arguments}}
        for content in ("", None):
            written = _written(renderer, {"content": content, "tool_calls": [call]})
            if written is not None and VALUE in written:
                return written
    return None


def _written(renderer: RendersTemplate, turn: Mapping[str, Any]) -> str | None:
    """What the template writes behind the generation prompt, or None where it refuses. A prompt that opens or closes
    the reasoning itself belongs to the turn."""
    shown = _prompt_and_whole(renderer, turn, [{"type": "function", "function": TOOL.model_dump(exclude_none=True)}])
    shown = shown or _prompt_and_whole(renderer, turn, None)  # a template may refuse tools, and write calls
    if shown is None:
        return None
    ask, whole = shown
    begin = next((place for place, (one, other) in enumerate(zip(ask, whole, strict=False)) if one != other), len(ask))
    begin -= whole[:begin].endswith("<")  # two marks that begin alike
    think = whole.find(THINK, whole.find(QUESTION["content"]))
    return whole[begin if think < 0 else min(begin, think) :].lstrip("\n")


def _prompt_and_whole(
    renderer: RendersTemplate, turn: Mapping[str, Any], tools: Sequence[Mapping[str, Any]] | None
) -> tuple[str, str] | None:
    answered = [QUESTION, {"role": "assistant", **turn}]
    try:
        ask = renderer.render_now([QUESTION], tools=tools)
        return ask.text, renderer.render_now(answered, tools=tools, add_generation_prompt=False).text
    except TemplateRefusedError:
        return None
