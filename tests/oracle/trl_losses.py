"""TRL's own losses, as they are installed: its trainers' `_compute_loss`, with what that reads of a trainer, a single
process, and log-probabilities in place of a model."""

from __future__ import annotations

import math
from collections import defaultdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.oracle.loss_rows import Found, Rows, found, leaf

if TYPE_CHECKING:
    from torch import Tensor

_ONE_PROCESS = SimpleNamespace(
    num_processes=1,
    gather=lambda value: value,
    gather_for_metrics=lambda value: value,
    reduce=lambda value, reduction: value,
)


def grpo(rows: Rows, loss_type: str, *, mismatch_limit: float = math.inf, **settings: Any) -> Found:
    """`GRPOTrainer._compute_loss`. With a limit, its correction for vLLM's log-probabilities, "token_truncate"."""
    import torch  # noqa: PLC0415  takes seconds
    from trl.trainer.grpo_trainer import GRPOTrainer  # noqa: PLC0415  takes half a minute

    learned, corrects = leaf(rows.learned, requires_grad=True), mismatch_limit < math.inf
    old = rows.tensor("learner_logprobs" if corrects else "logprobs")
    factors = (old - rows.tensor("logprobs")).mul(rows.tensor("mask")).exp().clamp(max=mismatch_limit)
    nothing = torch.zeros((len(learned), 0), dtype=torch.int64)
    inputs = {
        "prompt_ids": nothing,
        "prompt_mask": nothing,
        "completion_ids": torch.zeros(learned.shape, dtype=torch.int64),
        "completion_mask": rows.tensor("mask"),
        "advantages": rows.tensor("advantages"),
        "old_per_token_logps": old,
        "ref_per_token_logps": rows.tensor("reference_logprobs"),
        "importance_sampling_ratio": factors,
        "num_items_in_batch": rows.tensor("mask").sum(),
    }
    trainer = _grpo_trainer(learned, loss_type=loss_type, use_vllm=corrects, **settings)
    loss = GRPOTrainer._compute_loss(trainer, None, inputs)
    return found(loss, learned, metrics=_metrics(trainer))


def dpo(rows: Rows, *, beta: float) -> Found:
    """`DPOTrainer._compute_loss`, "sigmoid". Rows are chosen, rejected, chosen, rejected ... as ours takes them."""
    import torch  # noqa: PLC0415  takes seconds
    from trl.trainer.dpo_trainer import DPOTrainer  # noqa: PLC0415  takes half a minute

    order = np.concatenate([np.arange(0, len(rows.learned), 2), np.arange(1, len(rows.learned), 2)])
    learned = leaf(rows.learned, requires_grad=True)
    mask = rows.tensor("mask")
    chosen, rejected = (rows.tensor("reference_logprobs") * mask).sum(dim=1)[order].chunk(2)
    with_prompt = torch.nn.functional.pad(mask[order].long(), (1, 0))
    inputs = {
        "input_ids": torch.zeros_like(with_prompt),
        "attention_mask": torch.ones_like(with_prompt),
        "completion_mask": with_prompt,
        "ref_chosen_logps": chosen,
        "ref_rejected_logps": rejected,
    }
    trainer = _dpo_trainer(beta)
    loss = DPOTrainer._compute_loss(
        trainer, lambda **_: _outputs((learned * mask)[order]), inputs, return_outputs=False
    )
    return found(loss, learned, metrics=_metrics(trainer))


def _metrics(trainer: Any) -> dict[str, float]:
    return {name: values[-1] for name, values in trainer._metrics["train"].items()}


def _grpo_trainer(logprobs: Tensor, **settings: Any) -> Any:
    """What the method reads of its trainer, on one process; the model is these log-probabilities."""
    defaults = {
        "epsilon_low": 0.2,
        "epsilon_high": 0.2,
        "beta": 0.0,
        "max_completion_length": 100,
        "vllm_importance_sampling_correction": True,
        "importance_sampling_level": "token",
        "off_policy_mask_threshold": None,
        "top_entropy_quantile": 1.0,
        "aux_loss_enabled": False,
        "current_gradient_accumulation_steps": 1,
        "_entropy_bonus_enabled": False,
    }
    return SimpleNamespace(
        **{**defaults, **settings},
        args=SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=1),
        model=SimpleNamespace(training=True),
        accelerator=_ONE_PROCESS,
        _metrics={"train": defaultdict(list)},
        _get_per_token_logps_and_entropies=lambda *_, **__: (logprobs, logprobs.detach() * 0, None),
    )


def _dpo_trainer(beta: float) -> Any:
    return SimpleNamespace(
        beta=beta,
        loss_types=["sigmoid"],
        loss_weights=[1.0],
        f_divergence_type="reverse_kl",
        precompute_ref_logps=True,
        ld_alpha=None,
        use_weighting=False,
        aux_loss_enabled=False,
        model=SimpleNamespace(training=True),
        accelerator=SimpleNamespace(**vars(_ONE_PROCESS), device="cpu"),
        _metrics={"train": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
    )


def _outputs(logprobs: Tensor) -> Any:
    """Of a model, (B, T): log-probabilities, and numbers that only metrics are made of."""
    zeros = logprobs.detach() * 0
    return SimpleNamespace(log_probs=logprobs, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool())
