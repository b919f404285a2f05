"""Number guessing: the environment holds a secret number and says "higher" or "lower".

Small on purpose: a model of 135 million parameters can take part, and a better policy (halving the range) earns
more. The reward is 1.0 for a hit on the first guess, less for each further guess, and a little for a last guess that
came close.
"""

from __future__ import annotations

import random
import re
from typing import Any

import verifiers_tito as vf

SYSTEM_PROMPT = "You play a guessing game. Answer with one whole number and nothing else."
QUESTION = "I am thinking of a number from 1 to {highest}. What is your guess?"
HINT = "{guess} is wrong. My number is {direction}. Guess again."
NO_NUMBER = "That was no number. Guess a whole number from 1 to {highest}."


class NumberGuessEnv(vf.MultiTurnEnv):
    """Answers each guess with a hint until the guess is right or the turns are used up."""

    def __init__(self, *, highest: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.highest = highest

    async def setup_state(self, state: vf.State) -> vf.State:
        state["guesses"] = []
        return state

    async def add_trajectory_step(self, state: vf.State, step: vf.TrajectoryStep) -> None:
        await super().add_trajectory_step(state, step)
        state["guesses"].append(find_number(vf.content_to_text(step["completion"][-1].content)))

    async def env_response(self, messages: vf.Messages, state: vf.State, **kwargs: Any) -> vf.Messages:
        guess, secret = state["guesses"][-1], state["info"]["secret"]
        if guess == secret:
            state["final_env_response"] = [vf.UserMessage(content="Correct!")]
            return []
        if guess is None:
            return [vf.UserMessage(content=NO_NUMBER.format(highest=self.highest))]
        direction = "higher" if guess < secret else "lower"
        return [vf.UserMessage(content=HINT.format(guess=guess, direction=direction))]


def find_number(text: str) -> int | None:
    """The first whole number in `text`, of at most nine digits."""
    found = re.search(r"\d{1,9}", text)
    return int(found.group()) if found else None


async def guessing_score(state: vf.State) -> float:
    """1.0 for a hit on the first guess, above 0.5 for a later one; up to 0.3 for a last guess that came close."""
    secret, guesses = state["info"]["secret"], state["guesses"]
    if secret in guesses:
        return 1.0 - 0.5 * guesses.index(secret) / len(guesses)
    last = next((guess for guess in reversed(guesses) if guess is not None), None)
    return 0.0 if last is None else 0.3 * max(0.0, 1.0 - abs(last - secret) / state["info"]["highest"])


def example_game(highest: int) -> vf.Messages:
    """A short game as few-shot messages: without one, a very small model explains guessing instead of doing it."""
    middle = (highest + 1) // 2
    return [
        vf.UserMessage(content=QUESTION.format(highest=highest)),
        vf.AssistantMessage(content=str(middle)),
        vf.UserMessage(content=HINT.format(guess=middle, direction="higher")),
        vf.AssistantMessage(content=str((middle + highest + 1) // 2)),
    ]


def load_environment(
    num_examples: int = 100, highest: int = 10, max_turns: int = 6, seed: int = 0, show_example: bool = True
) -> vf.Environment:
    """`num_examples` games with secrets from 1 to `highest`, drawn from `seed`, each behind an example of a game.

    A model that has learnt the game needs no example: `show_example=False`.
    """
    draw = random.Random(seed)
    question = QUESTION.format(highest=highest)
    rows = [
        {
            "question": f"Correct! Next game. {question}" if show_example else question,
            "info": {"secret": draw.randint(1, highest), "highest": highest},
        }
        for _ in range(num_examples)
    ]
    return NumberGuessEnv(
        highest=highest,
        dataset=vf.Environment.make_dataset(rows),
        system_prompt=SYSTEM_PROMPT,
        few_shot=example_game(highest) if show_example else None,
        rubric=vf.Rubric(guessing_score),
        max_turns=max_turns,
    )
