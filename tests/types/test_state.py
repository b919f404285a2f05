from __future__ import annotations

import pytest

import verifiers_tito as vf
from verifiers_tito.types import Response, ResponseMessage, TurnTokens, first_difference, step_tokens


def test_input_fields_are_forwarded_both_ways() -> None:
    state = vf.State(input={"prompt": "p", "answer": "a"}, trajectory=[])
    assert state["answer"] == state.get("answer") == "a"
    state["answer"] = "b"
    assert state["input"]["answer"] == "b"
    assert "answer" in state
    assert state.get("info", "none") == "none"


def test_every_way_of_writing_reaches_the_input() -> None:
    state = vf.State(input={"answer": "old"}, trajectory=[])
    assert state.setdefault("answer", "zz") == "old"
    state.update(answer="new", extra=1)
    assert (state["answer"], state["input"]["answer"], state["extra"]) == ("new", "new", 1)
    assert isinstance(state.copy(), vf.State)


def test_turn_counts_finished_turns_unless_an_environment_counts_itself() -> None:
    state = vf.State(trajectory=[{}, {}])
    assert state["turn"] == state.get("turn") == 2
    assert "turn" in state
    state["turn"] = 7
    assert state["turn"] == 7


def test_a_missing_key_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        vf.State(trajectory=[])["reward"]


def test_ids_and_log_probabilities_must_pair() -> None:
    with pytest.raises(vf.InvalidModelResponseError, match="2 sampled ids but 1 log-probabilities"):
        TurnTokens(prompt_ids=[1], completion_ids=[2, 3], completion_logprobs=[-0.1])


def answer(prompt: int, completion: int) -> Response:
    tokens = TurnTokens(
        prompt_ids=list(range(prompt)), completion_ids=list(range(completion)), completion_logprobs=[-1.0] * completion
    )
    return Response(id="r", created=0, model="m", message=ResponseMessage(content="x", tokens=tokens))


def test_step_tokens_carry_masks_of_the_right_length() -> None:
    tokens = step_tokens(answer(3, 2), max_seq_len=None)
    assert tokens["prompt_mask"] == [0, 0, 0]
    assert tokens["completion_mask"] == [1, 1]
    assert not tokens["is_truncated"]
    assert not tokens["overlong_prompt"]


@pytest.mark.parametrize(("limit", "kept", "overlong"), [(4, (3, 1), False), (3, (3, 0), False), (2, (2, 0), True)])
def test_max_seq_len_cuts_and_says_so(limit: int, kept: tuple[int, int], overlong: bool) -> None:
    tokens = step_tokens(answer(3, 2), max_seq_len=limit)
    assert (len(tokens["prompt_ids"]), len(tokens["completion_ids"])) == kept
    assert len(tokens["completion_logprobs"]) == kept[1]
    assert tokens["is_truncated"]
    assert tokens["overlong_prompt"] is overlong


@pytest.mark.parametrize(
    ("sent", "echoed", "expected"),
    [([1, 2], [1, 2], None), ([1, 2], [1, 3], 1), ([1, 2], [1], 1), ([1], [1, 2], 1), ([], [1], 0)],
)
def test_first_difference_names_where_ids_part(sent: list[int], echoed: list[int], expected: int | None) -> None:
    assert first_difference(sent, echoed) == expected
