"""From ids to text, as vLLM's detokenizer does it. It knows no vocabulary: whoever has one decodes.

vLLM gives text once it is whole: half a character at the end never comes out. Control tokens that the vocabulary
marks as special are left out unless a parser needs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

HALF_A_CHARACTER = "\N{REPLACEMENT CHARACTER}"
LONGEST_CHARACTER_BYTES = 4


class TokenDecoder(Protocol):
    """Decodes ids with all their control tokens. `special_ids` are those that `skip_special_tokens` hides,
    `special_texts` the texts of those that the vocabulary gives a role (end of text, padding, ...)."""

    @property
    def special_ids(self) -> frozenset[int]: ...

    @property
    def special_texts(self) -> frozenset[str]: ...

    def decode(self, token_ids: Sequence[int]) -> str: ...


def text_of(decoder: TokenDecoder, token_ids: Sequence[int], *, keeps_special: bool) -> str:
    """The text of the ids up to the last whole character."""
    if not keeps_special:
        token_ids = [token_id for token_id in token_ids if token_id not in decoder.special_ids]
    return decoder.decode(token_ids[: _whole_length(decoder, token_ids)])


def _whole_length(decoder: TokenDecoder, token_ids: Sequence[int]) -> int:
    """How many ids end with a whole character. A few ids before a place tell, because each holds a byte or more."""
    length = len(token_ids)
    while length:
        window = token_ids[max(length - LONGEST_CHARACTER_BYTES, 0) : length]
        if not decoder.decode(window).endswith(HALF_A_CHARACTER):
            break
        length -= 1
    return length


@dataclass(frozen=True)
class TransformersDecoder:
    """Decodes with a tokenizer of `transformers`."""

    tokenizer: Any

    @cached_property
    def special_ids(self) -> frozenset[int]:
        return frozenset(
            token_id for token_id, added in self.tokenizer.added_tokens_decoder.items() if added.special
        ) | frozenset(self.tokenizer.all_special_ids)

    @cached_property
    def special_texts(self) -> frozenset[str]:
        return frozenset(self.tokenizer.all_special_tokens)

    def decode(self, token_ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(token_ids), clean_up_tokenization_spaces=False))
