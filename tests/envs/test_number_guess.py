from __future__ import annotations

import pytest

import verifiers_tito as vf
from tests.conftest import FAKE_MODEL, FakeMaker, locally
from verifiers_tito.testing import replies_by_turn


@pytest.mark.parametrize(
    ("guesses", "turns", "reward"),
    [
        (["7"], 1, 1.0),
        (["It is 3.", "9", "7!"], 3, 1.0 - 0.5 * 2 / 3),
        (["1", "no idea", "4"], 3, 0.3 * 0.7),
        (["what", "is", "it?"], 3, 0.0),
    ],
)
async def test_games_are_played_and_scored(
    qwen3_fake: FakeMaker, guesses: list[str], turns: int, reward: float
) -> None:
    env = vf.load_environment("number-guess", num_examples=1, max_turns=3)
    row = {**env.dataset[0], "info": {"secret": 7, "highest": 10}}
    opening_turns = 2  # the assistant turns of the example game
    async with (
        qwen3_fake(replies_by_turn([*["unused"] * opening_turns, *guesses])) as fake,
        vf.OpenAIChatCompletionsTokenClient(vf.ClientConfig(base_url=fake.base_url, stitching=locally(fake))) as client,
    ):
        state = await env.run_rollout(row, client, FAKE_MODEL)
    assert state["error"] is None
    assert len(state["trajectory"]) == turns
    assert state["reward"] == pytest.approx(reward)


async def test_hints_point_towards_the_secret(qwen3_fake: FakeMaker) -> None:
    env = vf.load_environment("number-guess", num_examples=1, max_turns=4)
    row = {**env.dataset[0], "info": {"secret": 7, "highest": 10}}
    async with (
        qwen3_fake(replies_by_turn(["", "", "3", "9", "hm", "7"])) as fake,
        vf.OpenAIChatCompletionsTokenClient(vf.ClientConfig(base_url=fake.base_url, stitching=locally(fake))) as client,
    ):
        state = await env.rollout(row, client, FAKE_MODEL)
    hints = [message.content for message in state["completion"] if message.role == "user"]
    assert hints == [
        "3 is wrong. My number is higher. Guess again.",
        "9 is wrong. My number is lower. Guess again.",
        "That was no number. Guess a whole number from 1 to 10.",
    ]
