"""What a trainer must not learn from: answers that are off by an id, or by a number."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

import verifiers_tito as vf
from verifiers_tito.sampling.sample_answer import to_sample_response
from verifiers_tito.sampling.sample_request import SampleRequest
from verifiers_tito.types import ModelInput, SampleResponse, SamplingParams
from verifiers_tito.wire.sampled_answers import CompletionsAnswer

IDS = [1, 2, 3]
PLACES = [None, {"2": {"logprob": -1.0}, "7": {"logprob": -0.5}}, {"3": {"logprob": -2.0}, "8": {"logprob": -3.0}}]


def choice(index: int = 0, **changed: Any) -> dict[str, Any]:
    good = {
        "index": index,
        "finish_reason": "stop",
        "token_ids": [4, 5],
        "prompt_token_ids": IDS,
        "logprobs": {"token_logprobs": [-0.5, -0.0]},
        "prompt_logprobs": PLACES,
    }
    return {**good, **changed}


def read(*choices: dict[str, Any], samples: int = 1) -> SampleResponse:
    body = msgspec.json.encode({"id": "cmpl-1", "choices": choices})
    answer = msgspec.json.decode(body, type=CompletionsAnswer)
    request = SampleRequest(
        prompt=ModelInput.from_ints(IDS),
        num_samples=samples,
        params=SamplingParams(max_tokens=2),
        include_prompt_logprobs=True,
        topk_prompt_logprobs=1,
    )
    return to_sample_response(answer, request, IDS, vocabulary_size=10)


def test_a_good_answer_is_read_in_the_order_of_its_numbers() -> None:
    response = read(choice(1, token_ids=[6, 7]), choice(0), samples=2)
    assert [sequence.tokens for sequence in response.sequences] == [[4, 5], [6, 7]]
    assert response.prompt_logprobs == [None, -1.0, -2.0]
    assert response.topk_prompt_logprobs == [None, [(7, -0.5)], [(3, -2.0)]]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"prompt_token_ids": [1, 2, 9]},
            "saw another prompt than it was sent: 3 ids sent, 3 echoed, parting at index 2",
        ),
        ({"prompt_token_ids": [1, 2]}, "3 ids sent, 2 echoed, parting at index 2"),
        ({"prompt_token_ids": None}, "did not echo the 3 prompt ids it was sent"),
        ({"token_ids": []}, "holds no sampled ids"),
        ({"token_ids": None}, "holds no sampled ids"),
        ({"token_ids": [4, 10]}, r"id 10 at index 1 is none of the model's \(0 to 9\)"),
        ({"token_ids": [-1, 5]}, "id -1 at index 0"),
        ({"token_ids": [4]}, "holds 1 ids and 2 log-probabilities"),
        ({"logprobs": None}, "holds 2 ids and 0 log-probabilities"),
        ({"logprobs": {"token_logprobs": [-0.5, 0.1]}}, "log-probability of id 1 of sample 0 is 0.1"),
        ({"logprobs": {"token_logprobs": [-9999.0, -0.5]}}, "log-probability of id 0 of sample 0 is -9999.0"),
        ({"finish_reason": "error"}, "ended with 'error'"),
        ({"prompt_logprobs": None}, "log-probabilities of 0 prompt ids, not of 2"),
        ({"prompt_logprobs": PLACES[:2]}, "log-probabilities of 1 prompt ids, not of 2"),
        ({"prompt_logprobs": [None, {"9": {"logprob": -1.0}}, PLACES[2]]}, "log-probability of prompt id 1 is None"),
        ({"prompt_logprobs": [None, PLACES[1], {"3": {"logprob": -9999.0}}]}, "of prompt id 2 is -9999.0"),
        ({"prompt_logprobs": [None, PLACES[1], {"3": {"logprob": None}}]}, "cannot be read"),
    ],
)
def test_an_answer_that_is_off_names_the_place(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(vf.InvalidModelResponseError, match=message):
        read(choice(**changed))


def test_not_a_number_is_no_log_probability() -> None:
    answer = msgspec.json.decode(msgspec.json.encode({"id": "x", "choices": [choice()]}), type=CompletionsAnswer)
    assert answer.choices[0].logprobs is not None
    answer.choices[0].logprobs.token_logprobs[1] = math.nan
    request = SampleRequest(prompt=ModelInput.from_ints(IDS), num_samples=1, params=SamplingParams(max_tokens=2))
    with pytest.raises(vf.InvalidModelResponseError, match="id 1 of sample 0 is nan"):
        to_sample_response(answer, request, IDS, vocabulary_size=None)


@pytest.mark.parametrize("numbers", [(0,), (0, 0), (0, 2), (0, 1, 2)])
def test_samples_that_are_missing_doubled_or_too_many_are_not_paired_at_a_guess(numbers: tuple[int, ...]) -> None:
    with pytest.raises(vf.InvalidModelResponseError, match="2 samples were asked for"):
        read(*(choice(number) for number in numbers), samples=2)
