"""The sampler's log-probabilities are those that the weights give the datum's ids, so a PPO ratio starts at 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import verifiers_tito as vf
from tests.real.guessing import FEWEST_TOKENS, guessing_games
from verifiers_tito.local.server import LocalServer

pytestmark = pytest.mark.vllm


def recomputed_logprobs(model: Any, datum: vf.Datum) -> np.ndarray:
    """Natural-log probabilities of the datum's targets under `model`, (N,)."""
    import torch  # noqa: PLC0415  takes seconds: not while tests are collected

    with torch.no_grad():
        logits = model(torch.tensor([datum.model_input.to_ints()])).logits[0].float()
    targets = torch.tensor(datum.loss_fn_inputs["target_tokens"])
    return torch.log_softmax(logits, dim=-1).gather(1, targets[:, None])[:, 0].numpy()


@pytest.mark.parametrize("name", ["smollm2", "qwen3-tiny", "llama3-tiny"])
async def test_log_probabilities_recomputed_with_transformers_agree(
    name: str, real_servers: dict[str, LocalServer]
) -> None:
    server = real_servers[name]
    states = await guessing_games(server)
    datums = [datum for state in states for datum in vf.build_datums(state["trajectory"], advantage=1.0).datums]
    import torch  # noqa: PLC0415
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    model = AutoModelForCausalLM.from_pretrained(Path(server.options.model), dtype=torch.float32).eval()
    differences = np.concatenate(
        [
            np.abs(recomputed_logprobs(model, datum) - datum.loss_fn_inputs["logprobs"])[
                datum.loss_fn_inputs["mask"] == 1
            ]
            for datum in datums
        ]
    )
    assert differences.size >= FEWEST_TOKENS
    assert differences.max() <= 1e-3
    assert differences.mean() <= 1e-4
