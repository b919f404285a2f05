"""A completion that nobody has read yet is the same completion, whichever way it is read first."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from openai.types.chat import ChatCompletion
from pydantic import BaseModel, TypeAdapter

import verifiers_tito as vf
from tests.clients.test_answers_of_any_kind import CHAT
from verifiers_tito.clients.native_completion import NativeCompletion, native_completion
from verifiers_tito.transport import decode
from verifiers_tito.types import Served
from verifiers_tito.wire.answers import ChatAnswer

BODY = json.dumps({**CHAT, "prompt_token_ids": [1, 2, 3]}).encode()


def unread() -> NativeCompletion:
    return native_completion(BODY, decode(BODY, ChatAnswer, operation="a turn"), Served(route=vf.Route.CHAT))


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def test_unread_it_is_written_as_the_package_writes_the_same_body() -> None:
    theirs = without_nulls(ChatCompletion.construct(**json.loads(BODY)).model_dump())
    ours = without_nulls(unread().model_dump())
    for vllms_own in ("weight_versions", "prompt_digest"):
        theirs.pop(vllms_own, None)
        theirs["choices"][0].pop(vllms_own, None)
    assert ours == {**theirs, "object": "chat.completion"}


class Line(BaseModel):
    """What a user may write to a log of their own."""

    completion: ChatCompletion


MANY = TypeAdapter(list[ChatCompletion])

READINGS: list[Callable[[NativeCompletion], Any]] = [
    lambda completion: completion.model_dump(),
    lambda completion: copy.copy(completion).model_dump(),
    lambda completion: copy.deepcopy(completion).model_dump(),
    lambda completion: completion.to_dict(exclude_unset=False),
    lambda completion: Line(completion=completion).model_dump()["completion"],
    lambda completion: json.loads(Line(completion=completion).model_dump_json())["completion"],
    lambda completion: MANY.dump_python([completion])[0],
    lambda completion: json.loads(MANY.dump_json([completion]))[0],
    lambda completion: ChatCompletion.model_validate(dict(completion)).model_dump(),
    lambda completion: ChatCompletion.model_validate(vars(completion) | completion.model_extra).model_dump(),
    lambda completion: json.loads(completion.model_dump_json()),
    lambda completion: pickle.loads(pickle.dumps(completion)).model_dump(),
]  # fmt: skip


@pytest.mark.parametrize("read", READINGS)
def test_every_way_of_reading_shows_the_same(read: Callable[[NativeCompletion], Any]) -> None:
    known = unread()
    assert known.choices[0].message.content == "hi"
    assert read(unread()) == known.model_dump()


def test_a_copy_with_another_value_has_the_rest() -> None:
    copied = unread().model_copy(update={"model": "another"})
    assert copied.model_dump() == {**unread().model_dump(), "model": "another"}


def test_what_the_server_has_set_is_what_the_package_takes_as_set() -> None:
    choice = unread().to_dict()["choices"][0]
    assert [entry["logprob"] for entry in choice["logprobs"]["content"]] == [-0.5, -1.0]
    assert {"index", "finish_reason", "message", "logprobs"} <= choice.keys()


def test_log_probabilities_are_made_once_and_may_be_replaced() -> None:
    completion = unread()
    assert completion.choices[0].logprobs is completion.choices[0].logprobs
    completion.choices[0].logprobs = None
    assert completion.model_dump()["choices"][0]["logprobs"] is None


def test_two_of_the_same_answer_are_equal_read_or_not() -> None:
    read, other = unread(), unread()
    assert read.choices[0].logprobs is not None
    assert read == unread() == other
    assert dict(read) == dict(unread())
    other.model = "another"
    assert read != other


def test_what_was_set_before_anybody_read_stays() -> None:
    completion = unread()
    completion.model = "mine"
    assert (completion.id, completion.model) == ("chatcmpl-1", "mine")


def test_it_is_shown_whole() -> None:
    shown = repr(unread())
    assert "content='hi'" in shown
    assert "logprob=-0.5" in shown


def test_what_was_noted_is_on_the_record_once_it_is_read() -> None:
    completion = unread().note(retries=1).note(cached_ids=2, retries=3)
    assert (completion.served.retries, completion.served.cached_ids) == (3, 2)
    assert completion.note(tokenizer="local").served.retries == 3


def test_equality_sees_what_was_noted_whether_it_was_read_or_not() -> None:
    one, other = unread().note(retries=1), unread().note(retries=1)
    assert one.served.retries == 1
    assert one == other == one
    assert unread() != unread().note(retries=1) != unread()


def test_an_answer_without_a_body_spells_out_its_own_numbers() -> None:
    answer = decode(BODY, ChatAnswer, operation="a turn")
    answer.choices[0].completion_logprobs, answer.choices[0].logprobs = [-0.5, -1.0], None
    completion = native_completion(None, answer, Served(route=vf.Route.COMPLETIONS))
    assert [entry.logprob for entry in completion.choices[0].logprobs.content] == [-0.5, -1.0]


def test_a_name_that_it_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = unread().nonsense
