"""Where we read an answer differently than vLLM 0.32 does, and why. Everything else is the same, to the letter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.parsing.vllm_parsers import Read


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDifference:
    """`covers` tells by the text and both readings. `example` is an answer that shows it."""

    calls: str
    reason: str
    example: str
    covers: Callable[[str, Read, Read], bool]


def _argument_holds_the_closing_tag(text: str, ours: Read, theirs: Read) -> bool:
    return not theirs.calls and any("</tool_call>" in arguments for _, arguments in ours.calls)


def _header_without_id(text: str, ours: Read, theirs: Read) -> bool:
    added = [call for call in theirs.calls if call not in ours.calls]
    return bool(added) and set(ours.calls) < set(theirs.calls)


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
)
