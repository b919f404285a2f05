from __future__ import annotations

import pytest

import verifiers_tito as vf
from tests.conftest import FAKE_MODEL, FakeMaker, locally
from verifiers_tito.testing import replies_by_turn


async def play(make_fake: FakeMaker, guesses: list[str], secret: str = "apple") -> vf.State:
    env = vf.load_environment("word-game", num_examples=1, max_turns=4)
    async with (
        make_fake(replies_by_turn(guesses)) as fake,
        vf.OpenAIChatCompletionsTokenClient(vf.ClientConfig(base_url=fake.base_url, stitching=locally(fake))) as client,
    ):
        state = await env.run_rollout({**env.dataset[0], "answer": secret}, client, FAKE_MODEL)
    assert state["error"] is None
    return state


async def test_each_turn_earns_what_it_found(qwen3_fake: FakeMaker) -> None:
    said = ["<guess>angle</guess>", "Hm, <guess>ample</guess>", "<guess>Apple</guess>"]
    state = await play(qwen3_fake, said)
    assert [step["reward"] for step in state["trajectory"]] == pytest.approx([3 / 5, 1 / 5, 1 / 5])
    assert state["metrics"] == pytest.approx({"letters_found": 1.0, "turns_left": 1.0, "format_reward_func": 2.8 / 3})
    assert state["reward"] == pytest.approx(1.0 + 0.1)
    answers = [message.content for message in state["completion"] if message.role == "user"]
    assert answers == ["A..LE\nWhat is your next guess?", "A.PLE\nWhat is your next guess?", "APPLE it is!"]


async def test_a_game_without_a_word_earns_nothing(qwen3_fake: FakeMaker) -> None:
    state = await play(qwen3_fake, ["apple", "<guess>app</guess>", "<guess></guess>", "<guess>ghoul</guess>"], "stein")
    assert state["reward"] == 0.0
    assert [step["reward"] for step in state["trajectory"]] == [0.0] * 4
    assert "no word of 5 letters" in state["completion"][1].content


async def test_letters_are_shown_as_often_as_the_word_has_them(qwen3_fake: FakeMaker) -> None:
    said = [f"<guess>{word}</guess>" for word in ("eerie", "tepee", "there")]
    state = await play(qwen3_fake, said, secret="there")
    assert [message.content[:5] for message in state["completion"] if message.role == "user"][:2] == ["e.r.E", "Te..E"]
