"""Gradients: however a batch is cut, whatever the loss, they are those of the whole; and what drops them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.training.conftest import sampled, supervised
from verifiers_tito.datums import Datum
from verifiers_tito.errors import DatumError, TrainingError
from verifiers_tito.losses import make_loss
from verifiers_tito.training import AdamParams
from verifiers_tito.training.learner import Learner

TEXTS = ["a banana", "an apple and a pear", "figs", "twelve plums"]
PREFERENCES = make_loss("dpo")


def gradient(learner: Learner) -> np.ndarray:
    """All of it, in one row."""
    return np.concatenate([parameter.grad.flatten().numpy() for parameter in learner.model.trainable().values()])


def gradient_of(learner: Learner, work: Callable[[], Any]) -> np.ndarray:
    learner.drop_gradients()
    work()
    return gradient(learner)


def cut_small(learner: Learner) -> Learner:
    """The same model, a datum at a time."""
    return Learner(learner.model, tokens_per_batch=1)


def test_a_loss_does_not_depend_on_how_its_datums_are_batched(learner: Learner) -> None:
    data, loss = [supervised(text) for text in TEXTS], make_loss("cross_entropy")
    whole = learner.forward_backward(data, loss)
    expected = gradient(learner)
    learner.drop_gradients()
    one_by_one = cut_small(learner).forward_backward(data, loss)
    np.testing.assert_allclose(gradient(learner), expected, atol=1e-6)
    assert one_by_one.metrics == pytest.approx(whole.metrics, rel=1e-5)
    for ours, theirs in zip(one_by_one.logprobs, whole.logprobs, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_log_probabilities_come_in_the_order_of_the_datums_and_sum_to_one(learner: Learner) -> None:
    data = [supervised(f"{text}{chr(last)}") for last in range(128) for text in ("a", "the")]
    logprobs = learner.forward(data, make_loss("cross_entropy")).logprobs
    assert [len(column) for column in logprobs] == [datum.model_input.length for datum in data]
    assert 0.3 < sum(np.exp(column[-1]) for column in logprobs[::2]) < 0.5
    assert np.unique([column[-1] for column in logprobs[::2]]).size == 128


def test_calls_accumulate_until_the_step(learner: Learner) -> None:
    data, loss = [supervised(text) for text in TEXTS], make_loss("cross_entropy", {"denominator": 10.0})
    whole = gradient_of(learner, lambda: learner.forward_backward(data, loss))

    def in_two_calls() -> None:
        learner.forward_backward(data[:1], loss)
        learner.forward_backward(data[1:], loss)

    np.testing.assert_allclose(gradient_of(learner, in_two_calls), whole, atol=1e-6)


@pytest.mark.parametrize("budget", [1, 4096])
def test_a_custom_loss_has_the_gradient_of_the_built_in_one(learner: Learner, budget: int) -> None:
    data, cut = [supervised(text) for text in TEXTS], Learner(learner.model, tokens_per_batch=budget)
    expected = gradient_of(learner, lambda: learner.forward_backward(data, make_loss("cross_entropy")))
    calls = []

    def mean_of_all(data: list[Datum], logprobs: list[Any]) -> tuple[Any, dict[str, float]]:
        calls.append(len(data))
        count = sum(len(values) for values in logprobs)
        return -sum(values.sum() for values in logprobs) / count, {"mine": 7.0}

    answers = []
    computed = gradient_of(learner, lambda: answers.append(cut.forward_backward(data, mean_of_all)))
    np.testing.assert_allclose(computed, expected, atol=1e-6)
    assert calls == [len(data)]
    assert answers[0].metrics["mine"] == 7.0


def test_a_custom_loss_may_leave_targets_and_datums_out_but_not_all_of_them(learner: Learner) -> None:
    data = [supervised(text) for text in TEXTS]
    learner.forward_backward(data, lambda data, logprobs: (logprobs[1][2], {}))
    assert np.abs(gradient(learner)).max() > 0
    with pytest.raises(TrainingError, match="the loss does not depend on the log-probabilities"):
        learner.forward_backward(data, lambda data, logprobs: (logprobs[0].detach().sum(), {}))


def test_preferences_need_both_answers_at_once_and_get_them_however_small_the_batches_are(learner: Learner) -> None:
    columns = learner.forward([supervised(text) for text in TEXTS], make_loss("cross_entropy")).logprobs
    data = [
        Datum(model_input=datum.model_input, loss_fn_inputs={**datum.loss_fn_inputs, "reference_logprobs": column})
        for datum, column in zip([supervised(text) for text in TEXTS], columns, strict=True)
    ]
    whole = gradient_of(learner, lambda: learner.forward_backward(data, PREFERENCES))
    small = gradient_of(learner, lambda: cut_small(learner).forward_backward(data, PREFERENCES))
    np.testing.assert_allclose(small, whole, atol=1e-6)
    before = learner.forward(data, PREFERENCES).metrics
    learner.forward_backward(data, PREFERENCES)
    learner.optim_step(AdamParams(learning_rate=1e-3))
    assert before["loss"] == pytest.approx(np.log(2), abs=1e-5)
    assert learner.forward(data, PREFERENCES).metrics["preferred_fraction"] == 1.0


def test_the_first_step_of_adam_moves_each_weight_by_the_learning_rate_against_its_gradient(learner: Learner) -> None:
    before = {name: parameter.detach().clone() for name, parameter in learner.model.trainable().items()}
    learner.forward_backward([supervised("a banana")], make_loss("cross_entropy"))
    signs = {name: parameter.grad.sign() for name, parameter in learner.model.trainable().items()}
    metrics = learner.optim_step(AdamParams(learning_rate=1e-3)).metrics
    assert metrics["step"] == 1.0
    assert metrics["grad_norm"] > 0
    for name, parameter in learner.model.trainable().items():
        np.testing.assert_allclose((parameter.detach() - before[name]).numpy(), -1e-3 * signs[name].numpy(), atol=2e-6)


def test_a_clipped_gradient_is_reported_with_its_length_before(learner: Learner) -> None:
    data, loss = [supervised("a banana")], make_loss("cross_entropy", {"denominator": 1.0})
    norms = []
    for clip in (0.0, 0.5):
        learner.drop_gradients()
        learner.forward_backward(data, loss)
        norms.append(float(np.linalg.norm(gradient(learner))))
        metrics = learner.optim_step(AdamParams(learning_rate=0.0, grad_clip_norm=clip)).metrics
        assert metrics["grad_norm"] == pytest.approx(norms[-1], rel=1e-4)
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)


def test_a_policy_that_is_rewarded_for_a_word_says_it_more_often(learner: Learner) -> None:
    loss, words = make_loss("ppo"), {"good": 1.0, "evil": -1.0}

    def rollouts() -> list[Datum]:
        bare = [sampled(f"say: {word}", prompt=5, logprobs=[0.0] * 4) for word in words]
        now = [column[4:] for column in learner.forward(bare, make_loss("cross_entropy")).logprobs]
        return [
            sampled(f"say: {word}", prompt=5, logprobs=column.tolist(), advantage=advantage)
            for (word, advantage), column in zip(words.items(), now, strict=True)
        ]

    first = rollouts()
    for _ in range(5):
        data = rollouts()
        metrics = learner.forward_backward(data, loss).metrics
        assert metrics["ratio:mean"] == pytest.approx(1.0, abs=1e-4)
        assert metrics["ratio:max"] == pytest.approx(1.0, abs=1e-4)
        assert metrics["tokens"] == 8
        learner.optim_step(AdamParams(learning_rate=1e-3))
    change = [
        float((after.loss_fn_inputs["logprobs"] - before.loss_fn_inputs["logprobs"]).sum())
        for before, after in zip(first, rollouts(), strict=True)
    ]
    assert change[0] > 0.5
    assert change[1] < -0.5


def test_entropy_is_that_of_the_trained_tokens(learner: Learner) -> None:
    """Which is -sum(p log p) over all 320 ids that could have stood there."""
    loss = make_loss("cross_entropy")
    text = supervised("an").model_input

    def ending(target: int) -> Datum:
        return Datum(
            model_input=text, loss_fn_inputs={"target_tokens": np.array([target]), "weights": np.ones(1, "f4")}
        )

    logprobs = np.concatenate(learner.forward([ending(id) for id in range(320)], loss).logprobs)
    entropy = -(np.exp(logprobs) * logprobs).sum()
    assert learner.forward([ending(7)], loss).metrics["entropy"] == pytest.approx(entropy, rel=1e-4)
    none_trained = [supervised("abc", weights=[0, 0])]
    assert "entropy" not in learner.forward(none_trained, make_loss("cross_entropy")).metrics


def test_a_step_without_a_gradient_is_refused(learner: Learner) -> None:
    with pytest.raises(TrainingError, match="there is no gradient; call forward_backward before it"):
        learner.optim_step(AdamParams())


def test_a_failed_call_drops_what_had_accumulated_so_that_no_half_batch_is_trained_on(learner: Learner) -> None:
    learner.forward_backward([supervised("fine")], make_loss("cross_entropy"))
    with pytest.raises(DatumError, match="needs loss_fn_inputs"):
        learner.forward_backward([supervised("fine")], make_loss("ppo"))
    with pytest.raises(TrainingError, match="there is no gradient"):
        learner.optim_step(AdamParams())


def test_a_loss_that_is_no_number_names_the_target_that_made_it_so(learner: Learner) -> None:
    import torch  # noqa: PLC0415  takes seconds: not while tests are collected

    with torch.no_grad():
        learner.model.trainable()["lm_head.weight"][ord("y")] = torch.inf
    with pytest.raises(TrainingError, match=r"the loss is nan; datum 1 target 0 has log-probability -?nan"):
        cut_small(learner).forward_backward([supervised("xx"), supervised("xyz")], make_loss("cross_entropy"))


def test_a_gradient_that_is_no_number_leaves_the_weights_as_they_are(learner: Learner) -> None:
    learner.forward_backward([supervised("fine")], make_loss("cross_entropy"))
    before = learner.model.trainable()["lm_head.weight"].detach().clone()
    learner.model.trainable()["lm_head.weight"].grad[0, 0] = float("nan")
    with pytest.raises(TrainingError, match="the gradient's norm is nan; the weights are as before"):
        learner.optim_step(AdamParams())
    assert before.equal(learner.model.trainable()["lm_head.weight"].detach())


def test_no_datums_are_an_error(learner: Learner) -> None:
    with pytest.raises(DatumError, match="there are no datums"):
        learner.forward([], make_loss("cross_entropy"))
