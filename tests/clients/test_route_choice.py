"""By which route token ids go in, and that the trajectory is the same whichever it is."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import verifiers_tito as vf
from tests.clients.turns import QUESTION, config_of, fresh_state, go_on, say, take_turn
from tests.conftest import FakeMaker
from verifiers_tito.clients.introduction import Introduction
from verifiers_tito.clients.route_choice import RouteChoice
from verifiers_tito.stitching import Fallback
from verifiers_tito.transport import RequestRefusedError, RouteMissingError, ServerError
from verifiers_tito.wire.token_routes import TOKEN_ROUTES

OURS, KV, GENERATE, COMPLETIONS = TOKEN_ROUTES
MISSING, REFUSED = RouteMissingError("404"), RequestRefusedError("400: no messages")
BROKEN = vf.InvalidModelResponseError("another prompt")
NEXT = vf.UserMessage(content="And 3+3?")
OLD = {"token_route": False, "kv_token_ids": False}
NONE = {**OLD, "completions_route": False}
ALL_LOST = [(OURS, MISSING), (KV, REFUSED), (GENERATE, MISSING), (COMPLETIONS, BROKEN)]


@pytest.mark.parametrize(
    ("errors", "left"),
    [
        ([], OURS),
        (ALL_LOST[:1], KV),
        (ALL_LOST[:2], GENERATE),
        (ALL_LOST[:3], COMPLETIONS),
        (
            ALL_LOST,
            Fallback(
                vf.FallbackReason.ROUTE_MISSING,
                f"{OURS.absence}: 404; {KV.absence}: 400: no messages; {GENERATE.absence}: 404; "
                f"{COMPLETIONS.absence}: another prompt",
            ),
        ),
    ],
)
def test_the_best_route_that_is_left_is_taken(errors: list[Any], left: Any) -> None:
    choice = RouteChoice()
    for way, error in errors:
        choice.rule_out(way, error)
    assert choice.current() == left
    choice.start_over()
    assert choice.current() == OURS


@pytest.mark.parametrize(
    ("way", "error"),
    [
        (OURS, REFUSED),
        (OURS, BROKEN),
        (OURS, ServerError("500")),
        (KV, ServerError("500")),
        (KV, vf.OverlongPromptError("8193")),
        (COMPLETIONS, vf.OverlongPromptError("8193")),
    ],
)
def test_what_any_route_would_have_answered_rules_none_out(way: Any, error: vf.Error) -> None:
    choice = RouteChoice()
    with pytest.raises(type(error)):
        choice.rule_out(way, error)
    assert choice.current() == OURS


def test_a_proven_route_is_not_ruled_out_by_a_bad_answer_but_by_a_server_that_lost_it() -> None:
    choice = RouteChoice()
    choice.rule_out(OURS, MISSING)
    choice.prove(KV)
    for error in (REFUSED, BROKEN):
        with pytest.raises(type(error)):
            choice.rule_out(KV, error)
    choice.rule_out(KV, MISSING)
    assert choice.current() == GENERATE


def test_a_route_that_somebody_wants_is_the_only_one_and_its_name_is_checked() -> None:
    choice = RouteChoice("chat/kv")
    assert choice.current() == KV
    with pytest.raises(RouteMissingError, match=r"404 \(route='chat/kv' allows no other way\)"):
        choice.rule_out(KV, MISSING)
    assert RouteChoice(vf.Route.CHAT).current() == Fallback(vf.FallbackReason.ROUTE_CHOSEN)
    with pytest.raises(vf.ConfigError, match="'chat/kv', 'generate', 'completions', got 'telnet'"):
        RouteChoice("telnet")
    with pytest.raises(vf.ConfigError, match="route"):
        vf.ClientConfig(route="telnet")


async def test_a_stock_server_is_found_out_once_and_is_no_reason_for_a_warning(
    qwen3_fake: FakeMaker, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        qwen3_fake(say("4"), token_route=False) as fake,
        vf.OpenAIChatCompletionsTokenClient(config_of(fake)) as client,
    ):
        state = fresh_state()
        await take_turn(client, state, [QUESTION])
        with caplog.at_level(logging.WARNING):
            labels = [(await go_on(client, state, NEXT)).served.label for _ in range(3)]
    assert labels == ["chat/kv"] * 3
    assert not caplog.records


async def test_by_configuration_every_turn_goes_in_as_messages(qwen3_fake: FakeMaker) -> None:
    async with (
        qwen3_fake(say("4")) as fake,
        vf.OpenAIChatCompletionsTokenClient(config_of(fake, route="chat")) as client,
    ):
        state = fresh_state()
        await take_turn(client, state, [QUESTION])
        response = await go_on(client, state, NEXT)
    assert response.served.label == "chat (messages in by configuration)"


def test_a_wanted_route_is_missed_where_the_server_says_so_of_itself() -> None:
    RouteChoice("chat/kv").require_wanted(Introduction(vllm_version="0.27.0"))
    RouteChoice("chat/kv").require_wanted(Introduction())
    with pytest.raises(RouteMissingError, match=r"from 0.27 on.*is vLLM 0.26.1 \(route='chat/kv' allows no other way"):
        RouteChoice("chat/kv").require_wanted(Introduction(vllm_version="0.26.1"))


async def test_a_wanted_route_that_is_not_there_is_an_error_before_anything_is_asked(qwen3_fake: FakeMaker) -> None:
    async with (
        qwen3_fake(say("4"), **NONE) as fake,
        vf.OpenAIChatCompletionsTokenClient(config_of(fake, route="chat/tokens")) as client,
    ):
        with pytest.raises(vf.ModelError, match=r"allows no other way"):
            await take_turn(client, fresh_state(), [QUESTION])
        assert fake.posts == []


async def test_a_server_that_went_away_is_asked_anew_when_it_is_back(qwen3_fake: FakeMaker) -> None:
    async with (
        qwen3_fake(say("4"), **NONE) as old,
        qwen3_fake(say("4")) as new,
        vf.OpenAIChatCompletionsTokenClient(config_of(old)) as client,
    ):
        state = fresh_state()
        await take_turn(client, state, [QUESTION])
        assert (await go_on(client, state, NEXT)).served.reason is vf.FallbackReason.ROUTE_MISSING
        move(client, "http://127.0.0.1:9/v1")
        with pytest.raises(vf.ModelError, match="cannot be reached"):
            await go_on(client, state, NEXT)
        move(client, new.base_url)
        assert (await go_on(client, state, NEXT)).served.label == "chat/tokens"


def move(client: vf.OpenAIChatCompletionsTokenClient, base_url: str) -> None:
    """Another server at the client's address, as far as the client can tell."""
    client.client.base_url = base_url


async def test_where_messages_are_wanted_control_strings_are_refused_with_that_reason(
    qwen3_fake: FakeMaker,
) -> None:
    bad = vf.UserMessage(content="<|im_end|>")
    async with (
        qwen3_fake(say("4")) as fake,
        vf.OpenAIChatCompletionsTokenClient(config_of(fake, route="chat")) as client,
    ):
        with pytest.raises(vf.UntrustedTextError, match=r"\(messages in by configuration\)"):
            await take_turn(client, fresh_state(), [bad])


def test_a_missing_route_is_told_only_where_it_would_have_been_taken(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        RouteChoice().rule_out(GENERATE, MISSING)
        assert not caplog.records
        RouteChoice().rule_out(OURS, MISSING)
    assert caplog.messages == [f"{OURS.absence}: 404; token ids go in by chat/kv instead"]
