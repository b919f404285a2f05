"""Environments of other packages, on the packages themselves; the model is a scripted fake."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest

import verifiers_tito as vf
from tests.conftest import FAKE_MODEL, FakeMaker, locally
from verifiers_tito.testing import FakeVLLM, replies_by_turn


async def roll(env: vf.Environment, fake: FakeVLLM) -> vf.State:
    config = vf.ClientConfig(base_url=fake.base_url, stitching=locally(fake))
    async with vf.OpenAIChatCompletionsTokenClient(config) as client:
        return await env.run_rollout(env.get_dataset(1)[0], client, FAKE_MODEL)


class Countdown:
    """A game: say numbers that bring what is left down to zero."""

    def __init__(self) -> None:
        self.left, self.is_closed = 0, False

    def reset(self, *, seed: int) -> tuple[str, dict[str, Any]]:
        self.left = seed
        return f"{self.left} left", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.left -= int(action)
        return f"{self.left} left", 0.25, self.left == 0, False, {}

    async def close(self) -> None:
        self.is_closed = True


async def test_a_gymnasium_game_opens_answers_and_rewards_each_turn(qwen3_fake: FakeMaker) -> None:
    game = Countdown()
    env = vf.GymnasiumEnv(lambda: game, num_train_examples=2, num_eval_examples=1, seed=5, max_turns=9)
    assert [row["info"]["seed"] for row in [*env.get_dataset(), *env.get_eval_dataset()]] == [5, 6, 7]
    async with qwen3_fake(replies_by_turn(["2", "3"])) as fake:
        state = await roll(env, fake)
    assert state["error"] is None
    assert [m["content"] for m in [*state["prompt"], *state["completion"]]] == ["5 left", "2", "3 left", "3", "0 left"]
    assert ([step["reward"] for step in state["trajectory"]], state["reward"]) == ([0.25, 0.25], 0.5)
    assert (state["stop_condition"], game.is_closed, "game" in state) == ("has_final_env_response", True, False)


async def test_the_action_of_the_last_turn_is_played_and_a_turn_without_one_is_not(qwen3_fake: FakeMaker) -> None:
    game = Countdown()
    env = vf.GymnasiumEnv(lambda: game, seed=5, max_turns=2, parser=vf.XMLParser(["answer"]))
    async with qwen3_fake(replies_by_turn(["hm", "<answer>4</answer>"])) as fake:
        state = await roll(env, fake)
    assert "no action" in state["completion"][1]["content"]
    assert [step["reward"] for step in state["trajectory"]] == [0.0, 0.25]
    assert (game.left, state["stop_condition"]) == (1, "max_turns_reached")


async def test_a_game_that_raises_ends_its_rollout_and_is_closed(qwen3_fake: FakeMaker) -> None:
    game = Countdown()
    async with qwen3_fake(replies_by_turn(["many"])) as fake:
        state = await roll(vf.GymnasiumEnv(lambda: game, seed=5), fake)
    assert isinstance(state["error"], vf.EnvironmentHookError)
    assert (state["reward"], game.is_closed) == (None, True)


async def test_a_game_of_gymnasium_itself_is_played_with_text_for_numbers(qwen3_fake: FakeMaker) -> None:
    gymnasium = pytest.importorskip("gymnasium", reason="the extra gymnasium is not installed")
    directions = ["left", "down", "right", "up"]

    class Board(gymnasium.ObservationWrapper):  # type: ignore[misc,name-defined]
        """Shows the board instead of the number of a field."""

        def observation(self, observation: int) -> str:
            return str(self.render())

    def lake() -> Any:
        return Board(gymnasium.make("FrozenLake-v1", is_slippery=False, render_mode="ansi"))

    def number(text: str) -> int | None:
        word = text.strip().lower()
        return directions.index(word) if word in directions else None

    env = vf.GymnasiumEnv(lake, num_train_examples=1, parser=vf.Parser(extract_fn=number), to_text=plain)
    moves = ["Down", "down", "swim", "Right", "Right", "down", "right"]
    async with qwen3_fake(replies_by_turn(moves)) as fake:
        state = await roll(env, fake)
    assert (state["error"], state["reward"], state["turn"]) == (None, 1.0, 7)
    said = [message["content"] for message in [*state["prompt"], *state["completion"][1::2]]]
    assert said[:2] == ["SFFF\nFHFH\nFFFH\nHFFG", "(Down)\nSFFF\nFHFH\nFFFH\nHFFG"]
    assert "no action" in said[3]
    assert [step["reward"] for step in state["trajectory"]] == [0.0] * 6 + [1.0]


def plain(board: str) -> str:
    """Without the colours of a terminal."""
    return re.sub(r"\x1b\[\d+m", "", board).strip()


@pytest.mark.parametrize("gym", ["leg_counting", ["leg_counting", {"name": "basic_arithmetic", "weight": 2.0}]])
async def test_reasoning_gym_scores_its_own_tasks(qwen3_fake: FakeMaker, gym: Any) -> None:
    pytest.importorskip("reasoning_gym", reason="the extra reasoning-gym is not installed")
    env = vf.ReasoningGymEnv(gym=gym, num_train_examples=2, num_eval_examples=1, seed=3)
    rows = [*env.get_dataset(), *env.get_eval_dataset()]
    assert len({row["question"] for row in rows}) == 3
    right = f"<answer>{rows[0]['answer']}</answer>"
    for said, reward in ((right, 1.0), ("no idea", 0.0)):
        async with qwen3_fake(replies_by_turn([said])) as fake:
            state = await roll(env, fake)
        assert (state["error"], state["reward"]) == (None, reward)


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("reasoning_gym", "textarena"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(vf.ConfigError, match="pip install reasoning-gym"):
        vf.ReasoningGymEnv(gym="leg_counting").get_dataset()
    with pytest.raises(vf.ConfigError, match="pip install textarena"):
        vf.TextArenaEnv(game="TowerOfHanoi-v0").make_env()


async def test_a_textarena_game_is_played_to_its_end(qwen3_fake: FakeMaker) -> None:
    pytest.importorskip("textarena", reason="the extra textarena is not installed")
    moves = ["[A C]", "[A B]", "[C B]", "[A C]", "[B A]", "[B C]", "[A C]"]
    env = vf.TextArenaEnv(game="TowerOfHanoi-v0", num_train_examples=1, num_eval_examples=0)
    async with qwen3_fake(replies_by_turn(moves)) as fake:
        state = await roll(env, fake)
    assert state["error"] is None
    assert "Tower of Hanoi" in state["prompt"][0]["content"]
    said = [m["content"] for m in state["completion"] if m["role"] == "user"]
    assert all(text.startswith("[GAME]") and "You have to move the disks" not in text for text in said[:-1])
    assert (state["turn"], state["reward"], state["stop_condition"]) == (7, 1.0, "has_final_env_response")


class WithoutWordLists:
    """A word game where nltk has no lists and cannot download them."""

    def __init__(self) -> None:
        raise LookupError("Resource 'words' not found.")


def test_a_word_game_without_its_lists_names_the_command_that_brings_them() -> None:
    textarena = pytest.importorskip("textarena", reason="the extra textarena is not installed")
    textarena.register("WithoutWordLists-v0", WithoutWordLists)
    with pytest.raises(vf.ConfigError, match=r"WithoutWordLists-v0 needs word lists: python -m nltk.downloader words "):
        vf.TextArenaEnv(game="WithoutWordLists-v0").make_env()


def secret_word_game() -> type:
    """A game that hides a word, in the shape of TextArena's own."""
    import textarena  # noqa: PLC0415  late: an extra

    class SecretWord(textarena.Env):  # type: ignore[misc,name-defined]
        def reset(self, num_players: int, seed: int | None = None) -> None:
            self.state = textarena.SinglePlayerState(num_players=num_players, seed=seed)
            word = ["apple", "lemon", "grape"][(seed or 0) % 3]
            self.state.reset(game_state={"secret_word": word}, player_prompt_function=lambda **_: "Guess my fruit.")

        def step(self, action: str) -> Any:
            word = self.state.game_state["secret_word"]
            self.state.add_observation(message=action, observation_type=textarena.ObservationType.PLAYER_ACTION)
            if action == f"[{word}]":
                self.state.set_outcome(reward=1.0, reason="Feedback: that is it")
            else:
                hint = f"You said {action}.\nFeedback:\nit begins with {word[0]}"
                self.state.add_observation(message=hint, observation_type=textarena.ObservationType.GAME_MESSAGE)
            return self.state.step()

    return SecretWord


