"""Ordinary words as token ids and as texts, always the same for the same seed.

Every id is a whole word with the space before it, so that a text of them tokenizes to the same ids again: what a
history costs can then be compared between clients that send ids and clients that send messages.
"""

from __future__ import annotations

import random
import re
from typing import Any

from verifiers_tito.errors import ConfigError

_WORD = re.compile("[Ġ▁][a-z]{3,10}")
_MOST_WORDS = 4000


class Words:
    """The commonest words of a `transformers` tokenizer's vocabulary, the lowest ids being the commonest."""

    def __init__(self, transformers_tokenizer: Any) -> None:
        vocabulary = transformers_tokenizer.get_vocab()
        words = sorted((token_id, word[1:]) for word, token_id in vocabulary.items() if _WORD.fullmatch(word))
        if not words:
            raise ConfigError("the vocabulary holds no whole words: take another model folder, such as qwen3-tiny")
        self._ids, self._texts = zip(*words[:_MOST_WORDS], strict=True)

    def ids(self, *, count: int, seed: int) -> tuple[int, ...]:
        """Ids (count,)."""
        return tuple(random.Random(seed).choices(self._ids, k=count))

    def text(self, *, count: int, seed: int) -> str:
        """A text of `count` words, and about as many tokens."""
        return " ".join(random.Random(seed).choices(self._texts, k=count))
