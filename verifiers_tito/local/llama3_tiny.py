"""A tiny Llama 3.1 with random weights and the real Llama 3.1 tokenizer and chat template.

The template writes `<|begin_of_text|>` and so does the tokenizer when it is asked for special tokens, as with
the published model: whoever tokenizes a rendered conversation must not ask for them. Source of the control
tokens: Llama 3.1's published tokenizer.
"""

from __future__ import annotations

from pathlib import Path

from verifiers_tito.local.assets import LLAMA3_1_TEMPLATE, LLAMA3_RANKS
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

FOLDER_NAME = "llama3-tiny"
STAMP = Stamp(builder="llama3-tiny", version=3)
CONTEXT_LENGTH = 131_072
VOCABULARY_SIZE = 128_256
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
FIRST_CONTROL_ID = 128_000
BEGIN_OF_TEXT = "<|begin_of_text|>"
BEGIN_OF_TEXT_ID = 128_000
END_OF_TEXT_ID = 128_001
PADDING_ID = 128_004
END_OF_MESSAGE_ID = 128_008
END_OF_TURN_ID = 128_009
NAMED = {
    0: BEGIN_OF_TEXT,
    1: "<|end_of_text|>",
    4: "<|finetune_right_pad_id|>",
    6: "<|start_header_id|>",
    7: "<|end_header_id|>",
    8: "<|eom_id|>",
    9: "<|eot_id|>",
    10: "<|python_tag|>",
}


def build(folder: Path) -> Path:
    """Builds the model at `folder` unless it is there. A few seconds and 70 MB."""
    return write_model_folder(folder, stamp=STAMP, fill=_fill)


def _fill(folder: Path) -> None:
    ranks, template = LLAMA3_RANKS.path(), LLAMA3_1_TEMPLATE.path()
    _write_weights(folder)
    _write_tokenizer(folder, ranks=ranks, template=template.read_text(encoding="utf-8"))


def _write_weights(folder: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415

    config = LlamaConfig(
        **TINY,
        vocab_size=VOCABULARY_SIZE,
        max_position_embeddings=CONTEXT_LENGTH,
        bos_token_id=BEGIN_OF_TEXT_ID,
        eos_token_id=[END_OF_TEXT_ID, END_OF_MESSAGE_ID, END_OF_TURN_ID],
        pad_token_id=PADDING_ID,
    )
    save_random_model(
        folder,
        model_class=LlamaForCausalLM,
        config=config,
        end_ids=[END_OF_TEXT_ID, END_OF_MESSAGE_ID, END_OF_TURN_ID],
    )


def _write_tokenizer(folder: Path, *, ranks: Path, template: str) -> None:
    from tokenizers import processors  # noqa: PLC0415

    vocabulary = vocabulary_from_ranks(read_tiktoken_ranks(ranks))
    tokenizer = byte_level_tokenizer(vocabulary, splits=regex_split(PATTERN), whole_words_first=True)
    add_control_tokens(tokenizer, control_tokens())
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN_OF_TEXT} $A",
        pair=f"{BEGIN_OF_TEXT} $A {BEGIN_OF_TEXT}:1 $B:1",
        special_tokens=[(BEGIN_OF_TEXT, BEGIN_OF_TEXT_ID)],
    )
    write_tokenizer(
        folder,
        tokenizer,
        names=TokenizerNames(beginning=BEGIN_OF_TEXT, end="<|eot_id|>", padding="<|finetune_right_pad_id|>"),
        template=template,
        context_length=CONTEXT_LENGTH,
    )


def control_tokens() -> list[ControlToken]:
    """Llama 3.1's 256 added tokens; those without a use are numbered in order."""
    tokens: list[ControlToken] = []
    reserved = 0
    for offset in range(VOCABULARY_SIZE - FIRST_CONTROL_ID):
        if offset in NAMED:
            text = NAMED[offset]
        else:
            text, reserved = f"<|reserved_special_token_{reserved}|>", reserved + 1
        tokens.append(ControlToken(text=text, id=FIRST_CONTROL_ID + offset))
    return tokens
