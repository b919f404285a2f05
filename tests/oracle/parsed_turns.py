"""What we and the hand-written renderers of `renderers` read in the same sampled ids."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from tests.corpus.reference import in_template_form
from tests.oracle.cookbook import CONVERSATIONS
from tests.oracle.pairs import PAIRS, renderer_for, tokenizer_for, with_fixed_date
from verifiers_tito.renderers import TemplateRenderer

SPOKEN = tuple(name for name in CONVERSATIONS if name != "call")
DIFFERENCES = {
    ("diffusion_gemma", "tool round"): "The template opens a new turn behind tool results; we take that for content.",
    **{
        ("gptoss", name): "The renderer reads what follows its own prefill, `<|channel|>analysis<|message|>`; "
        "the template's prompt ends before that."
        for name in CONVERSATIONS
    },
    **{
        (
            "glm4moe",
            name,
        ): "The renderer leaves the line breaks around reasoning in the texts; the template writes them."
        for name in SPOKEN
    },
}
"""Turns that come out otherwise, by family and conversation, and why."""

Turn = tuple[str, str, list[tuple[str, Any]]]
"""Content, reasoning, calls."""


@cache
def parsed_turns(family: str) -> dict[str, tuple[Turn, Turn]]:
    """Ours and theirs of the last turn of each conversation that the family's template writes."""
    pair = next(pair for pair in PAIRS if pair.family == family)
    theirs = renderer_for(pair, {})
    ours = TemplateRenderer(tokenizer_for(pair.family), template_arguments=with_fixed_date({}))
    found = {}
    for name, conversation in CONVERSATIONS.items():
        messages = in_template_form(pair.corpus_family, conversation)
        if name == "call" and not pair.corpus_family.writes_calls:
            continue
        model_input, weights = ours.build_supervised_example(messages)
        ids, begin = model_input.to_ints(), len(weights) - int(weights.sum())
        found[name] = _ours(ours, ids[begin:]), _theirs(theirs, ids[:begin], ids[begin:])
    return found


def _ours(renderer: TemplateRenderer, sampled: list[int]) -> Turn:
    message, _ = renderer.parse_response(sampled)
    functions = [call["function"] for call in message.get("tool_calls", ())]
    calls = [(function["name"], json.loads(function["arguments"])) for function in functions]
    return str(message["content"]), message.get("reasoning_content") or "", calls


def _theirs(renderer: Any, prompt: list[int], sampled: list[int]) -> Turn:
    parsed = renderer.parse_response(sampled, prompt_ids=prompt)
    return (
        parsed.content or "",
        parsed.reasoning_content or "",
        [(call.name, call.arguments) for call in parsed.tool_calls],
    )
