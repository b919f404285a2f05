"""A real server that goes away in mid-run, and one whose caller does."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import uuid
from dataclasses import replace
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

import verifiers_tito as vf
from tests.conftest import API_KEY
from verifiers_tito.local.server import LocalServer
from verifiers_tito.transport import Server
from verifiers_tito.wire import routes

pytestmark = pytest.mark.vllm

TURNS = 12
SMALLER_ROOM = 4096
MOST_IN_A_SECOND = 1000
"""More tokens than the tiny model samples in a second, and far fewer than it is asked for."""
SAMPLING = {"temperature": 1.0, "max_tokens": 100}


class SteadyEnv(vf.MultiTurnEnv):
    """Tells when some turns were taken, in all rollouts together."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.is_under_way = asyncio.Event()
        self._taken = 0

    async def env_response(self, messages: vf.Messages, state: vf.State, **kwargs: Any) -> vf.Messages:
        self._taken += 1
        if self._taken == 8:
            self.is_under_way.set()
        return [vf.UserMessage(content=f"Turn {state['turn']}: and then?")]


def make_env() -> SteadyEnv:
    return SteadyEnv(dataset=[{"question": "Talk."}], rubric=vf.Rubric(lambda **kw: 1.0), max_turns=TURNS)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


async def test_rollouts_finish_on_a_server_that_was_killed_and_started_again_with_less_room(
    real_vllm_qwen3: LocalServer,
) -> None:
    options = replace(real_vllm_qwen3.options, port=free_port(), log_path=None)
    env, long = make_env(), vf.UserMessage(content="word " * SMALLER_ROOM)
    assert options.max_model_len > 1.5 * SMALLER_ROOM, "what is too long for the second must fit the first"
    async with LocalServer(options) as first:
        config = vf.ClientConfig(base_url=first.base_url, api_key=API_KEY, max_retries=60)
        client = vf.OpenAIChatCompletionsTokenClient(config)
        rolling = asyncio.create_task(env.run_group([env.dataset[0]] * 4, client, first.model, SAMPLING))
        await env.is_under_way.wait()
        assert not rolling.done()
    async with LocalServer(replace(options, max_model_len=SMALLER_ROOM)), client:
        states = await rolling
        prompt = [*states[0]["prompt"], *states[0]["completion"], long]
        with pytest.raises(vf.OverlongPromptError, match=f"takes {SMALLER_ROOM}.* nothing was sent"):
            await client.get_response(prompt, first.model, SAMPLING, state=states[0])
    for state in states:
        assert state["error"] is None
        assert len(state["trajectory"]) == TURNS
        assert vf.summarize(state).extending_turns == TURNS - 1
    retries = [step["response"].served.retries for state in states for step in state["trajectory"]]
    assert max(retries) >= 2


async def wait_until_engine(server: LocalServer, *, is_busy: bool) -> int:
    """How many tokens it has sampled since its start, when it generates, or has stopped to."""
    async with asyncio.timeout(60), httpx.AsyncClient(base_url=server.root_url, timeout=60) as http:
        while True:
            metrics = (await http.get("/metrics")).text
            if (_total(metrics, "vllm:num_requests_running") > 0) == is_busy:
                return int(_total(metrics, "vllm:generation_tokens_total"))
            await asyncio.sleep(0.05)


def _total(metrics: str, name: str) -> float:
    """Of all series of one name."""
    return sum(map(float, re.findall(rf"^{name}\{{.*\}} (\S+)$", metrics, re.MULTILINE)))


async def test_the_engine_stops_generating_for_a_turn_that_was_cancelled(real_vllm_qwen3: LocalServer) -> None:
    config = vf.ClientConfig(base_url=real_vllm_qwen3.base_url, api_key=API_KEY)
    async with vf.OpenAIChatCompletionsTokenClient(config) as client:
        env = make_env()
        endless = {"max_tokens": 8000, "extra_body": {"ignore_eos": True}}
        rolling = asyncio.create_task(env.rollout(env.dataset[0], client, real_vllm_qwen3.model, endless))
        sampled = await wait_until_engine(real_vllm_qwen3, is_busy=True)
        rolling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await rolling
        sampled = await wait_until_engine(real_vllm_qwen3, is_busy=False) - sampled
    assert sampled < MOST_IN_A_SECOND


@pytest.mark.parametrize("path", [routes.CHAT, routes.CHAT_TOKENS, routes.COMPLETIONS, routes.GENERATE])
async def test_a_request_is_given_up_by_the_id_that_its_attempt_was_sent_with(
    path: str, real_vllm_qwen3: LocalServer
) -> None:
    """This is how an attempt ends whose connection broke where something in between keeps it running."""
    sampling = {"max_tokens": 8000, "ignore_eos": True}
    prompts: dict[str, dict[str, Any]] = {
        routes.CHAT: {"messages": [{"role": "user", "content": "Talk."}], **sampling},
        routes.CHAT_TOKENS: {"tokens": [1, 2, 3], **sampling},
        routes.COMPLETIONS: {"prompt": [1, 2, 3], **sampling},
        routes.GENERATE: {"token_ids": [1, 2, 3], "sampling_params": sampling},
    }
    server, body = Server(openai_client_of(real_vllm_qwen3)), {"model": real_vllm_qwen3.model, **prompts[path]}
    server.abort_path = routes.ABORT[0]
    async with server.provider:
        headers = {"X-Request-Id": (attempt := f"attempt-{uuid.uuid4().hex}")}
        asking = asyncio.create_task(server.post(path, body, headers=headers))
        await wait_until_engine(real_vllm_qwen3, is_busy=True)
        await server._end(attempt)
        (choice,) = json.loads(await asking)["choices"]
    assert choice["finish_reason"] == "abort"


def openai_client_of(server: LocalServer) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=server.base_url, api_key=API_KEY)
