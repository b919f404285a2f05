"""Tinker's names are there, and where Tinker is installed they are names of Tinker's."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pytest

import verifiers_tito.tinker as tinker
from verifiers_tito.tinker import types


def test_the_faces_are_sorted_and_complete() -> None:
    for module in (tinker, types):
        assert sorted(module.__all__) == module.__all__
        assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_importing_them_loads_neither_tinker_nor_torch() -> None:
    program = "import sys, verifiers_tito.tinker; print([n for n in ('tinker', 'torch', 'peft') if n in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_an_input_with_an_image_is_built_as_in_tinkers_guide() -> None:
    model_input = tinker.ModelInput(
        chunks=[
            types.EncodedTextChunk(tokens=[1, 2]),
            types.ImageChunk(data=b"\x89PNG", format="png"),
            types.EncodedTextChunk(tokens=[3]),
        ]
    )
    assert [chunk.type for chunk in model_input.chunks] == ["encoded_text", "image", "encoded_text"]


def fields_of(kind: Any) -> dict[str, Any]:
    """Names and defaults; an Ellipsis where there is none."""
    if dataclasses.is_dataclass(kind):
        return {
            field.name: ... if field.default is dataclasses.MISSING else field.default
            for field in dataclasses.fields(kind)
        }
    return {name: ... if field.is_required() else field.default for name, field in kind.model_fields.items()}


@pytest.mark.parametrize("name", ["AdamParams", "EncodedTextChunk", "ImageChunk", "SamplingParams"])
def test_what_goes_in_has_the_fields_and_defaults_of_the_installed_tinker(name: str) -> None:
    theirs = pytest.importorskip("tinker.types", reason="the extra tinker is not installed")
    assert fields_of(getattr(types, name)) == fields_of(getattr(theirs, name))


@pytest.mark.parametrize(
    "name",
    [
        "Datum",
        "ForwardBackwardOutput",
        "LoadWeightsResponse",
        "ModelInput",
        "OptimStepResponse",
        "SampleResponse",
        "SampledSequence",
        "SaveWeightsForSamplerResponse",
        "SaveWeightsResponse",
        "TensorData",
    ],
)
def test_what_comes_out_is_read_by_names_that_the_installed_tinker_has(name: str) -> None:
    theirs = getattr(pytest.importorskip("tinker.types", reason="the extra tinker is not installed"), name)
    ours = getattr(types, name)
    read = ["model_input", "loss_fn_inputs"] if name == "Datum" else fields_of(ours)
    assert [one for one in read if one not in fields_of(theirs) and not hasattr(theirs, one)] == []
