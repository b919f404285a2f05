"""gpt-oss' channels: an answer is a row of messages, each with a header that says what it is.

    <|channel|>analysis<|message|>reasoning<|end|><|start|>assistant to=functions.f<|channel|>commentary json
    <|message|>{"a": 1}<|call|>

Reasoning is in the channel `analysis`, content in `final` or, addressed to nobody, in `commentary`; what is addressed
to a function is a call. The end token is a part of the last message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from verifiers_tito.parsing.request import ParseRequest
from verifiers_tito.parsing.result import CallProblem, ParsedText, UnparsedToolCall
from verifiers_tito.types import ToolCall

START, CHANNEL, MESSAGE, CONSTRAIN = "<|start|>", "<|channel|>", "<|message|>", "<|constrain|>"
ENDS = ("<|end|>", "<|call|>", "<|return|>")
END = re.compile("|".join(map(re.escape, ENDS)))
RECIPIENT = re.compile(r"to=([^\s<]++)")
BUILTINS = frozenset({"python", "browser", "container"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelMessage:
    """One message as it was written. `is_closed`: an end token stands behind it."""

    text: str
    channel: str | None
    recipient: str | None
    content_type: str | None
    body: str
    is_closed: bool

    @property
    def calls_function(self) -> bool:
        name = self.recipient or ""
        if name.startswith("functions."):
            return name != "functions."
        return bool(name) and name != "assistant" and name.split(".")[0] not in BUILTINS

    @property
    def is_content(self) -> bool:
        return self.channel == "final" or (self.channel == "commentary" and self.recipient is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class HarmonyFormat:
    """`reads_reasoning`, `reads_calls`: as vLLM with its reasoning and its tool parser; what is not read is dropped."""

    reads_reasoning: bool = True
    reads_calls: bool = True
    includes_end: bool = True

    def keeps_special(self, request: ParseRequest) -> bool:
        return True

    def parse(self, text: str, request: ParseRequest, *, call_id: Callable[[], str]) -> ParsedText:
        reasoning: list[str] = []
        content: list[str] = []
        calls: list[ToolCall] = []
        unparsed: list[UnparsedToolCall] = []
        for message in _messages(text):
            if message.calls_function and self.reads_calls and request.allows_calls:
                call, problem = _call(message, call_id)
                calls.append(call)
                if problem:
                    unparsed.append(UnparsedToolCall(text=message.text, problem=problem, is_served=True))
            elif message.calls_function or not message.body:
                continue
            elif message.channel == "analysis":
                reasoning.append(message.body)
            elif message.is_content:
                content.append(message.body)
        said = "\n".join(content) or None
        return ParsedText(
            reasoning=("\n".join(reasoning) or None) if self.reads_reasoning else None,
            content=(said or "") if request.must_call else said,
            tool_calls=tuple(calls),
            unparsed_tool_calls=tuple(unparsed),
        )


def _messages(text: str) -> Iterator[ChannelMessage]:
    place = 0
    while place < len(text):
        begin = text.find(MESSAGE, place)
        if begin < 0:
            yield _unfinished(text[place:])
            return
        body_begin = begin + len(MESSAGE)
        end = END.search(text, body_begin)
        after = end.end() if end else len(text)
        body = text[body_begin : end.start() if end else len(text)]
        yield _message(text[place:after], text[place:begin], body, is_closed=end is not None)
        place = after


def _unfinished(text: str) -> ChannelMessage:
    """A message cut off in its header: vLLM gives its text as content."""
    return ChannelMessage(text=text, channel="final", recipient=None, content_type=None, body=text, is_closed=False)


def _message(text: str, header: str, body: str, *, is_closed: bool) -> ChannelMessage:
    before, _, channel_part = header.removeprefix(START).partition(CHANNEL)
    recipient = RECIPIENT.search(before) or RECIPIENT.search(channel_part)
    words = RECIPIENT.sub(" ", channel_part.replace(CONSTRAIN, f" {CONSTRAIN}")).split()
    return ChannelMessage(
        text=text,
        channel=words[0] if words else None,
        recipient=recipient.group(1) if recipient else None,
        content_type=words[1] if len(words) > 1 else None,
        body=body,
        is_closed=is_closed,
    )


def _call(message: ChannelMessage, call_id: Callable[[], str]) -> tuple[ToolCall, CallProblem | None]:
    """The call, its JSON written anew as vLLM does, and what is wrong with it, if anything is."""
    arguments, problem = message.body, None if message.is_closed else CallProblem.NOT_CLOSED
    if message.content_type is None or "json" in message.content_type:
        try:
            arguments = json.dumps(json.loads(arguments))
        except (ValueError, RecursionError):
            problem = problem or CallProblem.NO_JSON
    name = (message.recipient or "").removeprefix("functions.")
    return ToolCall(id=call_id(), name=name, arguments=arguments), problem
