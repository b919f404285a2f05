"""When two turns prove that token-in works."""

from __future__ import annotations

import pytest

from verifiers_tito.doctor.conversation import judge
from verifiers_tito.types import FallbackReason, Response, ResponseMessage, Route, Served, TurnTokens

FIRST = Served(route=Route.CHAT, reason=FallbackReason.FIRST_TURN)
IDS_IN = Served(route=Route.CHAT_TOKENS, tokenizer="local")


def response(prompt_ids: list[int] | None, completion_ids: list[int], served: Served) -> Response:
    tokens = None
    if prompt_ids is not None:
        logprobs = [0.0] * len(completion_ids)
        tokens = TurnTokens(prompt_ids=prompt_ids, completion_ids=completion_ids, completion_logprobs=logprobs)
    message = ResponseMessage(content="x", tokens=tokens)
    return Response(id="r", created=0, model="m", message=message, served=served)


def test_a_second_prompt_that_extends_all_ids_of_the_first_turn_is_the_proof() -> None:
    found = judge(response([1, 2], [3], FIRST), response([1, 2, 3, 4], [5], IDS_IN))
    assert (found.works, found.problem, found.tokenizer) == (True, "", "local")


@pytest.mark.parametrize("prompt_ids", [[1, 2, 3], [1, 2, 4, 3], [2, 3, 4, 5], [1, 2]])
def test_a_second_prompt_that_does_not_extend_them_is_none(prompt_ids: list[int]) -> None:
    found = judge(response([1, 2], [3], FIRST), response(prompt_ids, [5], IDS_IN))
    assert not found.works
    assert "does not begin with the ids" in found.problem


def test_messages_in_are_no_proof_even_if_the_ids_happen_to_fit() -> None:
    served = Served(route=Route.CHAT, reason=FallbackReason.TAIL_MOVED, detail="words")
    found = judge(response([1, 2], [3], FIRST), response([1, 2, 3, 4], [5], served))
    assert not found.works
    assert found.problem == f"the second turn went in as messages: {FallbackReason.TAIL_MOVED} (words)"


def test_a_server_without_ids_is_no_proof() -> None:
    found = judge(response(None, [], FIRST), response(None, [], IDS_IN))
    assert not found.works
    assert "no token ids" in found.problem
