"""The bridge: the ids that a chat template writes between an assistant's turn and the next generation prompt.

The template is the authority and sampled text is never tokenized again. A short stand-in conversation is rendered
whose assistant turn is a mark (a word that occurs nowhere else) followed by the real messages said since; the bridge
is what stands after the mark, from the turn's close on. Where a close begins with a control token, tokenizing never
merges across it and the ids are those that the full text would have; a close that does not look like one is refused.
The close itself (`<|im_end|>\\n`, `<|eot_id|>`) is found by rendering a conversation that ends with the mark.

    user "x" / assistant MARK                    ──►  ... MARK <|im_end|> \\n                         close
    user "x" / assistant MARK / real messages    ──►  ... MARK <|im_end|> \\n <|im_start|> user ...   bridge

A turn that was cut short, or ended by a stop string, has sampled none of the close and gets all of it; one that
ended with `<|im_end|>` gets the rest. Where the bridge does not begin with the close, nothing is guessed:
`BridgeNotFoundError`.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from verifiers_tito.errors import Error
from verifiers_tito.tokenization.chat_tokenizer import Rendered

_MARK = "Qzbridgemark{nonce}zQ"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.\-]+")
_CONTROL_TOKEN = re.compile(r"<\S+>|\[\S+\]")
_PLAIN_ID = re.compile(r"[A-Za-z0-9_.:\-]+")

NativeMessage = Mapping[str, Any]


class BridgeNotFoundError(Error):
    """The rendering does not show where the assistant's turn ends; the message says what was seen instead."""


@dataclass(frozen=True, slots=True)
class BridgeConversation:
    """A stand-in conversation to render, and the mark that stands for the assistant's turn in it.

    `ends_turn` is false where the template writes more of the turn after the mark (the rest of a tool call).
    """

    messages: list[NativeMessage]
    mark: str
    ends_turn: bool = True


def close_conversation(nonce: str) -> BridgeConversation:
    """The conversation whose rendering ends with the template's close of an assistant turn."""
    mark = _MARK.format(nonce=nonce)
    return BridgeConversation([_FIRST_USER, {"role": "assistant", "content": mark}], mark)


def bridge_conversation(tail: Sequence[NativeMessage], *, after: NativeMessage, nonce: str) -> BridgeConversation:
    """The conversation whose rendering shows the bridge to `tail`.

    `after` is the assistant message that `tail` answers. Of it only what templates look up for tool results is
    kept: ids and names of its calls. Everything else the model wrote is replaced by the mark. The nonce must be a word
    of letters that nobody else can know, so that no message can contain the mark.
    """
    mark = _MARK.format(nonce=nonce)
    assistant: dict[str, Any] = {"role": "assistant", "content": mark}
    calls = after.get("tool_calls") if any(message["role"] == "tool" for message in tail) else None
    if calls:
        assistant["tool_calls"] = [_marked_call(call, mark) for call in calls]
    return BridgeConversation([_FIRST_USER, assistant, *tail], mark, ends_turn=not calls)


def cut_close(rendered: Rendered, conversation: BridgeConversation) -> list[int]:
    """The ids after the mark of a `close_conversation`: the close of an assistant turn."""
    end = _end_of_mark(rendered, conversation)
    close = rendered.token_ids[end:]
    if not close:
        raise BridgeNotFoundError("the template writes nothing to close an assistant turn")
    if not _CONTROL_TOKEN.fullmatch(rendered.token_texts[end]):
        raise BridgeNotFoundError(
            f"the template closes an assistant turn with {rendered.token_texts[end]!r}, which is no control token: "
            "what a model samples may merge with it"
        )
    return close


def cut_bridge(rendered: Rendered, conversation: BridgeConversation, *, close: list[int]) -> list[int]:
    """The ids from the close of the marked turn on: right after the mark, or after the rest of its tool call."""
    ids = rendered.token_ids
    start = _end_of_mark(rendered, conversation)
    last_start = start if conversation.ends_turn else len(ids) - len(close)
    for position in range(start, last_start + 1):
        if ids[position : position + len(close)] == close:
            return ids[position:]
    raise BridgeNotFoundError(
        f"the ids after the assistant's turn {ids[start : start + 8]} do not hold the template's close {close}"
    )


def join(previous_ids: list[int], bridge_ids: list[int], *, close: list[int]) -> list[int]:
    """`previous_ids` continued by the bridge, without the part of the close that was sampled already.

    That part is the longest prefix of `close` with which `previous_ids` ends.
    """
    longest = min(len(close), len(previous_ids))
    overlap = next((n for n in range(longest, 0, -1) if previous_ids[-n:] == close[:n]), 0)
    return previous_ids + bridge_ids[overlap:]


_FIRST_USER: NativeMessage = {"role": "user", "content": "x"}


def _marked_call(call: Mapping[str, Any], mark: str) -> dict[str, Any]:
    """A tool call with the model's own id and name, where these are plain words, and the mark as its argument."""
    name, call_id = str(call["function"]["name"]), str(call["id"])
    return {
        "id": call_id if _PLAIN_ID.fullmatch(call_id) else "call",
        "type": "function",
        "function": {
            "name": name if _PLAIN_NAME.fullmatch(name) else "f",
            "arguments": json.dumps({"x": mark}),
        },
    }


def _end_of_mark(rendered: Rendered, conversation: BridgeConversation) -> int:
    """The index after the token in which the last mark ends.

    Where the mark ends the turn, that token must end with it: a token that holds more has merged with the close.
    """
    text = "".join(rendered.token_texts)
    found = text.rfind(conversation.mark)
    if found < 0:
        raise BridgeNotFoundError("the template does not write the assistant's content")
    end = found + len(conversation.mark)
    token_ends = list(accumulate(len(token_text) for token_text in rendered.token_texts))
    index = bisect_left(token_ends, end)
    if conversation.ends_turn and token_ends[index] != end:
        raise BridgeNotFoundError("the tokenizer merges the end of the assistant's content with what follows")
    return index + 1
