"""Rollouts that several tests look at: whole games on a real server."""

from __future__ import annotations

import verifiers_tito as vf
from tests.conftest import API_KEY
from verifiers_tito.local.server import LocalServer


async def guessing_games(server: LocalServer) -> list[vf.State]:
    """Six rollouts at temperature 1, of four turns and at least four tokens a turn, whatever is sampled: the numbers
    are too many to be hit, and a turn may not end at once."""
    env = vf.load_environment("number-guess", num_examples=2, highest=10**9, max_turns=4)
    config = vf.ClientConfig(base_url=server.base_url, api_key=API_KEY)
    async with vf.OpenAIChatCompletionsTokenClient(config) as client:
        sampling = {"temperature": 1.0, "max_tokens": 40, "extra_body": {"min_tokens": 4}}
        groups = [await env.run_group([row] * 3, client, server.model, sampling) for row in env.dataset]
    states = [state for group in groups for state in group]
    assert [state["error"] for state in states] == [None] * 6
    return states
