"""Stand-in conversations: short ones that a template renders around a turn as it would render the real one.

Rendering a whole history to learn what follows its last turn would cost more with every turn. A template looks back
at little: the system messages, whether tools have answered before, which calls the last turn made, a user's
`/no_think`. A stand-in keeps that, and the real messages of the tail; what the model wrote is one word that occurs
nowhere else:

    [system messages] user "x" [one round of tools] assistant MARK [its calls] + the tail
"""

from __future__ import annotations

import random
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from verifiers_tito.stitching.past import Context
from verifiers_tito.stitching.plan import NativeMessage

_FILLER = "x"
_EARLIER_CALLS = 90_000


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
    `calls_beside_empty` is false where the template writes no calls beside an empty content; `filler` is the content
    of earlier messages."""

    mark: str
    calls: CallStyle = CallStyle.ARGUMENTS_AS_OBJECT
    no_content: str | None = None
    content_with_calls: bool = True
    calls_beside_empty: bool = True
    filler: str = _FILLER

    def assistant(self, after: NativeMessage) -> dict[str, Any]:
        """The marked turn in the place of `after`. Ids and names of its calls are kept: tool results refer to them."""
        calls = after.get("tool_calls") or []
        if not calls:
            return {"role": "assistant", "content": self.mark}
        if self.calls is CallStyle.NOT_SHOWN:  # a template may look at them all the same
            told = [self._call(call, argument=self.filler) for call in calls]
            return {"role": "assistant", "content": self.mark, "tool_calls": told}
        has_content = bool(after.get("content")) and self.content_with_calls
        silent = self.no_content
        if after.get("content") == "":
            silent = "" if self.calls_beside_empty else self.mark
        return {
            "role": "assistant",
            "content": self.mark if has_content else silent,
            "tool_calls": [self._call(call) for call in calls],
        }

    def history(
        self, context: Context, systems: Sequence[NativeMessage] = (), *, switch: str = "", longer: bool = False
    ) -> list[NativeMessage]:
        """The messages before the marked turn. `systems` are the real system messages, `switch` what a user said to
        switch thinking on or off; `longer`: with more of everything, in which a template should see no difference."""
        told = list(systems)
        spare: NativeMessage = {"role": "system", "content": _FILLER}
        made: list[NativeMessage] = []
        if context.system:
            made.append(told.pop(0) if told else spare)
        made.append({"role": "user", "content": switch or self.filler})
        if longer:
            made += self._exchange()
        if context.later_system:
            answer, question = self._exchange()
            made += [answer, *(told or [spare]), question]
        if context.tools:
            made += [*self._tool_round(1), *self._exchange()] if longer else []
            made += [*self._tool_round(0), *([] if context.answers_tools else self._exchange())]
        return made

    @property
    def question(self) -> NativeMessage:
        """What the user said earlier."""
        return {"role": "user", "content": self.filler}

    def turn_that_calls(self, call: NativeMessage) -> NativeMessage:
        """A turn of the history that calls a tool."""
        content = self.filler if self.calls is CallStyle.NOT_SHOWN else self.no_content
        told = [self._call(call, argument=self.filler)]
        return {"role": "assistant", "content": content, "tool_calls": told}

    def _exchange(self) -> list[NativeMessage]:
        return [{"role": "assistant", "content": self.filler}, self.question]

    def _tool_round(self, number: int) -> list[NativeMessage]:
        """A call and its answer. No other call has the same id."""
        call = synthetic_call(_EARLIER_CALLS + number)
        return [self.turn_that_calls(call), tool_result(call, self.filler)]

    def _call(self, call: NativeMessage, *, argument: str | None = None) -> dict[str, Any]:
        arguments: Any = {"x": argument or self.mark}
        if self.calls is CallStyle.ARGUMENTS_AS_TEXT:
            arguments = f'{{"x": "{argument or self.mark}"}}'
        function: Mapping[str, Any] = call["function"]
        return {
            **({"id": call["id"]} if "id" in call else {}),
            "type": "function",
            "function": {"name": function["name"], "arguments": arguments},
        }


def new_mark() -> str:
    """A word of letters that nobody else can know, so that no message can hold it."""
    return f"Qz{''.join(random.SystemRandom().choices(string.ascii_lowercase, k=16))}zQ"


def synthetic_call(number: int) -> dict[str, Any]:
    """A call for probing. Its id has nine letters and digits: Mistral's templates insist on that."""
    return {"id": f"call{number:05}", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def tool_result(call: NativeMessage, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call["id"], "content": content}
