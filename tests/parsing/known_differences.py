"""Where we read an answer differently than vLLM 0.32 does, and why. Everything else is the same, to the letter."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.parsing.vllm_parsers import Read


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDifference:
    """`covers` tells by the text and both readings. `example` is an answer that shows it. `answers` are those that it
    is about, where not all with this parser of calls."""

    calls: str
    answers: str | None = None
    reason: str
    example: str
    covers: Callable[[str, Read, Read], bool]


def _argument_holds_the_closing_tag(text: str, ours: Read, theirs: Read) -> bool:
    return not theirs.calls and any("</tool_call>" in arguments for _, arguments in ours.calls)


def _header_without_id(text: str, ours: Read, theirs: Read) -> bool:
    added = [call for call in theirs.calls if call not in ours.calls]
    return bool(added) and set(ours.calls) < set(theirs.calls)


def _call_without_a_name(text: str, ours: Read, theirs: Read) -> bool:
    return [call for call in theirs.calls if call[0].strip()] == list(ours.calls) != list(theirs.calls)


def _behind_the_mark(text: str) -> str:
    """What Mistral's calls begin with."""
    return next((part.strip() for part in text.split("[TOOL_CALLS]")[1:] if part.strip()), "")


def _named_or_nothing(text: str, ours: Read, theirs: Read) -> bool:
    return not re.match(r"\[\s*[{\]]|{", _behind_the_mark(re.sub(r"\[/?THINK\]", "", text)))


def _list_or_object(text: str, ours: Read, theirs: Read) -> bool:
    return not _named_or_nothing(text, ours, theirs)


KNOWN_DIFFERENCES = (
    KnownDifference(
        calls="hermes",
        reason="vLLM cuts a call at the first closing tag, also within a string of its arguments; we read its JSON.",
        example='<tool_call>{"name": "f", "arguments": {"x": "</tool_call>"}}</tool_call>',
        covers=_argument_holds_the_closing_tag,
    ),
    KnownDifference(
        calls="kimi_k2",
        reason="vLLM makes a call of a header that is no call id, named by the header or by its arguments; not we.",
        example="<|tool_calls_section_begin|><|tool_call_begin|>nonsense",
        covers=_header_without_id,
    ),
    KnownDifference(
        calls="mistral",
        reason="vLLM makes a call of arguments without a name, named by an empty text; not we.",
        example='[TOOL_CALLS][ARGS]{"x": 1}',
        covers=_call_without_a_name,
    ),
    KnownDifference(
        calls="mistral",
        answers="mistral_lists",
        reason="vLLM knows Mistral's older form by the vocabulary, we by what stands behind the mark.",
        example='[TOOL_CALLS]f{"x": 1}',
        covers=_named_or_nothing,
    ),
    KnownDifference(
        calls="mistral",
        answers="mistral",
        reason="The same the other way round: with the newer vocabulary a list is a call's name to vLLM.",
        example='[TOOL_CALLS][{"name": "f", "arguments": {}}]',
        covers=_list_or_object,
    ),
)
