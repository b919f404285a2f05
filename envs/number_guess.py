"""Number guessing: the environment holds a secret number and says "higher" or "lower".

Small on purpose: a model of 135 million parameters can take part, and a better policy (halving the range) earns
more. The reward is 1.0 for a hit on the first guess, less for each further guess, and a little for a last guess that came close.
"""

from __future__ import annotations

import random
import re
from typing import Any

import verifiers_tito as vf

SYSTEM_PROMPT = "You play a guessing game. Answer with one whole number and nothing else."


class NumberGuessEnv(vf.MultiTurnEnv):
    """Answers each guess with a hint until the guess is right or the turns are used up."""

    def __init__(self, *, highest: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.highest = highest

    async def setup_state(self, state: vf.State) -> vf.State:
        state["guesses"] = []
        return state

    async def env_response(self, messages: vf.Messages, state: vf.State, **kwargs: Any) -> vf.Messages:
        guess = find_number(vf.content_to_text(messages[-1].content))
        state["guesses"].append(guess)
        if guess is None:
            hint = f"That was no number. Guess a whole number from 1 to {self.highest}."
        elif guess == state["info"]["secret"]:
            state["final_env_response"] = [vf.UserMessage(content="Correct!")]
            return []
        else:
            direction = "higher" if guess < state["info"]["secret"] else "lower"
            hint = f"{guess} is wrong. My number is {direction}. Guess again."
        return [vf.UserMessage(content=hint)]


def find_number(text: str) -> int | None:
    """The first whole number in `text`, of at most nine digits."""
    found = re.search(r"\d{1,9}", text)
    return int(found.group()) if found else None


async def guessing_score(state: vf.State) -> float:
    """1.0 for a hit on the first guess, 0.5 at worst for a later one; up to 0.3 for a last guess that came close."""
    secret, highest = state["info"]["secret"], state["info"]["highest"]
    guesses = [find_number(vf.content_to_text(step["completion"][-1].content)) for step in state["trajectory"]]
    if secret in guesses:
        return 1.0 - 0.5 * guesses.index(secret) / max(len(guesses), 1)
    last = next((guess for guess in reversed(guesses) if guess is not None), None)
    return 0.0 if last is None else 0.3 * max(0.0, 1.0 - abs(last - secret) / highest)


def load_environment(
    num_examples: int = 100, highest: int = 10, max_turns: int = 6, seed: int = 0
) -> vf.Environment:
    """`num_examples` games with secrets from 1 to `highest`, drawn from `seed`."""
    draw = random.Random(seed)
    rows = [
        {
            "question": f"I am thinking of a number from 1 to {highest}. What is your guess?",
            "info": {"secret": draw.randint(1, highest), "highest": highest},
        }
        for _ in range(num_examples)
    ]
    return NumberGuessEnv(
        highest=highest,
        dataset=vf.Environment.make_dataset(rows),
        system_prompt=SYSTEM_PROMPT,
        rubric=vf.Rubric(guessing_score),
        max_turns=max_turns,
    )
