"""Failures 19, 20, 26: a wire that breaks, and answers that are wrong. No turn is lost or doubled without a word."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from openai import AsyncOpenAI

import verifiers_tito as vf
from tests.clients.turns import MODEL, config_of, fresh_state, go_on, take_turn
from tests.conftest import FakeMaker, locally
from tests.faults.proxy import OVERCOME, Choose, Fault, FaultyWire
from verifiers_tito.testing import Completion, FakeRequest, FakeVLLM
from verifiers_tito.transport import RouteMissingError
from verifiers_tito.transport.retry_policy import GiveUp
from verifiers_tito.wire.routes import ABORT, CHAT, CHAT_TOKENS, OPENAPI
from verifiers_tito.wire.sampling_routes import SERVER_DEFAULTS
from verifiers_tito.wire.token_routes import TOKEN_ROUTES

TURNS = 10
KINDS = [fault for fault in Fault if fault is not Fault.NONE]
LOST = (Fault.RESET_AFTER, Fault.RESET_DURING, Fault.ABORT)
"""After which the server has answered for nothing."""
WORDS = {
    Fault.TRUNCATED: "cannot be read",
    Fault.WRONG_ECHO: "saw another prompt",
    Fault.MISALIGNED: "log-probabilities; they must pair one to one",
    Fault.MINUS_INFINITY: "log-probability -9999.0",
    Fault.NO_CHOICES: "no choice",
    Fault.UNKNOWN_ID: "sampled id 10000000 at index 0; the model's ids are 0 to",
}


class TalkingEnv(vf.MultiTurnEnv):
    """Tells each time that a turn was taken, in all rollouts together."""

    def __init__(self, *, after_turn: Callable[[int], None] = lambda count: None, **fields: Any) -> None:
        super().__init__(**fields)
        self._after_turn, self._taken = after_turn, 0

    async def env_response(self, messages: vf.Messages, state: vf.State, **kwargs: Any) -> vf.Messages:
        self._taken += 1
        self._after_turn(self._taken)
        return [vf.UserMessage(content=f"and {state['turn']}?")]


def make_env(turns: int = TURNS) -> TalkingEnv:
    return TalkingEnv(dataset=[{"question": "Talk."}], rubric=vf.Rubric(lambda **kw: 1.0), max_turns=turns)


def numbered(request: FakeRequest) -> Completion:
    """No two answers are the same, so that one that was taken twice would show."""
    return Completion(text=f"answer {request.number}")


def client_of(wire: FaultyWire, fake: FakeVLLM, **fields: Any) -> vf.OpenAIChatCompletionsTokenClient:
    config = vf.ClientConfig(**{"base_url": wire.base_url, "stitching": locally(fake), "timeout": 1.0, **fields})
    client = vf.OpenAIChatCompletionsTokenClient(config)
    retrying = client.fleet.servers[0]._retrying
    retrying.policy = type(retrying.policy)(most_retries=10, first_seconds=0.01, longest_seconds=0.1)
    return client


def wire_to(fake: FakeVLLM, choose: Choose) -> FaultyWire:
    return FaultyWire(urlsplit(fake.base_url).port or 0, choose)


def once(fault: Fault, *, at: int) -> Choose:
    """`fault` on completion number `at`."""
    faults = iter([*[Fault.NONE] * at, fault])
    return lambda: next(faults, Fault.NONE)


@pytest.mark.parametrize("at", [0, 1, 3], ids=["first turn", "first ids", "later ids"])
@pytest.mark.parametrize("fault", sorted(OVERCOME))
async def test_what_breaks_on_the_way_is_asked_again_and_the_rollout_is_whole(
    qwen3_fake: FakeMaker, fault: Fault, at: int
) -> None:
    async with qwen3_fake(numbered) as fake, wire_to(fake, once(fault, at=at)) as wire, client_of(wire, fake) as client:
        env = make_env(5)
        state = await env.rollout(env.dataset[0], client, MODEL, {"max_tokens": 8})
    assert state["error"] is None
    assert wire.faults == [fault]
    assert [step["response"].served.retries for step in state["trajectory"]] == [int(turn == at) for turn in range(5)]
    assert vf.summarize(state).extending_turns == 4
    assert wire.answered == 5 + (fault in LOST)
    assert sum(client.metrics().retries.values()) == 1


@pytest.mark.parametrize(
    ("fault", "at"),
    [(fault, at) for fault in sorted(WORDS) for at in (0, 2)],
)
async def test_a_wrong_answer_ends_the_rollout_with_its_cause_and_keeps_the_turns_before(
    qwen3_fake: FakeMaker, fault: Fault, at: int
) -> None:
    async with qwen3_fake(numbered) as fake, wire_to(fake, once(fault, at=at)) as wire, client_of(wire, fake) as client:
        env = make_env(5)
        state = await env.rollout(env.dataset[0], client, MODEL, {"max_tokens": 8})
    assert isinstance(state["error"], vf.InvalidModelResponseError)
    words = "echoes 3 prompt ids and counts" if (fault, at) == (Fault.WRONG_ECHO, 0) else WORDS[fault]
    assert words in str(state["error"])
    assert len(state["trajectory"]) == at


@pytest.mark.parametrize("route", ["generate", "completions"])
@pytest.mark.parametrize("fault", [Fault.RESET_AFTER, Fault.ABORT, *sorted(WORDS)])
async def test_on_the_routes_that_only_sample_faults_come_to_the_same(
    qwen3_fake: FakeMaker, route: str, fault: Fault
) -> None:
    sampling = {**dict.fromkeys(SERVER_DEFAULTS, 1.0), "top_k": -1, "max_tokens": 8}
    async with (
        qwen3_fake(numbered, scale_out=True) as fake,
        wire_to(fake, once(fault, at=3)) as wire,
        client_of(wire, fake, route=route) as client,
    ):
        env = make_env(5)
        state = await env.rollout(env.dataset[0], client, MODEL, sampling)
    routes = [str(step["response"].served.route) for step in state["trajectory"]]
    if fault in OVERCOME:
        assert (state["error"], wire.answered) == (None, 6)
        assert routes == ["chat", *[route] * 4]
        assert vf.summarize(state).extending_turns == 4
    else:
        assert isinstance(state["error"], vf.InvalidModelResponseError)
        assert WORDS[fault] in str(state["error"])
        assert routes == ["chat", route, route]


async def test_a_rollout_whose_retries_are_spent_has_failed_whatever_each_turn_has_left(qwen3_fake: FakeMaker) -> None:
    faults = iter([Fault.NONE, Fault.TOO_MANY, Fault.NONE, *[Fault.TOO_MANY] * 9])
    async with (
        qwen3_fake(numbered) as fake,
        wire_to(fake, lambda: next(faults)) as wire,
        client_of(wire, fake, max_retries_per_rollout=3) as client,
    ):
        env = make_env(5)
        state = await env.rollout(env.dataset[0], client, MODEL, {"max_tokens": 8})
    assert GiveUp.ROLLOUT_SPENT in str(state["error"])
    assert len(wire.faults) == 1 + 3  # one retry in the second turn, two in the third, and its last attempt
    assert len(state["trajectory"]) == 2


async def test_a_ready_made_client_s_patience_is_kept(qwen3_fake: FakeMaker) -> None:
    async with (
        qwen3_fake(numbered) as fake,
        wire_to(fake, lambda: Fault.HANG) as wire,
        AsyncOpenAI(base_url=wire.base_url, api_key="key", timeout=0.2, max_retries=1) as provider,
    ):
        client = vf.OpenAIChatCompletionsTokenClient(provider, stitching=locally(fake))
        with pytest.raises(vf.ModelError, match=r"no answer in time.*tried 2 times"):
            await take_turn(client, fresh_state(), [vf.UserMessage(content="Talk.")])
        await client.close()
    assert wire.faults == [Fault.HANG] * 2


async def test_a_broken_attempt_is_aborted_by_its_id_before_the_next_begins(qwen3_fake: FakeMaker) -> None:
    async with (
        qwen3_fake(numbered, scale_out=True) as fake,
        wire_to(fake, once(Fault.RESET_DURING, at=2)) as wire,
        client_of(wire, fake) as client,
    ):
        env = make_env(4)
        state = await env.rollout(env.dataset[0], client, MODEL, {"max_tokens": 8})
        asked = [request for request in fake.posts if request.path in (CHAT, CHAT_TOKENS, ABORT[0])]
    assert state["error"] is None
    assert [request.path for request in asked] == [CHAT, CHAT_TOKENS, CHAT_TOKENS, ABORT[0], *[CHAT_TOKENS] * 2]
    attempts = [request.headers["x-request-id"] for request in asked if request.path != ABORT[0]]
    assert len(set(attempts)) == 5
    assert f"chatcmpl-{attempts[2]}" in asked[3].body["request_ids"]


async def test_a_route_that_a_server_loses_without_an_outage_is_looked_for_anew(qwen3_fake: FakeMaker) -> None:
    """It was started again between two turns, and without the plugin."""
    async with (
        qwen3_fake(numbered) as fake,
        qwen3_fake(numbered, token_route=False) as stock,
        vf.OpenAIChatCompletionsTokenClient(config_of(fake)) as client,
    ):
        state = fresh_state()
        labels = [(await take_turn(client, state, [vf.UserMessage(content="Talk.")])).served.label]
        labels.append((await go_on(client, state, vf.UserMessage(content="And?"))).served.label)
        client.client.base_url = stock.base_url
        labels += [(await go_on(client, state, vf.UserMessage(content="And?"))).served.label for _ in range(2)]
        asked = [request.path for request in stock.posts if "completions" in request.path]
        assert OPENAPI in [request.path for request in stock.requests]
    assert labels == ["chat (first turn)", "chat/tokens", "chat/kv", "chat/kv"]
    assert asked == [CHAT, CHAT]  # the missing route answered 404, once


async def test_the_rollouts_of_a_server_that_dies_in_mid_run_all_go_on_at_the_other_one(qwen3_fake: FakeMaker) -> None:
    def named(name: str) -> Callable[[FakeRequest], Completion]:
        return lambda request: Completion(text=f"{name} {request.number}")

    async with (
        qwen3_fake(named("one")) as one,
        qwen3_fake(named("two"), block_size=32) as two,
        wire_to(one, lambda: Fault.NONE) as wire,
        client_of(wire, one, base_url=(wire.base_url, two.base_url), timeout=60.0) as client,
    ):
        dying, other = client.fleet.servers
        env = TalkingEnv(
            dataset=[{"question": "Talk."}],
            rubric=vf.Rubric(lambda **kw: 1.0),
            max_turns=TURNS,
            after_turn=lambda count: wire.break_down() if count == 60 else None,
        )
        states = await env.run_group([env.dataset[0]] * 24, client, MODEL, {"max_tokens": 8})
        assert (dying.is_out, other.is_out) == (True, False)
    answers = [[step["completion"][0].content for step in state["trajectory"]] for state in states]
    homes = [[answer.split()[0] for answer in rollout] for rollout in answers]
    assert [state["error"] for state in states] == [None] * 24
    assert {vf.summarize(state).extending_turns for state in states} == {TURNS - 1}
    assert len({answer for rollout in answers for answer in rollout}) == 24 * TURNS, "an answer was taken twice"
    moved = [home for home in homes if home[0] == "one"]
    assert len(moved) == 12
    assert all(home == sorted(home) and home[-1] == "two" for home in moved)
    assert all(set(home) == {"two"} for home in homes if home[0] == "two")


async def test_after_an_outage_the_server_is_asked_anew_what_it_takes(qwen3_fake: FakeMaker) -> None:
    """It may have been started again, and with the plugin this time."""
    async with (
        qwen3_fake(numbered) as fake,
        wire_to(fake, once(Fault.RESET_BEFORE, at=2)) as wire,
        client_of(wire, fake) as client,
    ):
        client._known[client.fleet.servers[0]].routes.rule_out(TOKEN_ROUTES[0], RouteMissingError("404"))
        env = make_env(5)
        state = await env.rollout(env.dataset[0], client, MODEL, {"max_tokens": 8})
    routes = [str(step["response"].served.route) for step in state["trajectory"]]
    assert routes == ["chat", "chat/kv", "chat/kv", "chat/tokens", "chat/tokens"]
    assert vf.summarize(state).extending_turns == 4


@pytest.mark.parametrize(
    ("rollouts", "spoilt", "kinds"),
    [
        pytest.param(50, 0.2, [kind for kind in KINDS if kind is not Fault.HANG], id="500 turns, none of them hangs"),
        pytest.param(500, 0.05, KINDS, id="5,000 turns", marks=pytest.mark.long),
    ],
)
async def test_many_turns_on_a_bad_wire_are_whole_or_say_why_not(
    qwen3_fake: FakeMaker, rollouts: int, spoilt: float, kinds: list[Fault]
) -> None:
    at_once, dice = asyncio.Semaphore(64), random.Random(11)

    def choose() -> Fault:
        return dice.choice(kinds) if dice.random() < spoilt else Fault.NONE

    async with (
        qwen3_fake(numbered) as fake,
        wire_to(fake, choose) as wire,
        client_of(wire, fake, timeout=5.0 if Fault.HANG in kinds else 60.0) as client,
    ):
        env = make_env()

        async def roll() -> vf.State:
            async with at_once:
                return await env.rollout(env.dataset[0], client, MODEL, {"max_tokens": 8})

        states = await asyncio.gather(*(roll() for _ in range(rollouts)))
    check(states, wire)
    assert set(wire.faults) == set(kinds)


def check(states: list[vf.State], wire: FaultyWire) -> None:
    turns = sum(len(state["trajectory"]) for state in states)
    failed = [state for state in states if state["error"] is not None]
    for state in states:
        summary = vf.summarize(state)
        assert summary.extending_turns == summary.later_turns
        assert state["error"] is not None or summary.turns == TURNS
        assert state["error"] is None or isinstance(state["error"], vf.InvalidModelResponseError)
    happened = Counter(wire.faults)
    assert len(failed) == sum(count for fault, count in happened.items() if fault not in OVERCOME)
    assert sum(step["response"].served.retries for state in states for step in state["trajectory"]) >= 1
    answers = [step["completion"][0].content for state in states for step in state["trajectory"]]
    assert len(set(answers)) == len(answers) == turns, "an answer was taken twice"
    lost = sum(happened[fault] for fault in LOST)
    assert wire.answered == turns + len(failed) + lost, "a completion was made that nobody asked for"
