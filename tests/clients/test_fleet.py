"""Several servers behind one client: where rollouts go, and what becomes of them when a server dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import verifiers_tito as vf
from tests.clients.turns import MODEL, QUESTION, all_ids, conversation, fresh_state, say, take_turn
from tests.conftest import FakeMaker, locally
from verifiers_tito.testing import FakeVLLM

NEXT = vf.UserMessage(content="And now?")


def client_of(*fakes: FakeVLLM, **fields: Any) -> vf.OpenAIChatCompletionsTokenClient:
    urls = tuple(fake.base_url for fake in fakes)
    config = vf.ClientConfig(**{"base_url": urls, "stitching": locally(fakes[0]), "max_retries": 1, **fields})
    return vf.OpenAIChatCompletionsTokenClient(config)


def turns_at(fake: FakeVLLM) -> int:
    return sum("completions" in request.path for request in fake.posts)


async def test_a_rollout_stays_where_it_began_and_new_ones_spread(qwen3_fake: FakeMaker) -> None:
    async with qwen3_fake(say("4")) as one, qwen3_fake(say("4"), block_size=32) as two, client_of(one, two) as client:
        states = [fresh_state() for _ in range(4)]
        for state in states:
            await take_turn(client, state, [QUESTION])
        assert (turns_at(one), turns_at(two)) == (2, 2)
        homes = [client.fleet.server_of(state) for state in states]
        for state in states:
            response = await take_turn(client, state, [*conversation(state), NEXT])
            assert response.served.label == "chat/tokens"
        assert [client.fleet.server_of(state) for state in states] == homes
        assert (turns_at(one), turns_at(two)) == (4, 4)


async def test_a_new_rollout_goes_where_the_fewest_turns_are_under_way(qwen3_fake: FakeMaker) -> None:
    async with qwen3_fake(say("4")) as one, qwen3_fake(say("4"), block_size=32) as two, client_of(one, two) as client:
        first, second = client.fleet.servers
        with first.taking_a_turn(), first.taking_a_turn(), second.taking_a_turn():
            second.rollouts = 100  # many, but none of them at work
            assert client.fleet.server_of(fresh_state()) is second


async def test_the_rollouts_of_a_dead_server_go_on_at_another_one(
    qwen3_fake: FakeMaker, caplog: pytest.LogCaptureFixture
) -> None:
    async with qwen3_fake(say("4")) as one, qwen3_fake(say("4"), block_size=32) as two, client_of(one, two) as client:
        dying, other = client.fleet.servers
        state = fresh_state()
        await take_turn(client, state, [QUESTION])
        before = all_ids(state["trajectory"][0])
        dying.provider.base_url = "http://127.0.0.1:9/v1"  # nobody is there
        response = await take_turn(client, state, [*conversation(state), NEXT])
        assert response.message.tokens.prompt_ids[: len(before)] == before
        assert dying.is_out
        assert client.fleet.server_of(state) is client.fleet.server_of(fresh_state()) is other
    assert "its rollouts move to the 1 that are left" in caplog.text


async def test_a_server_that_is_healthy_again_gets_rollouts_again(qwen3_fake: FakeMaker) -> None:
    async with qwen3_fake(say("4")) as one, qwen3_fake(say("4"), block_size=32) as two, client_of(one, two) as client:
        away, home = client.fleet.servers
        address, away.provider.base_url = away.base_url, "http://127.0.0.1:9/v1"
        state = fresh_state()
        await take_turn(client, state, [QUESTION])
        assert away.is_out
        away.provider.base_url = address
        await asyncio.wait_for(client.fleet._watches[away], timeout=10)
        assert not away.is_out
        assert client.fleet.server_of(state) is home
        assert client.fleet.server_of(fresh_state()) is away


async def test_the_last_server_is_never_taken_out(qwen3_fake: FakeMaker) -> None:
    async with qwen3_fake(say("4")) as fake, client_of(fake) as client:
        client.client.base_url = "http://127.0.0.1:9/v1"
        with pytest.raises(vf.ModelError, match="cannot be reached"):
            await take_turn(client, fresh_state(), [QUESTION])
        assert not client.fleet.servers[0].is_out


async def test_tokenizing_asks_whichever_server_there_is(qwen3_fake: FakeMaker) -> None:
    async with qwen3_fake(say("4")) as one, qwen3_fake(say("4"), block_size=32) as two, client_of(one, two) as client:
        client.client.base_url = "http://127.0.0.1:9/v1"
        ids = await client.tokenize("Hello.", None, MODEL)
        assert ids == two.tokenizer.encode("Hello.", add_special_tokens=True)


async def test_all_requests_of_a_rollout_carry_its_mark(qwen3_fake: FakeMaker) -> None:
    marks = {"session_header": "X-Session-ID", "data_parallel_size": 4}
    async with qwen3_fake(say("4")) as fake, client_of(fake, **marks) as client:
        ranks = set()
        for number in range(20):
            state = fresh_state()
            state["trajectory_id"] = f"rollout-{number}"
            await take_turn(client, state, [QUESTION])
            await take_turn(client, state, [*conversation(state), NEXT])
            sent = [request.headers for request in fake.posts[-2:] if "completions" in request.path]
            assert {headers["x-session-id"] for headers in sent} == {f"rollout-{number}"}
            (rank,) = {headers["x-data-parallel-rank"] for headers in sent}
            ranks.add(rank)
        assert ranks == {"0", "1", "2", "3"}


@pytest.mark.parametrize("urls", [(), ("http://a/v1", "http://a/v1"), ("http://a/v1", "ftp://b")])
def test_addresses_that_make_no_fleet_are_refused(urls: tuple[str, ...]) -> None:
    with pytest.raises(vf.ConfigError, match="base_url"):
        vf.ClientConfig(base_url=urls)


async def test_a_gateway_that_has_nobody_behind_it_is_a_dead_server(qwen3_fake: FakeMaker) -> None:
    async with qwen3_fake(say("4")) as fake, gateway_to_nobody() as address:
        config = vf.ClientConfig(base_url=(address, fake.base_url), stitching=locally(fake), max_retries=3)
        async with vf.OpenAIChatCompletionsTokenClient(config) as client:
            response = await take_turn(client, fresh_state(), [QUESTION])
            assert client.fleet.servers[0].is_out
    assert response.served.retries == 2  # one at the gateway, and the move


async def test_every_server_gets_one_chance_a_turn(qwen3_fake: FakeMaker) -> None:
    config = vf.ClientConfig(base_url=("http://127.0.0.1:9/v1", "http://127.0.0.1:8/v1"), max_retries=1)
    async with vf.OpenAIChatCompletionsTokenClient(config) as client:
        with pytest.raises(vf.ModelError, match="cannot be reached"):
            await take_turn(client, fresh_state(), [QUESTION])
        assert client.metrics().failed_turns == {"ServerUnreachableError": 1}


@asynccontextmanager
async def gateway_to_nobody() -> AsyncIterator[str]:
    """Answers 502 to everything."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
