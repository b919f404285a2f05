"""Conversations of random make-up: what nobody thought of when writing shapes down."""

from __future__ import annotations

from random import Random

from tests.corpus.shape import (
    Ending,
    Message,
    Shape,
    assistant,
    calling,
    results,
    system,
    tool_round,
    tools,
    user,
    words,
)


def random_shape(random: Random) -> Shape:
    """A history of up to four exchanges, a turn, and a tail of up to six messages."""
    turn, tail = _calling_turn(random) if random.random() < 0.5 else _plain_turn(random)
    declares = turn.get("tool_calls") or random.random() < 0.3
    return Shape(
        name="random",
        history=_history(random),
        assistant=turn,
        tail=tail,
        tools=tools() if declares else None,
        ending=random.choice([Ending.TEMPLATE_CLOSE, Ending.TRUNCATED]),
        template_kwargs={} if random.random() < 0.6 else {"enable_thinking": random.random() < 0.5},
    )


def _history(random: Random) -> list[Message]:
    messages = [system(words(random))] if random.random() < 0.4 else []
    messages.append(user(words(random)))
    for _ in range(random.randint(0, 4)):
        choice = random.random()
        if choice < 0.5:
            messages += [assistant(words(random)), user(words(random))]
        elif choice < 0.8:
            rounds = tool_round(random, random.randint(1, 2))
            messages += [*rounds, assistant(words(random)), user(words(random))]
        elif choice < 0.9:
            messages += tool_round(random)
        else:
            messages += [assistant(words(random)), system(words(random)), user(words(random))]
    return messages


def _calling_turn(random: Random) -> tuple[Message, list[Message]]:
    turn = calling(random, count=random.randint(1, 4), content=random.choice(["", words(random)]))
    tail = results(random, turn)
    if random.random() < 0.4:
        tail.append(random.choice([user, system])(words(random)))
    if random.random() < 0.2:
        tail.append(user(words(random)))
    return turn, [user(words(random))] if random.random() < 0.1 else tail


def _plain_turn(random: Random) -> tuple[Message, list[Message]]:
    tail = [user(words(random))]
    if random.random() < 0.2:
        tail.insert(0, system(words(random)))
    if random.random() < 0.2:
        tail.append(user(words(random)))
    return assistant(words(random)), [system(words(random))] if random.random() < 0.1 else tail
