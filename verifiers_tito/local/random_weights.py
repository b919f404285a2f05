"""Saves a causal language model with random weights from a fixed seed.

Random tokens are the hardest test for stitching, and two layers are quick. It does not know which family the
configuration describes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verifiers_tito.local.progress_bars import without_progress_bars

SEED = 20240917
TINY: Mapping[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,  # the smallest for which vLLM has an attention kernel on CPUs
    "tie_word_embeddings": False,  # a server that reloads weights would keep a tied head
}


def save_random_model(folder: Path, *, model_class: Any, config: Any, end_ids: list[int]) -> None:
    """Writes config.json, model.safetensors and generation_config.json. Weights are float32."""
    import torch  # noqa: PLC0415
    from transformers import GenerationConfig  # noqa: PLC0415

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = model_class(config).to(torch.float32)
    model.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id,
        eos_token_id=end_ids,
        pad_token_id=config.pad_token_id,
        do_sample=True,
    )
    with without_progress_bars():
        model.save_pretrained(folder)
