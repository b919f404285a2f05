"""Tokenizers of bytes or letters and a few added tokens, for what no published vocabulary shows."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

BYTES = 256


def byte_tokenizer(added: Sequence[str | AddedToken], *, normalizer: Any = None, template: str = "") -> Any:
    """A `transformers` tokenizer with one id per byte; `added` get the ids from `BYTES` on, in order."""
    vocabulary = {character: index for index, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    if normalizer is not None:
        backend.normalizer = normalizer
    return _with_added_tokens(backend, added, template)


def spaced_tokenizer(added: Sequence[str], *, everywhere: bool, template: str) -> Any:
    """As SentencePiece has it: a letter an id, `▁` for a blank, and one in front of the text (or of `everywhere`:
    each part of it between added tokens)."""
    letters = "▁" + string.ascii_letters + "\n<|>/"
    merges = [("▁", letter) for letter in string.ascii_letters]
    vocabulary = {token: index for index, token in enumerate([*letters, *map("".join, merges)])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    if everywhere:
        backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return _with_added_tokens(backend, added, template)


def _with_added_tokens(backend: Any, added: Sequence[str | AddedToken], template: str) -> Any:
    backend.add_tokens([AddedToken(token, normalized=False) if isinstance(token, str) else token for token in added])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, clean_up_tokenization_spaces=False)
    tokenizer.chat_template = template or None
    return tokenizer
