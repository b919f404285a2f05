"""SentencePiece BPE models as `tokenizers.Tokenizer`, in the three ways that families treat the first space.

SentencePiece writes a space as `▁` and puts one in front of the text. Published tokenizers differ in when that happens,
and the difference shows right where a bridge is cut: after a control token. The conversion knows no chat template.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

SPACE = "▁"
RESERVED = "[control_"  # slots without a use; as tokens they would only slow every text down


class FirstSpace(StrEnum):
    """When a space is put in front of a piece of text."""

    EVERY_PIECE = "every piece"  # also after each control token: Llama 2, the first Mistral, Phi 3
    TEXT_START = "text start"  # only where the whole text begins: Mistral since its third version
    NEVER = "never"  # Gemma


def read_pieces(path: Path) -> Any:
    """The model as `sentencepiece` reads it: pieces by id, with scores and types."""
    from sentencepiece import SentencePieceProcessor  # noqa: PLC0415

    return SentencePieceProcessor(model_file=str(path))


def sentencepiece_tokenizer(path: Path, *, first_space: FirstSpace) -> Any:
    """The model's vocabulary without any control token; their pieces keep their ids, and no merge leads to them."""
    from tokenizers import Tokenizer, decoders, models  # noqa: PLC0415

    pieces = read_pieces(path)
    ids = {pieces.id_to_piece(index): index for index in range(pieces.get_piece_size())}
    tokenizer = Tokenizer(
        models.BPE(vocab=ids, merges=_merges(pieces, ids), unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    _treat_spaces(tokenizer, first_space)
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if first_space is not FirstSpace.NEVER:
        steps.append(decoders.Strip(content=" ", left=1))
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer


@cache
def control_pieces(path: Path) -> tuple[str, ...]:
    """The model's own control tokens, in order of their ids, without the reserved slots."""
    pieces = read_pieces(path)
    texts = (pieces.id_to_piece(index) for index in range(pieces.get_piece_size()) if _is_control(pieces, index))
    return tuple(text for text in texts if not text.startswith(RESERVED))


def _treat_spaces(tokenizer: Any, first_space: FirstSpace) -> None:
    from tokenizers import normalizers, pre_tokenizers  # noqa: PLC0415

    if first_space is FirstSpace.TEXT_START:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="first", split=False)
        return
    spaces = normalizers.Replace(" ", SPACE)
    if first_space is FirstSpace.EVERY_PIECE:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), spaces])
        return
    tokenizer.normalizer = spaces
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")


def _merges(pieces: Any, ids: dict[str, int]) -> list[tuple[str, str]]:
    """Every pair of pieces that makes a third, best score of the third first: what SentencePiece does step by step."""
    found: list[tuple[float, int, str, str]] = []
    for text, index in ids.items():
        if _is_control(pieces, index) or pieces.is_byte(index):
            continue
        for cut in range(1, len(text)):
            left, right = text[:cut], text[cut:]
            if left in ids and right in ids:
                found.append((-pieces.get_score(index), -len(left), left, right))
    return [(left, right) for _, _, left, right in sorted(found)]


def _is_control(pieces: Any, index: int) -> bool:
    return bool(pieces.is_control(index) or pieces.is_unknown(index))
