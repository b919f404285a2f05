"""Turns of a rollout for the tests of the token client, taken by hand."""

from __future__ import annotations

from typing import Any

import verifiers_tito as vf
from tests.conftest import FAKE_MODEL as MODEL
from tests.conftest import locally
from verifiers_tito.testing import Completion, FakeVLLM

QUESTION = vf.UserMessage(content="What is 2+2?")
SERVER_S = vf.StitchingConfig(tokenizer="server")


def config_of(fake: FakeVLLM, **fields: Any) -> vf.ClientConfig:
    """A configuration for the fake, with its tokenizer shared unless `stitching` says otherwise."""
    return vf.ClientConfig(**{"base_url": fake.base_url, "max_retries": 0, "stitching": locally(fake), **fields})


def fresh_state(**fields: Any) -> vf.State:
    return vf.State(input={}, trajectory=[], trajectory_id="t", model=MODEL, sampling_args={}, tool_defs=[], **fields)


async def take_turn(
    client: vf.Client, state: vf.State, prompt: list[vf.Message], sampling: dict[str, Any] | None = None, **options: Any
) -> vf.Response:
    """Asks, and keeps the step as an environment would."""
    response = await client.get_response(prompt, MODEL, sampling or {}, state=state, **options)
    tokens = response.message.tokens
    state["trajectory"].append(
        {
            "prompt": prompt,
            "completion": [response.message.plain()],
            "response": response,
            "tokens": {"prompt_ids": tokens.prompt_ids, "completion_ids": tokens.completion_ids},
        }
    )
    return response


async def go_on(client: vf.Client, state: vf.State, *tail: vf.Message, **options: Any) -> vf.Response:
    """The next turn: the conversation so far and `tail`."""
    return await take_turn(client, state, [*conversation(state), *tail], **options)


def conversation(state: vf.State) -> list[vf.Message]:
    last = state["trajectory"][-1]
    return [*last["prompt"], *last["completion"]]


def say(text: str) -> Any:
    return lambda request: Completion(text=text)


def all_ids(step: dict[str, Any]) -> list[int]:
    return [*step["tokens"]["prompt_ids"], *step["tokens"]["completion_ids"]]
