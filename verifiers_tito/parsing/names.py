"""Formats by the names that vLLM's `--reasoning-parser` and `--tool-call-parser` take."""

from __future__ import annotations

from typing import TypeVar

from verifiers_tito.errors import ConfigError
from verifiers_tito.parsing.call_syntax import CallSyntax
from verifiers_tito.parsing.deepseek_calls import DeepSeekCalls
from verifiers_tito.parsing.harmony import HarmonyFormat
from verifiers_tito.parsing.json_calls import BareJson, TaggedJson
from verifiers_tito.parsing.machine import Place
from verifiers_tito.parsing.marked_calls import MarkedCalls
from verifiers_tito.parsing.markups import (
    GEMMA,
    GEMMA_CALLS,
    GLM,
    GLM_CALLS,
    KIMI,
    KIMI_CALLS,
    MINIMAX,
    MINIMAX_CALLS,
    MISTRAL,
    QWEN_XML,
    QWEN_XML_CALLS,
    THOUGHT,
    in_channel,
)
from verifiers_tito.parsing.mistral_calls import MistralCalls
from verifiers_tito.parsing.muse_format import MuseCalls, MuseReasoning
from verifiers_tito.parsing.parser import ReasoningThenCalls, ResponseFormat
from verifiers_tito.parsing.pythonic_calls import MarkedPythonicCalls, PythonicCalls
from verifiers_tito.parsing.reasoning import MarkedReasoning, NoReasoning, ReasoningStyle, ThinkTags

Style = TypeVar("Style")

HARMONY_REASONING, HARMONY_CALLS = "openai_gptoss", "openai"
HERMES = TaggedJson(open="<tool_call>", close="</tool_call>")

REASONING_BY_NAME: dict[str, ReasoningStyle] = {
    "deepseek_r1": ThinkTags(),
    "deepseek_v3": ThinkTags(only_if_thinking=True),
    "gemma4": MarkedReasoning(markup=GEMMA, begins=Place.CONTENT, always=True, title=THOUGHT, completed=in_channel),
    "glm45": MarkedReasoning(markup=GLM),
    "glm47": MarkedReasoning(markup=GLM),
    "kimi_k2": MarkedReasoning(markup=KIMI),
    "minimax_m2": MarkedReasoning(markup=MINIMAX, always=True),
    "mistral": MarkedReasoning(markup=MISTRAL, begins=Place.CONTENT, always=True),
    "muse_glimmer": MuseReasoning(),
    "nemotron_v3": MarkedReasoning(markup=QWEN_XML, fills_content=True),
    "qwen3": MarkedReasoning(markup=QWEN_XML, strips_end=False),
}
CALLS_BY_NAME: dict[str, CallSyntax] = {
    "deepseek_v3": DeepSeekCalls(fenced=True),
    "deepseek_v31": DeepSeekCalls(fenced=False),
    "gemma4": GEMMA_CALLS,
    "glm45": GLM_CALLS,
    "glm47": GLM_CALLS,
    "hermes": HERMES,
    "kimi_k2": KIMI_CALLS,
    "lfm2": MarkedPythonicCalls(),
    "llama3_json": BareJson(),
    "llama4_json": BareJson(),
    "minimax_m2": MINIMAX_CALLS,
    "mistral": MistralCalls(),
    "muse_glimmer": MuseCalls(),
    "pythonic": PythonicCalls(),
    "qwen3_coder": QWEN_XML_CALLS,
    "qwen3_json": HERMES,
    "qwen3_xml": QWEN_XML_CALLS,
}


def format_by_names(*, reasoning_parser: str | None = None, tool_call_parser: str | None = None) -> ResponseFormat:
    """What a server started with these parsers reads. Raises `ConfigError` for a name that is not known here."""
    if reasoning_parser == HARMONY_REASONING or tool_call_parser == HARMONY_CALLS:
        return HarmonyFormat(reads_reasoning=bool(reasoning_parser), reads_calls=bool(tool_call_parser))
    reasoning = _known("reasoning_parser", reasoning_parser, REASONING_BY_NAME)
    calls = _known("tool_call_parser", tool_call_parser, CALLS_BY_NAME)
    if isinstance(calls, MarkedCalls | MistralCalls) and reasoning is None:
        calls = calls.leaving_reasoning()
    return ReasoningThenCalls(reasoning=reasoning or NoReasoning(), calls=calls)


def _known(kind: str, name: str | None, by_name: dict[str, Style]) -> Style | None:
    if not name:
        return None
    if name not in by_name:
        raise ConfigError(f"{kind}={name!r} is not known to the parser; known: {', '.join(sorted(by_name))}")
    return by_name[name]
