"""Stand-in conversations: short ones that a template renders around a turn as it would render the real one.

Rendering a whole history to learn what follows its last turn would cost more with every turn. A template looks back
at little: whether there is a system message, whether tools have answered before, which calls the last turn made. A
stand-in keeps that, and the real messages of the tail; everything the model wrote is one word that occurs nowhere else:

    [system "x"] user "x" [one round of tools] assistant MARK [its calls] + the tail
"""

from __future__ import annotations

import random
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from verifiers_tito.stitching.plan import NativeMessage

SYSTEM_ROLES = ("system", "developer")

_FILLER = "x"


@dataclass(frozen=True, slots=True)
class Context:
    """What templates look back at, in the history before the turn that is continued."""

    system: bool = False
    """It begins with a message of the system (or a developer)."""
    later_system: bool = False
    """Another one stands further down."""
    tools: bool = False
    """Tools have answered in it."""


class CallStyle(Enum):
    """How a stand-in shows a turn that called tools, so that the template writes the calls."""

    ARGUMENTS_AS_OBJECT = "arguments as an object"
    ARGUMENTS_AS_TEXT = "arguments as a text"
    NOT_SHOWN = "not shown"
    """The template writes no calls: the turn is its content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandInStyle:
    """How one template wants its stand-ins. `content_with_calls` is false where the template puts the content of a
    calling turn behind the tools' answers; `no_content` is the content of a turn that only calls tools;
    `repeats_system`: the template writes the system message (again) behind the turn, so that the real one is needed."""

    mark: str
    calls: CallStyle = CallStyle.ARGUMENTS_AS_OBJECT
    no_content: str | None = None
    content_with_calls: bool = True
    repeats_system: bool = False

    def assistant(self, after: NativeMessage) -> dict[str, Any]:
        """The marked turn in the place of `after`. Ids and names of its calls are kept: tool results refer to them."""
        calls = after.get("tool_calls") or []
        if not calls or self.calls is CallStyle.NOT_SHOWN:
            return {"role": "assistant", "content": self.mark}
        has_content = bool(after.get("content")) and self.content_with_calls
        return {
            "role": "assistant",
            "content": self.mark if has_content else self.no_content,
            "tool_calls": [self._call(call) for call in calls],
        }

    def context(self, context: Context, systems: Sequence[NativeMessage] = ()) -> list[NativeMessage]:
        """The messages before the marked turn. `systems` are the real system messages of the history."""
        told = list(systems) if self.repeats_system else [{**message, "content": _FILLER} for message in systems]
        spare: NativeMessage = {"role": "system", "content": _FILLER}
        made: list[NativeMessage] = []
        if context.system:
            made.append(told.pop(0) if told else spare)
        made.append({"role": "user", "content": _FILLER})
        if context.later_system:
            answer, question = filler_exchange()
            made += [answer, *(told if self.repeats_system and told else told[:1] or [spare]), question]
        return [*made, *self.tool_round()] if context.tools else made

    def tool_round(self) -> list[NativeMessage]:
        """A call, its answer, the model's answer to that, and the user again."""
        call = synthetic_call(0)
        turn = {"role": "assistant", "content": self.no_content, "tool_calls": [self._call(call, argument=_FILLER)]}
        if self.calls is CallStyle.NOT_SHOWN:
            turn = {"role": "assistant", "content": _FILLER, "tool_calls": [call]}
        return [turn, tool_result(call, _FILLER), *filler_exchange()]

    def _call(self, call: NativeMessage, *, argument: str | None = None) -> dict[str, Any]:
        arguments: Any = {"x": argument or self.mark}
        if self.calls is CallStyle.ARGUMENTS_AS_TEXT:
            arguments = f'{{"x": "{argument or self.mark}"}}'
        function: Mapping[str, Any] = call["function"]
        return {
            "id": call.get("id"),
            "type": "function",
            "function": {"name": function["name"], "arguments": arguments},
        }


def new_mark() -> str:
    """A word of letters that nobody else can know, so that no message can hold it."""
    return f"Qz{''.join(random.SystemRandom().choices(string.ascii_lowercase, k=16))}zQ"


def filler_exchange() -> list[NativeMessage]:
    return [{"role": "assistant", "content": _FILLER}, {"role": "user", "content": _FILLER}]


def synthetic_call(number: int) -> dict[str, Any]:
    """A call for probing. Its id has nine letters and digits: Mistral's templates insist on that."""
    return {"id": f"call{number:05}", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def tool_result(call: NativeMessage, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call["id"], "content": content}


@dataclass(frozen=True, slots=True, kw_only=True)
class Junction:
    """Where a conversation goes on: the turn `after`, the messages said since, and the history before in short, with
    its system messages."""

    after: NativeMessage
    tail: Sequence[NativeMessage]
    context: Context = Context()
    systems: Sequence[NativeMessage] = ()

    @classmethod
    def between(cls, history: Sequence[NativeMessage], after: NativeMessage, tail: Sequence[NativeMessage]) -> Junction:
        """From the whole history, which is looked through."""
        systems = [message for message in history if message["role"] in SYSTEM_ROLES]
        first = bool(history) and history[0]["role"] in SYSTEM_ROLES
        context = Context(
            system=first,
            later_system=len(systems) > first,
            tools=any(message["role"] == "tool" for message in history),
        )
        return cls(after=after, tail=tail, context=context, systems=systems)

    def stand_in(self, style: StandInStyle) -> list[NativeMessage]:
        """The conversation to render for the bridge."""
        return [*style.context(self.context, self.systems), style.assistant(self.after), *self.tail]
