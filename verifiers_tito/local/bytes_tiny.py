"""A Llama of half a million parameters that reads bytes: the smallest model that can be taught something.

Its vocabulary is the 256 bytes and three control tokens, its template is ChatML. Nothing has to be downloaded for it.
Weights are random until somebody trains it. `examples/train_ppo.py` does, in minutes, without a GPU, with a vocabulary
that has the game's words beside the bytes (`fill`).
"""

from __future__ import annotations

from pathlib import Path

from verifiers_tito.local.byte_level_bpe import (
    ControlToken,
    TokenizerNames,
    Vocabulary,
    add_control_tokens,
    byte_alphabet,
    byte_level_tokenizer,
    write_tokenizer,
)
from verifiers_tito.local.model_folder import Stamp, write_model_folder
from verifiers_tito.local.random_weights import TINY, save_random_model

FOLDER_NAME = "bytes-tiny"
STAMP = Stamp(builder="bytes-tiny", version=2)
CONTEXT_LENGTH = 4096
CONTROL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
BYTES = Vocabulary(ids={character: byte for byte, character in enumerate(byte_alphabet())}, merges=[])
SHAPE = {**TINY, "hidden_size": 128, "intermediate_size": 384}
DEVIATION = SHAPE["hidden_size"] ** -0.5  # of the first weights: with the usual 0.02, so narrow a model learns slowly
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build(folder: Path) -> Path:
    """Builds the model at `folder` unless it is there. A second and 4 MB."""
    return write_model_folder(folder, stamp=STAMP, fill=fill)


def fill(folder: Path, vocabulary: Vocabulary = BYTES) -> None:
    """Writes the model into an empty folder. The control tokens get the ids behind those of `vocabulary`."""
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415

    end_of_text, _, end_of_turn = range(len(vocabulary.ids), len(vocabulary.ids) + len(CONTROL_TOKENS))
    config = LlamaConfig(
        **SHAPE,
        initializer_range=DEVIATION,
        vocab_size=-(-(end_of_turn + 1) // 64) * 64,  # vLLM would round it up likewise
        max_position_embeddings=CONTEXT_LENGTH,
        bos_token_id=None,
        eos_token_id=end_of_turn,
        pad_token_id=end_of_text,
    )
    save_random_model(folder, model_class=LlamaForCausalLM, config=config, end_ids=[end_of_turn, end_of_text])
    _write_tokenizer(folder, vocabulary)


def _write_tokenizer(folder: Path, vocabulary: Vocabulary) -> None:
    from tokenizers import pre_tokenizers  # noqa: PLC0415

    tokenizer = byte_level_tokenizer(
        vocabulary,
        splits=[
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ],
        whole_words_first=False,
    )
    first = len(vocabulary.ids)
    add_control_tokens(tokenizer, [ControlToken(text=text, id=first + at) for at, text in enumerate(CONTROL_TOKENS)])
    write_tokenizer(
        folder,
        tokenizer,
        names=TokenizerNames(beginning=None, end="<|im_end|>", padding="<|endoftext|>"),
        template=TEMPLATE,
        context_length=CONTEXT_LENGTH,
    )
