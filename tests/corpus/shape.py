"""What a conversation shape is, and the small parts that shapes are made of. It knows no family."""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import wraps
from random import Random
from typing import Any

Message = dict[str, Any]

CONTROL_PLACE = "@CONTROL@"
"""Stands in a content where each family puts a control string of its own; see `Shape.with_control_string`."""

WORDS = (
    "river", "seven", "lantern", "quiet", "matrix", "the", "of", "answer", "orbit", "window", "green", "please",
    "compute", "today", "why", "between", "paper", "42", "3.14", "don't", "x_1", "naïve", "it's", "(maybe)",
)  # fmt: skip
TOOL_NAMES = ("get_weather", "search_web", "run_code")


class Ending(StrEnum):
    """How the sampled ids of the assistant's turn end."""

    TEMPLATE_CLOSE = "template close"  # with the template's own end of turn
    TRUNCATED = "truncated"  # without any, at the token limit
    STOP_STRING = "stop string"  # without any, after a stop string that stays in the ids
    ALTERNATIVE = "alternative end"  # with another token that ends a turn in this family, where it has one


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A conversation around one sampled turn: what was said before, the turn, and what is said after it.

    Messages are OpenAI's, with tool-call arguments as dicts, as `transformers` takes them.
    """

    history: list[Message]
    assistant: Message
    tail: list[Message]
    name: str = ""
    tools: list[dict[str, Any]] | None = None
    ending: Ending = Ending.TEMPLATE_CLOSE
    template_kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def calls(self) -> list[dict[str, Any]]:
        return self.assistant.get("tool_calls") or []

    @property
    def holds_control_strings(self) -> bool:
        return CONTROL_PLACE in repr((self.history, self.tail))

    @property
    def body_text(self) -> str:
        """Something the model could have sampled for this turn; its ids are up to the model anyway."""
        calls = [json.dumps(call["function"], ensure_ascii=False) for call in self.calls]
        parts = [self.assistant.get("reasoning_content"), self.assistant.get("content"), *calls]
        return "\n".join(part for part in parts if part)

    def with_control_string(self, text: str) -> Shape:
        """The shape with `text` at every place for a control string. The assistant's own turn has no such place."""
        return replace(self, history=_filled(self.history, text), tail=_filled(self.tail, text))


ShapeMaker = Callable[[Random], Shape]


def _filled(messages: list[Message], text: str) -> list[Message]:
    return [
        message | {"content": message["content"].replace(CONTROL_PLACE, text)} if message["content"] else message
        for message in messages
    ]


def words(random: Random, count: int = 0) -> str:
    return " ".join(random.choice(WORDS) for _ in range(count or random.randint(2, 12)))


def call_id(random: Random) -> str:
    """Nine letters or digits: the only ids that Mistral's templates accept, and fine with everybody else."""
    return "".join(random.choice(string.ascii_letters + string.digits) for _ in range(9))


def system(content: str) -> Message:
    return {"role": "system", "content": content}


def user(content: str) -> Message:
    return {"role": "user", "content": content}


def assistant(content: str | None, **more: Any) -> Message:
    return {"role": "assistant", "content": content, **more}


def call(random: Random, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
    if arguments is None:
        arguments = {"query": words(random), "limit": random.randint(1, 99)}
    function = {"name": random.choice(TOOL_NAMES), "arguments": arguments}
    return {"id": call_id(random), "type": "function", "function": function}


def calling(random: Random, *, count: int = 1, content: str | None = "", **more: Any) -> Message:
    return assistant(content, tool_calls=[call(random) for _ in range(count)], **more)


def results(random: Random, asking: Message, *contents: str) -> list[Message]:
    """A tool message for each call of `asking`, with the given contents or made-up ones."""
    made = contents or tuple(words(random) for _ in asking["tool_calls"])
    return [
        {"role": "tool", "tool_call_id": asked["id"], "content": content}
        for asked, content in zip(asking["tool_calls"], made, strict=True)
    ]


def tools() -> list[dict[str, Any]]:
    """The three tools that calls name, with descriptions, since some templates require one."""
    parameters = {
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "What to look for."},
            "limit": {"type": "integer", "description": "How many at most."},
        },
        "required": ["query"],
    }
    return [
        {
            "type": "function",
            "function": {"name": name, "description": f"Does {name} for you.", "parameters": parameters},
        }
        for name in TOOL_NAMES
    ]


def registrar(makers: list[ShapeMaker]) -> Callable[[ShapeMaker], ShapeMaker]:
    """A decorator that adds a maker to `makers`; the shape is called as its maker is."""

    def register(make: ShapeMaker) -> ShapeMaker:
        @wraps(make)
        def named(random: Random) -> Shape:
            return replace(make(random), name=make.__name__)

        makers.append(named)
        return named

    return register


def plain(random: Random, *tail: Message, body: str | None = "", ending: Ending | None = None) -> Shape:
    """A question, an answer, and `tail` (a user's message where nothing is given)."""
    return Shape(
        history=[user(words(random))],
        assistant=assistant(words(random) if body == "" else body or ""),
        tail=list(tail) or [user(words(random))],
        ending=ending or Ending.TEMPLATE_CLOSE,
    )


def answered(random: Random, *contents: str, count: int = 1, after: Message | None = None) -> Shape:
    """A turn with calls and their results, then `after` where it is given."""
    asking = calling(random, count=count)
    tail = [*results(random, asking, *contents), *([after] if after else [])]
    return Shape(history=[user(words(random))], assistant=asking, tail=tail, tools=tools())


def called(random: Random, asking: Message, *after: Message) -> Shape:
    """A calling turn given as it is, the results of all its calls, then `after`."""
    tail = [*results(random, asking), *after]
    return Shape(history=[user(words(random))], assistant=asking, tail=tail, tools=tools())


def tool_round(random: Random, count: int = 1) -> list[Message]:
    asking = calling(random, count=count)
    return [asking, *results(random, asking)]


def questions(random: Random, count: int) -> list[Message]:
    return [turn for _ in range(count) for turn in (user(words(random)), assistant(words(random)))]
