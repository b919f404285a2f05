"""The definition of a prompt's digest and the bodies around it, which both ends of the wire share."""

from __future__ import annotations

import hashlib
import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers_tito.errors import ConfigError
from verifiers_tito.wire.answers import ChatAnswer, PromptDigestAnswer
from verifiers_tito.wire.prompt_digest import PromptDigest, PromptEcho, PromptEchoError, check_prompt_echo
from verifiers_tito.wire.requests import flatten_sampling_args, tokens_body
from verifiers_tito.wire.token_ids import TokenIdsError

IDS = st.lists(st.integers(min_value=0, max_value=2**32 - 1), max_size=50)


def digest_of(token_ids: list[int]) -> str:
    """The definition once more, in other words."""
    return hashlib.blake2b(b"".join(i.to_bytes(4, "little") for i in token_ids), digest_size=16).hexdigest()


@given(IDS)
def test_a_digest_is_over_four_little_endian_bytes_of_each_id(token_ids: list[int]) -> None:
    digest = PromptDigest().extend(token_ids)

    assert (digest.count, digest.hexdigest()) == (len(token_ids), digest_of(token_ids))


@given(st.lists(IDS, max_size=8))
def test_extending_in_pieces_is_hashing_at_once(pieces: list[list[int]]) -> None:
    digest = PromptDigest()
    for piece in pieces:
        digest = digest.extend(piece)

    assert digest.answer() == PromptDigest().extend([i for piece in pieces for i in piece]).answer()


@given(IDS, IDS, IDS)
def test_a_digest_that_was_extended_stays_as_it_was(before: list[int], one: list[int], other: list[int]) -> None:
    digest = PromptDigest().extend(before)
    branches = digest.extend(one), digest.extend(other)

    assert digest.answer() == PromptDigestAnswer(count=len(before), blake2b=digest_of(before))
    assert [branch.hexdigest() for branch in branches] == [digest_of(before + one), digest_of(before + other)]


@given(IDS, IDS)
def test_digests_are_equal_where_the_ids_are(one: list[int], other: list[int]) -> None:
    assert (PromptDigest().extend(one).answer() == PromptDigest().extend(other).answer()) == (one == other)


def test_known_digests_do_not_change_with_a_release() -> None:
    assert PromptDigest().answer() == PromptDigestAnswer(count=0, blake2b="cae66941d9efbd404e4d88758ea67670")
    digest = PromptDigest().extend([151644, 872, 198])
    assert digest.answer() == PromptDigestAnswer(count=3, blake2b="17ab3cb590e849d1bd70a73f9acb72e3")


@pytest.mark.parametrize("token_id", [-1, 2**32])
def test_an_id_that_four_bytes_cannot_hold_is_refused(token_id: int) -> None:
    with pytest.raises(TokenIdsError, match="ids from 0 to 4294967295"):
        PromptDigest().extend([1, token_id])


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_that_does_not_say_gets_the_ids(stream: bool) -> None:
    assert [check_prompt_echo(value, stream=stream) for value in (None, "ids")] == [PromptEcho.IDS] * 2


def test_a_digest_is_given_to_a_request_that_is_not_streamed() -> None:
    assert check_prompt_echo("digest", stream=False) is PromptEcho.DIGEST
    with pytest.raises(PromptEchoError, match="cannot be streamed"):
        check_prompt_echo("digest", stream=True)


@pytest.mark.parametrize("value", ["", "IDS", 0, True, ["digest"], {"digest": 1}, "x" * 5000])
def test_another_echo_is_refused_in_few_words(value: object) -> None:
    shown = re.escape(f"{value!r:.40}")
    with pytest.raises(PromptEchoError, match=f'^prompt_echo must be "ids" or "digest", got {shown}$'):
        check_prompt_echo(value, stream=False)


def test_ids_may_be_given_to_a_body_as_the_json_that_they_are() -> None:
    chat = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}
    encoded = msgspec.json.encode(tokens_body(chat, msgspec.Raw(b"[1,2,3]")))

    assert encoded == msgspec.json.encode(tokens_body(chat, [1, 2, 3]))
    assert json.loads(encoded) == {"model": "tiny", "messages": [], "tokens": [1, 2, 3]}


@pytest.mark.parametrize("echo", ["digest", PromptEcho.DIGEST])
def test_a_body_names_the_echo_that_it_asks_for(echo: str) -> None:
    body = msgspec.json.encode(tokens_body({"model": "tiny"}, [1], prompt_echo=echo))

    assert json.loads(body) == {"model": "tiny", "messages": [], "tokens": [1], "prompt_echo": "digest"}


def test_the_echo_is_the_clients_to_ask_for() -> None:
    with pytest.raises(ConfigError, match="may not hold prompt_echo"):
        flatten_sampling_args({"extra_body": {"prompt_echo": "digest"}})


def test_an_answer_of_a_server_without_digests_has_none() -> None:
    answer = msgspec.json.decode(b'{"id": "x", "choices": [], "prompt_token_ids": [1]}', type=ChatAnswer)

    assert (answer.prompt_token_ids, answer.prompt_digest) == ([1], None)
