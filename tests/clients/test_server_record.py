"""What a client finds out about a server and writes on its turns: versions, modes, limits, counts."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import verifiers_tito as vf
from tests.clients.test_answers_of_any_kind import CHAT
from tests.clients.turns import QUESTION, config_of, conversation, fresh_state, say, take_turn
from tests.conftest import FakeMaker
from verifiers_tito.clients.answer_checks import check_vocabulary
from verifiers_tito.clients.introduction import Introduction
from verifiers_tito.clients.known_server import KnownServer
from verifiers_tito.clients.native_completion import native_completion
from verifiers_tito.clients.route_choice import RouteChoice
from verifiers_tito.transport import ServerUnreachableError, decode
from verifiers_tito.types import Served
from verifiers_tito.wire.answers import ChatAnswer, ChoiceAnswer, MessageAnswer

NEXT = vf.UserMessage(content="And now?")


async def test_every_turn_says_which_server_served_it_and_what_its_log_probabilities_are(qwen3_fake: FakeMaker) -> None:
    async with qwen3_fake(say("4")) as fake, vf.OpenAIChatCompletionsTokenClient(config_of(fake)) as client:
        state = fresh_state()
        first = (await take_turn(client, state, [QUESTION])).served
        later = (await take_turn(client, state, [*conversation(state), NEXT])).served
    assert {first.server_version, later.server_version} == {"0.32.0"}
    assert {first.logprobs_mode, later.logprobs_mode} == {"raw_logprobs"}
    sampled = len(state["trajectory"][1]["tokens"]["completion_ids"])
    assert later.weight_versions == (vf.WeightVersionSpan(version="default", start=0, end=sampled),)


@pytest.mark.parametrize("client_class", [vf.OpenAIChatCompletionsClient, vf.OpenAIChatCompletionsTokenClient])
async def test_a_turn_says_whether_it_was_sampled_under_a_grammar(qwen3_fake: FakeMaker, client_class: Any) -> None:
    async with qwen3_fake(say("4")) as fake, client_class(config_of(fake)) as client:
        free = await client.get_response([QUESTION], "fake", {}, state=fresh_state())
        forced = {"extra_body": {"structured_outputs": {"choice": ["four"]}}}
        bound = await client.get_response([QUESTION], "fake", forced, state=fresh_state())
    assert (free.served.under_grammar, bound.served.under_grammar) == (False, True)


async def test_log_probabilities_come_as_an_array_and_are_the_same_numbers(qwen3_fake: FakeMaker) -> None:
    async def logprobs_by(route: str) -> list[float]:
        async with (
            qwen3_fake(say("4 and 5")) as fake,
            vf.OpenAIChatCompletionsTokenClient(config_of(fake, route=route)) as client,
        ):
            state = fresh_state()
            await take_turn(client, state, [QUESTION])
            response = await take_turn(client, state, [*conversation(state), NEXT])
            assert ("logprobs_form" in fake.posts[-1].body) == (route == "chat/tokens")
        return response.message.tokens.completion_logprobs

    assert await logprobs_by("chat/tokens") == await logprobs_by("chat/kv")


async def test_an_array_is_spelled_out_for_whoever_reads_the_native_answer(qwen3_fake: FakeMaker) -> None:
    async with qwen3_fake(say("4 and 5")) as fake, vf.OpenAIChatCompletionsTokenClient(config_of(fake)) as client:
        state = fresh_state()
        await take_turn(client, state, [QUESTION])
        prompt = [message.model_dump() for message in [*conversation(state), NEXT]]
        native = await client.get_native_response(prompt, "fake", {"max_tokens": 8}, state=state)
    content = native.choices[0].logprobs.content
    assert [entry.token for entry in content] == [f"token_id:{token}" for token in native.choices[0].token_ids]
    assert [entry.logprob for entry in content] == native.answer.choices[0].completion_logprobs


async def test_alternatives_are_asked_for_as_objects(qwen3_fake: FakeMaker) -> None:
    async with qwen3_fake(say("4")) as fake, vf.OpenAIChatCompletionsTokenClient(config_of(fake)) as client:
        state = fresh_state()
        await take_turn(client, state, [QUESTION])
        await take_turn(client, state, [*conversation(state), NEXT], {"top_logprobs": 2})
        assert "logprobs_form" not in fake.posts[-1].body


async def test_a_prompt_that_cannot_fit_is_not_sent(qwen3_fake: FakeMaker) -> None:
    long = vf.UserMessage(content="word " * 100)
    async with (
        qwen3_fake(say("4"), max_model_len=80) as fake,
        vf.OpenAIChatCompletionsTokenClient(config_of(fake)) as client,
    ):
        state = fresh_state()
        await take_turn(client, state, [QUESTION])
        with pytest.raises(vf.OverlongPromptError, match=r"the prompt has \d+ ids and fake takes 80") as raised:
            await take_turn(client, state, [*conversation(state), long])
        assert "/v1/chat/completions/tokens" not in [request.path for request in fake.posts]
    assert "nothing was sent" in str(raised.value)


async def test_a_server_that_was_started_anew_with_more_room_is_asked_before_a_prompt_is_called_too_long(
    qwen3_fake: FakeMaker,
) -> None:
    long = vf.UserMessage(content="word " * 100)
    async with (
        qwen3_fake(say("4"), max_model_len=80) as small,
        qwen3_fake(say("4")) as large,
        vf.OpenAIChatCompletionsTokenClient(config_of(small)) as client,
    ):
        state = fresh_state()
        await take_turn(client, state, [QUESTION])
        client.client.base_url = large.base_url
        response = await take_turn(client, state, [*conversation(state), long])
    assert response.served.label == "chat/tokens"


@pytest.mark.parametrize("client_class", [vf.OpenAIChatCompletionsClient, vf.OpenAIChatCompletionsTokenClient])
async def test_a_model_that_is_not_served_is_an_error_that_names_those_that_are(
    qwen3_fake: FakeMaker, client_class: Any
) -> None:
    async with qwen3_fake(say("4")) as fake, client_class(config_of(fake)) as client:
        with pytest.raises(vf.ModelError, match=r"does not exist.* serves fake\."):
            await client.get_response([QUESTION], "no-such-model", {}, state=fresh_state())
        assert client.metrics().failed_turns == {"ModelNotServedError": 1}


@pytest.mark.parametrize(
    ("ids", "size", "words"),
    [([5, 100], 100, r"id 100 at index 1; the model's ids are 0 to 99"), ([7, -1], None, r"id -1 at index 1")],
)
def test_a_sampled_id_that_there_is_not_is_refused(ids: list[int], size: int | None, words: str) -> None:
    answer = ChatAnswer(id="x", choices=[ChoiceAnswer(message=MessageAnswer(), token_ids=ids)])
    with pytest.raises(vf.InvalidModelResponseError, match=words):
        check_vocabulary(answer, size)


@pytest.mark.parametrize(
    ("told", "route"),
    [
        (Introduction(), "chat/tokens"),
        (Introduction(vllm_version="0.32.0"), "chat/tokens"),
        (Introduction(vllm_version="0.32.0", paths=frozenset({"/v1/chat/completions"})), "chat/kv"),
        (Introduction(vllm_version="0.27.1rc1", paths=frozenset({"/v1/chat/completions"})), "chat/kv"),
        (Introduction(vllm_version="0.26.4", paths=frozenset({"/v1/chat/completions"})), None),
        (Introduction(vllm_version="of tomorrow", paths=frozenset({"/v1/chat/completions"})), "chat/kv"),
    ],
)
def test_what_a_server_says_of_itself_rules_routes_out_without_a_try(told: Introduction, route: str | None) -> None:
    choice = RouteChoice()
    choice.learn(told)
    assert getattr(choice.current(), "route", None) == route


async def test_a_client_counts_what_it_does(qwen3_fake: FakeMaker) -> None:
    async with qwen3_fake(say("4")) as fake, vf.OpenAIChatCompletionsTokenClient(config_of(fake)) as client:
        assert client.metrics().turns == {}
        state = fresh_state()
        await take_turn(client, state, [QUESTION])
        await take_turn(client, state, [*conversation(state), NEXT])
        counted = client.metrics()
    steps = [step["tokens"] for step in state["trajectory"]]
    assert counted.turns == {"chat (first turn)": 1, "chat/tokens": 1}
    assert counted.turn_seconds.keys() == counted.turns.keys()
    assert counted.prompt_ids == sum(len(step["prompt_ids"]) for step in steps)
    assert counted.sampled_ids == sum(len(step["completion_ids"]) for step in steps)
    cached = [step["response"].served.cached_ids for step in state["trajectory"]]
    assert counted.cached_ids == sum(cached) > 0
    assert counted.reused_ids == len(steps[0]["prompt_ids"]) + len(steps[0]["completion_ids"])
    assert counted.prompt_ids == len(steps[0]["prompt_ids"]) + counted.reused_ids + counted.bridged_ids
    assert counted.requests["POST /v1/chat/completions"] == 1
    assert counted.requests["POST /v1/chat/completions/tokens"] == 1
    assert counted.requests["GET /v1/models"] == 1
    assert (counted.retries, counted.failed_turns) == ({}, {})
    assert counted.sent_bytes > 0 < counted.received_bytes


@pytest.mark.parametrize(
    ("answer", "error"),
    [({"choices": []}, "EmptyModelResponseError"), ({"usage": {"prompt_tokens": 9}}, "InvalidModelResponseError")],
)
async def test_an_answer_that_is_refused_counts_as_a_failed_turn(answer: dict[str, Any], error: str) -> None:
    body = json.dumps({**CHAT, "prompt_token_ids": [1, 2, 3], **answer}).encode()
    completion = native_completion(body, decode(body, ChatAnswer, operation="a turn"), Served(route=vf.Route.CHAT))
    async with vf.OpenAIChatCompletionsClient(vf.ClientConfig()) as client:

        async def read() -> None:
            await client.raise_from_native_response(completion)
            await client.from_native_response(completion)

        with pytest.raises(vf.InvalidModelResponseError):
            await read()
        assert client.metrics().failed_turns == {error: 1}


class Mute:
    """Breaks the connection whenever it is asked about itself."""

    outages = 0
    asked = 0

    async def get(self, path: str, *, most_retries: int | None = None) -> bytes:
        self.asked += 1
        raise ServerUnreachableError("the connection broke")


async def test_a_server_that_never_tells_about_itself_is_not_asked_without_end() -> None:
    mute: Any = Mute()
    known = KnownServer(mute, wanted=None)
    told = await asyncio.wait_for(known.introduction(), timeout=2)
    assert told == Introduction()
    asked = mute.asked
    await asyncio.wait_for(known.introduction(), timeout=2)
    assert mute.asked > asked  # by the next turn, once more
