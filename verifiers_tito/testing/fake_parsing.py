"""Reasoning and tool calls in a sampled text, as vLLM's `qwen3` and `hermes` parsers find them.

Whole texts and growing ones: a stream is parsed by parsing all of it again and sending what is new. It knows text
and a few control tokens, no HTTP and no sampling.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

THINK, THINK_END = "<think>", "</think>"
CALL, CALL_END = "<tool_call>", "</tool_call>"
TURN_BORDERS = ("<|im_start|>", "<|im_end|>")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedCall:
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A parsed answer. None means that the part is absent, which on the wire is null."""

    content: str | None
    reasoning: str | None = None
    calls: list[ParsedCall] = field(default_factory=list)


def parse_answer(text: str, *, thinking: bool, tool_calls: bool) -> Parsed:
    """A whole answer. `thinking`: it begins inside the thinking block, whether or not it writes `<think>`."""
    reasoning: str | None = None
    content: str | None = text
    if thinking:
        reasoning, content = split_reasoning(text)
    if not tool_calls:
        return Parsed(content=content, reasoning=reasoning)
    calls = find_calls(content or "")
    if not calls:
        return Parsed(content=content, reasoning=reasoning)
    before = (content or "").split(CALL, 1)[0]
    return Parsed(content=before if before.strip() else None, reasoning=reasoning, calls=calls)


def split_reasoning(text: str) -> tuple[str | None, str | None]:
    """(reasoning, content). Thinking ends at `</think>`, or where a tool call begins."""
    ends = [(text.index(mark), mark) for mark in (THINK_END, CALL) if mark in text]
    if not ends:
        return text.replace(THINK, "") or None, None
    position, mark = min(ends)
    rest = text[position + len(mark) :] if mark == THINK_END else text[position:]
    return text[:position].replace(THINK, "") or None, rest.replace(THINK_END, "") or None


def find_calls(content: str) -> list[ParsedCall]:
    """The tool calls of a text: all of them, or none where one is malformed. The last need not be closed."""
    calls = []
    for closed, unclosed in re.findall(r"<tool_call>(.*?)</tool_call>|<tool_call>(.*)", content, re.DOTALL):
        try:
            call = json.loads(closed or unclosed)
            arguments = json.dumps(call["arguments"], ensure_ascii=False)
            calls.append(ParsedCall(name=str(call["name"]), arguments=arguments))
        except (ValueError, KeyError, TypeError):
            return []
    return calls


def prompt_ends_reasoning(prompt_ids: Sequence[int], *, marks: Mapping[str, int | None]) -> bool:
    """Whether the turn that the prompt has open is past its thinking. `marks` are the ids of the control tokens."""
    over = {marks.get(THINK_END), marks.get(CALL)}
    border = {marks.get(THINK), *(marks.get(name) for name in TURN_BORDERS)}
    for token_id in reversed(prompt_ids):
        if token_id in over:
            return True
        if token_id in border:
            return False
    return False


def count_reasoning_tokens(token_ids: Sequence[int], *, marks: Mapping[str, int | None]) -> int:
    """How many of the sampled ids are thinking; the control tokens around it are not counted."""
    count = 0
    for token_id in token_ids:
        if token_id in (marks.get(THINK_END), marks.get(CALL)):
            break
        count += token_id != marks.get(THINK)
    return count


class AnswerStream:
    """Parses a growing text. `feed` returns what is new as deltas of the wire, without ids for tool calls."""

    def __init__(self, *, thinking: bool, tool_calls: bool) -> None:
        self._thinking = thinking
        self._tool_calls = tool_calls
        self._text = ""
        self._reasoning_sent = 0
        self._content_sent = 0
        self._names_sent = 0
        self._arguments_sent: list[int] = []

    def feed(self, new_text: str, *, last: bool) -> StreamDelta:
        """What `new_text` adds. Text that may be the beginning of a mark waits, unless it is the `last`."""
        self._text += new_text
        settled = self._text if last else _without_partial_mark(self._text)
        reasoning, content = split_reasoning(settled) if self._thinking else (None, settled)
        new_reasoning = (reasoning or "")[self._reasoning_sent :]
        self._reasoning_sent += len(new_reasoning)
        plain = content or ""
        if self._tool_calls:
            plain = plain.split(CALL, 1)[0]
        new_content = plain[self._content_sent :]
        self._content_sent += len(new_content)
        calls = self._new_calls(content or "") if self._tool_calls else []
        return StreamDelta(reasoning=new_reasoning, content=new_content, calls=calls)

    def _new_calls(self, content: str) -> list[CallDelta]:
        deltas = []
        for index, region in enumerate(content.split(CALL)[1:]):
            call = region.split(CALL_END, 1)[0]
            name = re.search(r'"name"\s*:\s*"([^"]+)"', call)
            if name is None:
                break
            if index >= self._names_sent:
                self._names_sent += 1
                self._arguments_sent.append(0)
                deltas.append(CallDelta(index=index, name=name.group(1), arguments=None))
            new_arguments = _arguments_so_far(call)[self._arguments_sent[index] :]
            self._arguments_sent[index] += len(new_arguments)
            if new_arguments:
                deltas.append(CallDelta(index=index, name=None, arguments=new_arguments))
        return deltas


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDelta:
    """The begin of a tool call (name) or more of its arguments."""

    index: int
    name: str | None
    arguments: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDelta:
    reasoning: str
    content: str
    calls: list[CallDelta]

    @property
    def is_empty(self) -> bool:
        return not (self.reasoning or self.content or self.calls)


def _arguments_so_far(call: str) -> str:
    start = re.search(r'"arguments"\s*:\s*', call)
    if start is None:
        return ""
    raw = call[start.end() :]
    try:
        _, end = json.JSONDecoder().raw_decode(raw)
    except ValueError:
        return raw
    return raw[:end]


def _without_partial_mark(text: str) -> str:
    for mark in (THINK, THINK_END, CALL, CALL_END):
        for length in range(len(mark) - 1, 0, -1):
            if text.endswith(mark[:length]):
                return text[:-length]
    return text
