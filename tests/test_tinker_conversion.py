"""Tinker takes our objects, and what comes back is what went there."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import verifiers_tito as vf
from verifiers_tito.tinker_conversion import from_tinker, to_tinker
from verifiers_tito.types import (
    EncodedTextChunk,
    ImageChunk,
    ModelInput,
    SampledSequence,
    SampleResponse,
    SamplingParams,
)

IDS = st.lists(st.integers(0, 2**31 - 1), max_size=8)
LOGPROBS = st.floats(-100, 0, width=32)
PLACE = st.lists(st.tuples(st.integers(1, 200_000), LOGPROBS), min_size=1, max_size=3)
IMAGE = ImageChunk(data=b"\x89PNG", format="png", expected_tokens=64)


@st.composite
def sequences(draw: st.DrawFn) -> SampledSequence:
    tokens = draw(IDS)
    logprobs = draw(st.none() | st.lists(LOGPROBS, min_size=len(tokens), max_size=len(tokens)))
    return SampledSequence(tokens=tokens, logprobs=logprobs, stop_reason=draw(st.sampled_from(("stop", "length"))))


@st.composite
def responses(draw: st.DrawFn) -> SampleResponse:
    return SampleResponse(
        sequences=draw(st.lists(sequences(), max_size=3)),
        prompt_logprobs=draw(st.none() | st.lists(LOGPROBS, max_size=4).map(lambda known: [None, *known])),
        topk_prompt_logprobs=draw(
            st.none() | st.lists(PLACE, min_size=1, max_size=4).map(lambda known: [None, *known])
        ),
    )


CHUNKS = st.builds(EncodedTextChunk, IDS) | st.just(IMAGE)
STOPS = st.none() | st.text() | st.lists(st.text(min_size=1)) | IDS
VALUES = (
    st.builds(ModelInput, st.lists(CHUNKS, max_size=4))
    | st.builds(SamplingParams, max_tokens=st.none() | st.integers(1, 99), seed=st.none() | st.integers(), stop=STOPS)
    | sequences()
    | responses()
)


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_what_tinker_takes_comes_back_as_it_was(value: Any) -> None:
    theirs = to_tinker(value)
    assert type(theirs).__module__.startswith("tinker")
    assert type(theirs).__name__ == type(value).__name__
    assert from_tinker(theirs) == value


def test_a_datum_keeps_every_array_to_the_bit() -> None:
    datum = vf.Datum(
        model_input=ModelInput.from_ints([1, 2, 3]),
        loss_fn_inputs={
            "target_tokens": np.array([2, 3, 4]),
            "logprobs": np.array([0.0, -1.5, -0.25], np.float32),
            "advantages": np.array([0.0, 1.0, 1.0], np.float32),
            "mask": np.array([0.0, 1.0, 1.0], np.float32),
        },
    )
    theirs = to_tinker(datum)
    assert theirs.model_input.to_ints() == [1, 2, 3]
    assert theirs.loss_fn_inputs["target_tokens"].dtype == "int64"
    assert from_tinker(theirs) == datum


def test_the_fields_that_tinker_users_read_are_the_same() -> None:
    ours = SampleResponse(
        sequences=[SampledSequence(tokens=[5, 6], logprobs=[-0.5, -1.0], stop_reason="stop")],
        prompt_logprobs=[None, -9.5],
        topk_prompt_logprobs=[None, [(7, -0.5), (8, -2.0)]],
    )
    theirs = to_tinker(ours)
    for name in ("prompt_logprobs", "topk_prompt_logprobs"):
        assert getattr(theirs, name) == getattr(ours, name)
    for name in ("tokens", "logprobs", "stop_reason"):
        assert getattr(theirs.sequences[0], name) == getattr(ours.sequences[0], name)


def test_an_image_of_unknown_size_has_no_length_on_either_side() -> None:
    unsized = ImageChunk(data=b"", format="jpeg")
    for chunk in (unsized, to_tinker(unsized)):
        with pytest.raises(ValueError, match="expected_tokens"):
            _ = chunk.length


def test_what_has_no_counterpart_is_named() -> None:
    from tinker import types  # noqa: PLC0415  takes seconds: not while tests are collected

    pointer = types.ImageAssetPointerChunk(format="png", location="tinker://image")
    with pytest.raises(vf.ConfigError, match=r"from_tinker knows .*, got a tinker.ImageAssetPointerChunk"):
        from_tinker(types.ModelInput(chunks=[pointer]))
    with pytest.raises(vf.ConfigError, match=r"to_tinker knows ModelInput, .*, got a builtins.dict"):
        to_tinker({})  # type: ignore[arg-type]
    with pytest.raises(vf.ConfigError, match=r"got a TextChunk of 4 characters; give ModelInput\.from_ints\("):
        to_tinker(ModelInput.from_str("text"))


def test_without_tinker_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tinker.types", None)
    with pytest.raises(vf.ConfigError, match=r"pip install 'verifiers-tito\[tinker\]'"):
        to_tinker(IMAGE)
