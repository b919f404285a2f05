"""Log-probabilities as an array, on our route only: the same numbers, a fraction of the bytes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.contract_wire import CHAT, CHAT_TOKENS, Wire

ASKED = {"tokens": [5, 6, 7], "max_tokens": 6, "temperature": 0.0, "logprobs": True, "return_token_ids": True}


async def test_an_array_holds_one_number_for_each_sampled_id(wire: Wire) -> None:
    as_objects = await wire.completion(path=CHAT_TOKENS, **ASKED)
    as_array = await wire.completion(path=CHAT_TOKENS, logprobs_form="array", **ASKED)
    (objects,), (array,) = as_objects["choices"], as_array["choices"]
    assert array["logprobs"] is None
    assert len(array["completion_logprobs"]) == len(array["token_ids"]) == 6
    assert "completion_logprobs" not in objects
    if array["token_ids"] == objects["token_ids"]:  # the fake's random answers differ
        numbers = [entry["logprob"] for entry in objects["logprobs"]["content"]]
        assert array["completion_logprobs"] == pytest.approx(numbers, abs=1e-4)


@pytest.mark.parametrize("form", ["objects", None])
async def test_objects_are_what_there_is_unless_asked_otherwise(form: str | None, wire: Wire) -> None:
    answer = await wire.completion(path=CHAT_TOKENS, logprobs_form=form, **ASKED)
    assert len(answer["choices"][0]["logprobs"]["content"]) == 6


async def test_without_log_probabilities_there_is_no_array(wire: Wire) -> None:
    answer = await wire.completion(path=CHAT_TOKENS, logprobs_form="array", **{**ASKED, "logprobs": False})
    assert "completion_logprobs" not in answer["choices"][0]


async def test_where_ids_are_hidden_so_are_their_log_probabilities(wire: Wire) -> None:
    answer = await wire.completion(path=CHAT_TOKENS, logprobs_form="array", include_reasoning=False, **ASKED)
    assert answer["choices"][0]["token_ids"] is None
    assert "completion_logprobs" not in answer["choices"][0]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"logprobs_form": "rows"}, 'logprobs_form must be "objects" or "array"'),
        ({"logprobs_form": 7}, 'logprobs_form must be "objects" or "array"'),
        ({"logprobs_form": "array", "top_logprobs": 2}, "no room for top_logprobs"),
        ({"logprobs_form": "array", "stream": True}, "cannot be streamed"),
    ],
)
async def test_a_form_that_cannot_be_is_a_400(fields: dict[str, Any], words: str, wire: Wire) -> None:
    response = await wire.post(CHAT_TOKENS, {**ASKED, **fields})
    assert response.status_code == 400
    error = response.json()["error"]
    assert words in error["message"]
    assert error["param"] == "logprobs_form"


async def test_the_chat_route_does_not_know_it(wire: Wire) -> None:
    answer = await wire.completion(path=CHAT, logprobs=True, logprobs_form="array", max_tokens=2)
    assert len(answer["choices"][0]["logprobs"]["content"]) == 2


async def test_our_route_tells_which_weights_sampled_which_ids(wire: Wire) -> None:
    (choice,) = (await wire.completion(path=CHAT_TOKENS, **ASKED))["choices"]
    assert choice["weight_versions"] == [{"version": "default", "start": 0, "end": 6}]
