"""Log-probabilities before and after temperature, told apart by two measurements."""

from __future__ import annotations

from math import exp, log

import pytest

from verifiers_tito.doctor.server_behaviour import compare_logprobs

LOGITS = {"a": 4.0, "b": 3.5, "c": 1.0, "d": 0.5, "e": -2.0}


def log_probabilities(temperature: float, *, spread: float = 1.0) -> dict[str, float]:
    scaled = {token: spread * logit / temperature for token, logit in LOGITS.items()}
    total = log(sum(map(exp, scaled.values())))
    return {token: value - total for token, value in scaled.items()}


@pytest.mark.parametrize("noise", [0.0, 1e-4, 0.2])
def test_values_that_stay_are_raw_also_where_rounding_moves_them(noise: float) -> None:
    hot = log_probabilities(1.0)
    cool = {token: value + (noise if token in "ace" else 0.0) for token, value in hot.items()}
    assert compare_logprobs(hot, cool).mode == "raw_logprobs"


@pytest.mark.parametrize("spread", [0.01, 1.0, 20.0])
def test_values_that_spread_with_temperature_are_processed(spread: float) -> None:
    found = compare_logprobs(log_probabilities(1.0, spread=spread), log_probabilities(0.5, spread=spread))
    assert found.mode == "processed_logprobs"


def test_values_above_zero_are_logits() -> None:
    halved = {token: logit * 2 for token, logit in LOGITS.items()}
    assert compare_logprobs(LOGITS, LOGITS).mode == "raw_logits"
    assert compare_logprobs(LOGITS, halved).mode == "processed_logits"


@pytest.mark.parametrize("cool", [{}, {"a": -1.0}, {"x": -1.0, "y": -2.0}])
def test_nothing_is_concluded_from_too_little(cool: dict[str, float]) -> None:
    found = compare_logprobs(log_probabilities(1.0), cool)
    assert found.mode == ""
    assert "could not be measured" in found.detail
