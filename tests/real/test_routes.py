"""The same trajectory by every route, on a real server."""

from __future__ import annotations

from typing import Any

import pytest

import verifiers_tito as vf
from tests.conftest import API_KEY
from verifiers_tito.local.server import LocalServer

pytestmark = pytest.mark.vllm

TURNS = 5
GREEDY = {"temperature": 0.0, "max_tokens": 60}


class AskingEnv(vf.MultiTurnEnv):
    async def env_response(self, messages: vf.Messages, state: vf.State, **kwargs: Any) -> vf.Messages:
        return [vf.UserMessage(content=f"Turn {state['turn']}: and then? 然后呢?")]


async def rollout(server: LocalServer, route: str | None) -> vf.State:
    env = AskingEnv(dataset=[{"question": "Tell me something."}], rubric=vf.Rubric(lambda **kw: 1.0), max_turns=TURNS)
    config = vf.ClientConfig(base_url=server.base_url, api_key=API_KEY, route=route)
    async with vf.OpenAIChatCompletionsTokenClient(config) as client:
        state = await env.rollout(env.dataset[0], client, server.model, GREEDY)
    assert state["error"] is None
    return state


@pytest.mark.parametrize("name", ["qwen3-tiny", "llama3-tiny"])
async def test_every_route_makes_the_same_trajectory(name: str, real_servers: dict[str, LocalServer]) -> None:
    by_route = {route: await rollout(real_servers[name], route) for route in ("chat/tokens", "chat/kv", None)}
    for route, state in by_route.items():
        assert vf.summarize(state).extending_turns == TURNS - 1
        labels = [step["response"].served.label for step in state["trajectory"]]
        assert labels == ["chat (first turn)", *[route or "chat/tokens"] * (TURNS - 1)]
    ours, kv, best = ([step["tokens"]["prompt_ids"] for step in state["trajectory"]] for state in by_route.values())
    assert ours == kv == best
