"""Renderers with real templates on vocabularies of bytes, which are made in a moment. Ids stay below 1,000: a text's
bytes, then the control tokens in order."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from typing import Any

from tests.corpus import tokens
from tests.corpus.families import BY_NAME
from tests.tokenization.tiny import byte_tokenizer
from verifiers_tito.renderers import TemplateRenderer
from verifiers_tito.renderers.renderer import Weights
from verifiers_tito.types import ModelInput

VOCABULARIES = {
    "qwen3": tokens.QWEN3,
    "qwen3_5_think": tokens.QWEN3_5,
    "qwen3_vl": tokens.QWEN3,
    "deepseekv3": tokens.DEEPSEEK,
    "gptoss": tokens.HARMONY,
    "glm4moe": tokens.GLM4,
    "llama3_1": tokens.LLAMA3,
    "nemotron_3_nano": tokens.NEMOTRON3,
    "gemma4_v5": tokens.GEMMA4,
    "lfm2_v2": tokens.LFM2,
    "mistral_nemo": tokens.TEKKEN_V3,
    "mistral_v13": tokens.TEKKEN_V13,
    "muse_glimmer": tokens.MUSE,
}
KIMI = (
    "<|im_system|>", "<|im_user|>", "<|im_assistant|>", "<|im_middle|>", "<|im_end|>", "<think>", "</think>",
    "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|tool_call_begin|>", "<|tool_call_end|>",
    "<|tool_call_argument_begin|>", "<|media_begin|>", "<|media_content|>", "<|media_pad|>", "<|media_end|>",
)  # fmt: skip

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "First."},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "Second."},
]
CALL = {
    "id": "call00001",
    "type": "function",
    "function": {"name": "look_up", "arguments": '{"query": "naked mole rat", "limit": 3}'},
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "look_up",
            "description": "Looks something up.",
            "parameters": {
                "type": "object",
                "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
            },
        },
    }
]


@cache
def tokenizer_of(family: str) -> Any:
    """A byte tokenizer with the family's control tokens and its template."""
    texts = [added.text for added in VOCABULARIES[family]]
    made = byte_tokenizer(texts, template=BY_NAME[family].template.text())
    made.eos_token = BY_NAME[family].tokenizer.end
    return made


def bare_tokenizer(*texts: str, end: str | None = None) -> Any:
    """One without a chat template."""
    made = byte_tokenizer(texts)
    made.eos_token = end
    return made


def renderer_of(family: str, **settings: Any) -> TemplateRenderer:
    return TemplateRenderer(tokenizer_of(family), **settings) if settings else _plain_renderer_of(family)


@cache
def _plain_renderer_of(family: str) -> TemplateRenderer:
    """Shared, because what it finds out about its template takes a while."""
    return TemplateRenderer(tokenizer_of(family))


def text_of(renderer: Any, model_input: ModelInput) -> str:
    return str(renderer.tokenizer.decode(model_input.to_ints()))


def trained_texts(renderer: Any, example: tuple[ModelInput, Weights]) -> list[str]:
    """The stretches with weight 1."""
    model_input, weights = example
    pairs = zip(model_input.to_ints(), weights.tolist(), strict=True)
    runs = ((trained, [token_id for token_id, _ in run]) for trained, run in groupby(pairs, key=lambda pair: pair[1]))
    return [renderer.tokenizer.decode(ids) for trained, ids in runs if trained]
