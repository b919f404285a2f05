"""A word game: the environment thinks of a word of five letters and says, letter by letter, what is right in a guess.

Credit is given turn by turn: a turn earns what it found out (letters now known to be in their place), so that a learner
sees which guess was worth something. Finding the word earns the rest up to 1.0, and a bonus for each turn not used.
"""

from __future__ import annotations

import random
from typing import Any

import verifiers_tito as vf

WORDS = (
    "apple", "bread", "chair", "dance", "earth", "flame", "grape", "house", "light",
    "money", "night", "ocean", "plant", "queen", "river", "stone", "table", "water",
)  # fmt: skip
SYSTEM_PROMPT = (
    "You play a word game. Find the secret word of five letters. After each guess you see it again, with a capital for "
    "a letter in its place, a small one for a letter that stands elsewhere in the word, and a dot for any other."
)
QUESTION = "What is your guess? Write it as {form}"
PARSER = vf.XMLParser(["guess"], answer_field="guess", extract_fn=str.lower)
BONUS_PER_TURN = 0.1


class WordGameEnv(vf.MultiTurnEnv):
    """Answers each guess with what is right about it, until the word is found or the turns are used up."""

    async def env_response(self, messages: vf.Messages, state: vf.State, **kwargs: Any) -> vf.Messages:
        secret, guess = state["answer"], PARSER.parse_answer(messages[-1:])
        if guess == secret:
            state["final_env_response"] = [vf.UserMessage(content=f"{secret.upper()} it is!")]
            return []
        if guess is None or len(guess) != len(secret):
            return [
                vf.UserMessage(content=f"That is no word of {len(secret)} letters in the tags <guess> and </guess>.")
            ]
        return [vf.UserMessage(content=f"{compare(guess, secret)}\nWhat is your next guess?")]


def compare(guess: str, secret: str) -> str:
    """`guess` with capitals for letters in their place, dots for letters that `secret` has not (any more)."""
    elsewhere = [letter for letter, right in zip(secret, guess, strict=True) if letter != right]
    shown = []
    for letter, right in zip(guess, secret, strict=True):
        if letter == right:
            shown.append(letter.upper())
        elif letter in elsewhere:
            elsewhere.remove(letter)
            shown.append(letter)
        else:
            shown.append(".")
    return "".join(shown)


def guesses(state: vf.State) -> list[str]:
    """The word of each turn, "" where there was none."""
    return [PARSER.parse_answer(step["completion"]) or "" for step in state["trajectory"]]


@vf.turn_reward
def letters_found(state: vf.State, answer: str) -> list[float]:
    """For each turn, the part of the word's letters that it put in their place for the first time."""
    known: set[int] = set()
    rewards = []
    for guess in guesses(state):
        placed = {at for at, (letter, right) in enumerate(zip(guess, answer, strict=False)) if letter == right}
        placed = placed if len(guess) == len(answer) else set()
        rewards.append(len(placed - known) / len(answer))
        known |= placed
    return rewards


def turns_left(state: vf.State, answer: str, max_turns: int) -> float:
    """How many turns were not used, where the word was found."""
    return float(max_turns - len(state["trajectory"])) if answer in guesses(state) else 0.0


def load_environment(num_examples: int = 100, max_turns: int = 6, seed: int = 0) -> vf.Environment:
    """`num_examples` games with words drawn from `seed`."""
    draw = random.Random(seed)
    question = QUESTION.format(form=PARSER.format(guess="word").replace("\n", ""))
    rubric = vf.Rubric([letters_found, turns_left], weights=[1.0, BONUS_PER_TURN], parser=PARSER)
    rubric.add_metric(PARSER.get_format_reward_func())
    rubric.add_class_object("max_turns", max_turns)
    return WordGameEnv(
        dataset=[{"question": question, "answer": draw.choice(WORDS)} for _ in range(num_examples)],
        system_prompt=SYSTEM_PROMPT,
        parser=PARSER,
        rubric=rubric,
        max_turns=max_turns,
    )
