"""Rollouts that several tests look at: whole games on a real server."""

from __future__ import annotations

import verifiers_tito as vf
from tests.conftest import API_KEY
from verifiers_tito.local.server import LocalServer

ROLLOUTS, TURNS, TOKENS_A_TURN = 6, 4, 4
FEWEST_TOKENS = ROLLOUTS * TURNS * TOKENS_A_TURN


async def guessing_games(server: LocalServer) -> list[vf.State]:
    """Rollouts at temperature 1 of `FEWEST_TOKENS` or more, whatever is sampled: the environment reads nine digits of a
    guess and its numbers have more, and a turn may not end at once."""
    env = vf.load_environment("number-guess", num_examples=2, highest=10**12, max_turns=TURNS)
    assert min(row["info"]["secret"] for row in env.dataset) >= 10**9
    config = vf.ClientConfig(base_url=server.base_url, api_key=API_KEY)
    async with vf.OpenAIChatCompletionsTokenClient(config) as client:
        sampling = {"temperature": 1.0, "max_tokens": 40, "extra_body": {"min_tokens": TOKENS_A_TURN}}
        groups = [await env.run_group([row] * (ROLLOUTS // 2), client, server.model, sampling) for row in env.dataset]
    states = [state for group in groups for state in group]
    assert [state["error"] for state in states] == [None] * ROLLOUTS
    return states
