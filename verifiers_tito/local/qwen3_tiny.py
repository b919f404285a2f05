"""A tiny Qwen3 with random weights and the real Qwen3 tokenizer and chat template.

Every text tokenizes exactly as for the published Qwen3 models, while a server loads it in an instant.
Source of the control tokens and of which are special: Qwen3's published tokenizer configuration.
"""

from __future__ import annotations

from pathlib import Path

from verifiers_tito.local.assets import QWEN3_TEMPLATE, QWEN_RANKS
from verifiers_tito.local.byte_level_bpe import (
    ControlToken,
    TokenizerNames,
    add_control_tokens,
    byte_level_tokenizer,
    read_tiktoken_ranks,
    regex_split,
    vocabulary_from_ranks,
    write_tokenizer,
)
from verifiers_tito.local.model_folder import Stamp, write_model_folder
from verifiers_tito.local.random_weights import TINY, save_random_model

FOLDER_NAME = "qwen3-tiny"
STAMP = Stamp(builder="qwen3-tiny", version=2)
CONTEXT_LENGTH = 40_960
VOCABULARY_SIZE = 151_936  # the embedding has more rows than there are tokens
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
FIRST_CONTROL_ID = 151_643
SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
NOT_SPECIAL = (
    "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
    "<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>",
)  # fmt: skip
END_OF_TEXT_ID = 151_643
END_OF_TURN_ID = 151_645


def build(folder: Path) -> Path:
    """Builds the model at `folder` unless it is there. A few seconds and 80 MB."""
    return write_model_folder(folder, stamp=STAMP, fill=_fill)


def _fill(folder: Path) -> None:
    ranks, template = QWEN_RANKS.path(), QWEN3_TEMPLATE.path()
    _write_weights(folder)
    _write_tokenizer(folder, ranks=ranks, template=template.read_text(encoding="utf-8"))


def _write_weights(folder: Path) -> None:
    from transformers import Qwen3Config, Qwen3ForCausalLM  # noqa: PLC0415

    config = Qwen3Config(
        **TINY,
        vocab_size=VOCABULARY_SIZE,
        max_position_embeddings=CONTEXT_LENGTH,
        bos_token_id=END_OF_TEXT_ID,
        eos_token_id=END_OF_TURN_ID,
        pad_token_id=END_OF_TEXT_ID,
    )
    save_random_model(folder, model_class=Qwen3ForCausalLM, config=config, end_ids=[END_OF_TURN_ID, END_OF_TEXT_ID])


def _write_tokenizer(folder: Path, *, ranks: Path, template: str) -> None:
    from tokenizers import normalizers  # noqa: PLC0415

    vocabulary = vocabulary_from_ranks(read_tiktoken_ranks(ranks))
    tokenizer = byte_level_tokenizer(vocabulary, splits=regex_split(PATTERN), whole_words_first=False)
    tokenizer.normalizer = normalizers.NFC()
    add_control_tokens(tokenizer, control_tokens())
    write_tokenizer(
        folder,
        tokenizer,
        names=TokenizerNames(beginning=None, end="<|im_end|>", padding="<|endoftext|>"),
        template=template,
        context_length=CONTEXT_LENGTH,
    )


def control_tokens() -> list[ControlToken]:
    """Qwen3's added tokens, 151643 to 151668."""
    return [
        ControlToken(text=text, id=FIRST_CONTROL_ID + position, special=text in SPECIAL)
        for position, text in enumerate(SPECIAL + NOT_SPECIAL)
    ]