async def test_a_game_s_secret_word_is_the_answer_and_feedback_is_told_as_the_author_says(
    qwen3_fake: FakeMaker,
) -> None:
    textarena = pytest.importorskip("textarena", reason="the extra textarena is not installed")
    textarena.register("SecretWord-v0", secret_word_game(), [textarena.wrappers.LLMObservationWrapper])

    def is_found(parser: vf.XMLParser, completion: vf.Messages, answer: str) -> float:
        return float(parser.parse_answer(completion) == f"[{answer}]")

    parser = vf.XMLParser(["guess"], answer_field="guess")
    env = vf.TextArenaEnv(
        game="SecretWord-v0", seed=1, feedback_fn=lambda text: text.split("Feedback:")[-1], parser=parser,
        rubric=vf.Rubric(is_found, parser=parser),
    )  # fmt: skip
    async with qwen3_fake(replies_by_turn(["<guess>[pear]</guess>", "<guess>[lemon]</guess>"])) as fake:
        state = await roll(env, fake)
    assert (state["error"], state["answer"], state["reward"]) == (None, "lemon", 1.0)
    assert [m["content"] for m in [*state["prompt"], *state["completion"]]] == [
        "[GAME] Guess my fruit.",
        "<guess>[pear]</guess>",
        "\nit begins with l",
        "<guess>[lemon]</guess>",
        "Feedback: that is it",
    ]
    assert "answer" not in env.get_dataset(1)[0]
