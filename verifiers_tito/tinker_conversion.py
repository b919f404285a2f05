"""To Tinker's own types and back, for programs that use both. Needs the extra `tinker`, loaded when it is used.

    ModelInput, EncodedTextChunk, ImageChunk      the same fields
    SamplingParams, SampledSequence, SampleResponse
    Datum                                         arrays there and back, as they are

Tinker holds log-probabilities as float32, which is what a server computes them in. What has no counterpart (Tinker's
pointers to uploaded images, its ids of sequences and its log-probabilities of alternatives) is refused or left out, as
each function says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verifiers_tito.datums import Datum
from verifiers_tito.errors import ConfigError
from verifiers_tito.extras import load_extra
from verifiers_tito.types import (
    EncodedTextChunk,
    ImageChunk,
    ModelInput,
    ModelInputChunk,
    SampledSequence,
    SampleResponse,
    SamplingParams,
    TextChunk,
)
from verifiers_tito.types.model_input import GIVE_IDS

_NO_ID, _NO_LOGPROB = 0, -99999.0
"""What Tinker writes into a matrix where there is nothing."""
TopkLists = list[list[tuple[int, float]] | None]

ToTinker = ModelInput | ModelInputChunk | SamplingParams | SampledSequence | SampleResponse | Datum


def to_tinker(value: ToTinker) -> Any:
    """Tinker's object of the same name. A `Datum` keeps its `mask`, which Tinker's losses do not take: leave it out of
    `loss_fn_inputs` before `forward_backward`. A sampled sequence has no id there. Raises `ConfigError` for text, which
    Tinker does not take."""
    convert = _TO_TINKER.get(type(value))
    if isinstance(value, TextChunk):
        raise ConfigError(f"to_tinker: Tinker takes ids, got a TextChunk of {len(value.text)} characters; {GIVE_IDS}")
    if convert is None:
        raise ConfigError(f"to_tinker knows {', '.join(kind.__name__ for kind in _TO_TINKER)}, got {_name(value)}")
    return convert(_tinker(), value)


def from_tinker(value: Any) -> Any:
    """Our object of the same name, without what only Tinker knows: a sequence's id and alternatives, and a datum's
    spans of provenance. Raises `ConfigError` for what has no counterpart, such as an image that only Tinker holds."""
    types = _tinker()
    for name, convert in _FROM_TINKER.items():
        if isinstance(value, getattr(types, name)):
            return convert(value)
    raise ConfigError(f"from_tinker knows tinker's {', '.join(_FROM_TINKER)}, got {_name(value)}")


def _tinker() -> Any:
    return load_extra("tinker.types", otherwise="Tinker's types need tinker; run: pip install 'verifiers-tito[tinker]'")


def _model_input_to(types: Any, value: ModelInput) -> Any:
    return types.ModelInput(chunks=[to_tinker(chunk) for chunk in value.chunks])


def _text_to(types: Any, value: EncodedTextChunk) -> Any:
    return types.EncodedTextChunk(tokens=list(value.tokens))


def _image_to(types: Any, value: ImageChunk) -> Any:
    return types.ImageChunk(data=value.data, format=value.format, expected_tokens=value.expected_tokens)


def _params_to(types: Any, value: SamplingParams) -> Any:
    return types.SamplingParams(
        max_tokens=value.max_tokens,
        seed=value.seed,
        stop=value.stop,
        temperature=value.temperature,
        top_k=value.top_k,
        top_p=value.top_p,
    )


def _sequence_to(types: Any, value: SampledSequence) -> Any:
    return types.SampledSequence(
        stop_reason=value.stop_reason,
        sequence_id="",
        tokens_np=np.asarray(value.tokens, np.int32),
        logprobs_np=None if value.logprobs is None else np.asarray(value.logprobs, np.float32),
    )


def _response_to(types: Any, value: SampleResponse) -> Any:
    topk = value.topk_prompt_logprobs
    return types.SampleResponse(
        sequences=[to_tinker(sequence) for sequence in value.sequences],
        prompt_logprobs_np=None if value.prompt_logprobs is None else _with_gaps(value.prompt_logprobs),
        topk_prompt_logprobs_np=None if topk is None else _matrices(topk),
    )


def _datum_to(types: Any, value: Datum) -> Any:
    inputs = {name: types.TensorData.from_numpy(array) for name, array in value.loss_fn_inputs.items()}
    return types.Datum(model_input=to_tinker(value.model_input), loss_fn_inputs=inputs)


def _with_gaps(logprobs: Sequence[float | None]) -> NDArray[np.float32]:
    """(N,), not a number where there is none."""
    return np.asarray([np.nan if logprob is None else logprob for logprob in logprobs], np.float32)


def _matrices(topk: TopkLists) -> Any:
    """Ids and log-probabilities, (N, k) each."""
    module = load_extra("tinker.types.topk_logprobs", otherwise="this tinker has no TopkLogprobs: install tinker>=0.38")
    shape = (len(topk), max((len(place) for place in topk if place), default=0))
    ids, logprobs = np.full(shape, _NO_ID, np.int32), np.full(shape, _NO_LOGPROB, np.float32)
    for row, place in enumerate(topk):
        for column, (token_id, logprob) in enumerate(place or ()):
            ids[row, column], logprobs[row, column] = token_id, logprob
    return module.TopkLogprobs(token_ids=ids, logprobs=logprobs)


def _model_input_from(value: Any) -> ModelInput:
    return ModelInput([from_tinker(chunk) for chunk in value.chunks])


def _text_from(value: Any) -> EncodedTextChunk:
    return EncodedTextChunk(list(value.tokens))


def _image_from(value: Any) -> ImageChunk:
    return ImageChunk(data=value.data, format=value.format, expected_tokens=value.expected_tokens)


def _params_from(value: Any) -> SamplingParams:
    stop = value.stop
    return SamplingParams(
        max_tokens=value.max_tokens,
        seed=value.seed,
        stop=stop if stop is None or isinstance(stop, str) else list(stop),
        temperature=float(value.temperature),
        top_k=value.top_k,
        top_p=float(value.top_p),
    )


def _sequence_from(value: Any) -> SampledSequence:
    logprobs = value.logprobs
    return SampledSequence(
        tokens=list(value.tokens),
        logprobs=None if logprobs is None else list(logprobs),
        stop_reason=value.stop_reason,
    )


def _response_from(value: Any) -> SampleResponse:
    prompt, topk = value.prompt_logprobs, value.topk_prompt_logprobs
    return SampleResponse(
        sequences=[_sequence_from(sequence) for sequence in value.sequences],
        prompt_logprobs=None if prompt is None else list(prompt),
        topk_prompt_logprobs=None if topk is None else [None if place is None else list(place) for place in topk],
    )


def _datum_from(value: Any) -> Datum:
    arrays = {name: data.to_numpy() for name, data in value.loss_fn_inputs.items()}
    return Datum(model_input=_model_input_from(value.model_input), loss_fn_inputs=arrays)


def _name(value: object) -> str:
    return f"a {type(value).__module__.partition('.')[0]}.{type(value).__name__}"


_TO_TINKER: dict[type, Callable[[Any, Any], Any]] = {
    ModelInput: _model_input_to,
    EncodedTextChunk: _text_to,
    ImageChunk: _image_to,
    SamplingParams: _params_to,
    SampledSequence: _sequence_to,
    SampleResponse: _response_to,
    Datum: _datum_to,
}
_FROM_TINKER: dict[str, Callable[[Any], Any]] = {
    "ModelInput": _model_input_from,
    "EncodedTextChunk": _text_from,
    "ImageChunk": _image_from,
    "SamplingParams": _params_from,
    "SampledSequence": _sequence_from,
    "SampleResponse": _response_from,
    "Datum": _datum_from,
}
