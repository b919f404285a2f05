"""What is said: the same in each client's conversation, but for a number in front, so that no client finds another's
prompt in the server's cache.

A small model with random weights answers. What it "samples" is forced where a conversation needs a turn that ends or
a call; its choice of tokens for a text is free, and hardly ever the one that a tokenizer would make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from benchmarks.words import Words

SAID_WORDS = 92
CUT_TOKENS = 48
MOST_TOKENS = 2_000
"""No forced answer is longer, in however small pieces it is sampled."""
_CALL_MARKERS = ("<tool_call>", "</tool_call>")
_TOOL = {
    "name": "look_up",
    "description": "Looks a word up.",
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
}


class Kind(StrEnum):
    TALK = "talk"
    """Answers that end by themselves."""
    CUT = "cut"
    """Answers that are cut by `max_tokens`, of any ids the vocabulary holds."""
    TOOLS = "tools"
    """Answers that call a tool, which answers them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A message without its number, and the sampling arguments as vLLM's bodies name them."""

    message: dict[str, Any]
    sampling: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    kind: Kind
    tools: list[dict[str, Any]] | None
    turns: Sequence[Turn]


def conversation(kind: Kind, *, turns: int, words: Words, tokenizer: Any, answer_words: int) -> Conversation:
    """`answer_words` are in an answer that ends by itself; `tokenizer` is a `transformers` one, asked for the ids of
    markers."""
    said = [words.text(count=SAID_WORDS, seed=turn) for turn in range(turns)]
    role = "tool" if kind is Kind.TOOLS else "user"
    marker_ids = tokenizer.convert_tokens_to_ids(_CALL_MARKERS)
    return Conversation(
        kind=kind,
        tools=[{"type": "function", "function": _TOOL}] if kind is Kind.TOOLS else None,
        turns=[
            Turn(
                message={"role": role if turn else "user", "content": text},
                sampling={
                    "temperature": 1.0,
                    **_sampling(kind, words, marker_ids, answer_words=answer_words, seed=1_000 + turn),
                },
            )
            for turn, text in enumerate(said)
        ],
    )


def _sampling(kind: Kind, words: Words, marker_ids: Sequence[int], *, answer_words: int, seed: int) -> dict[str, Any]:
    match kind:
        case Kind.TALK:
            text = words.text(count=answer_words, seed=seed)
            return {"max_tokens": MOST_TOKENS, "structured_outputs": {"choice": [text]}}
        case Kind.CUT:
            return {"max_tokens": CUT_TOKENS, "ignore_eos": True}
        case Kind.TOOLS:
            word = words.text(count=1, seed=seed)
            # Without spaces, as models often write it, and templates do not.
            call = f'<tool_call>\n{{"name":"look_up","arguments":{{"word":"{word}"}}}}\n</tool_call>'
            # The markers are single tokens in what a trained model samples.
            bias = dict.fromkeys(map(str, marker_ids), 100.0)
            return {"max_tokens": MOST_TOKENS, "structured_outputs": {"choice": [call]}, "logit_bias": bias}
