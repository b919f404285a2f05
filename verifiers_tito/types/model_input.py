"""A model's input as chunks, field-compatible with Tinker's types of the same names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, Self

GIVE_IDS = "give ModelInput.from_ints(tokenizer.encode(text, add_special_tokens=False))"
"""What to do where text will not do."""


@dataclass(frozen=True, slots=True)
class EncodedTextChunk:
    """Token ids, as they are."""

    tokens: list[int]
    type: Literal["encoded_text"] = "encoded_text"

    @property
    def length(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True)
class TextChunk:
    """Text that a sampling client tokenizes, with its model's tokenizer: until then nobody knows its ids."""

    text: str
    type: Literal["text"] = "text"

    @property
    def length(self) -> int:
        raise ValueError(f"the length of a TextChunk is unknown: only a sampling client tokenizes it; {GIVE_IDS}")


@dataclass(frozen=True, slots=True)
class ImageChunk:
    """An encoded image; `expected_tokens` is how many ids it stands for, where that is known."""

    data: bytes = field(repr=False)
    format: Literal["png", "jpeg"]
    expected_tokens: int | None = None
    type: Literal["image"] = "image"

    @property
    def length(self) -> int:
        if self.expected_tokens is None:
            raise ValueError("the length of an ImageChunk is unknown: give it expected_tokens")
        return self.expected_tokens


ModelInputChunk = EncodedTextChunk | TextChunk | ImageChunk


@dataclass(frozen=True, slots=True)
class ModelInput:
    """What a model reads, in order. Appending gives a new one."""

    chunks: list[ModelInputChunk] = field(default_factory=list)

    @classmethod
    def from_ints(cls, tokens: Iterable[int]) -> Self:
        return cls([EncodedTextChunk(list(tokens))])

    @classmethod
    def from_str(cls, text: str) -> Self:
        """For `SamplingClient`, which takes it as `tokenizer.encode(text, add_special_tokens=False)` gives it. All else
        wants ids: `to_ints`, `length` (and with it a completer's `context_window`) and `to_tinker` refuse text."""
        return cls([TextChunk(text)])

    @classmethod
    def empty(cls) -> Self:
        return cls([])

    def append(self, chunk: ModelInputChunk) -> ModelInput:
        return ModelInput([*self.chunks, chunk])

    def append_int(self, token: int) -> ModelInput:
        return self.append(EncodedTextChunk([token]))

    def to_ints(self) -> list[int]:
        """All ids. Raises `ValueError` for text, and for an image, which has none before the engine expands it."""
        ids: list[int] = []
        for index, chunk in enumerate(self.chunks):
            if not isinstance(chunk, EncodedTextChunk):
                remedy = f"; {GIVE_IDS}" if isinstance(chunk, TextChunk) else ""
                raise ValueError(f"to_ints: chunk {index} of {len(self.chunks)} is {_of_kind(chunk)}, not ids{remedy}")
            ids += chunk.tokens
        return ids

    @property
    def length(self) -> int:
        """How many ids this is in the model's context. Raises `ValueError` for text, or an image of unknown size."""
        return sum(chunk.length for chunk in self.chunks)


def _of_kind(chunk: ModelInputChunk) -> str:
    return f"{'an' if isinstance(chunk, ImageChunk) else 'a'} {type(chunk).__name__}"
