"""The reference: which ids a chat template itself writes between a sampled turn and the next generation prompt.

It shares no code and no idea with the library but the definition. The WHOLE conversation is rendered, with a mark at
the end of the assistant's body; where the body ends is known from what `families.py` declares; the rest is the bridge:

    history / assistant BODY+MARK / tail / generation prompt  ──►  ... BODY MARK | <|im_end|> \\n <|im_start|> user ...

A second rendering, with a word of its own in every message, tells where each message went. Templates that cannot be
bridged are told apart by `ReferenceOutcome`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from tests.corpus.family import CallContent, Family
from tests.corpus.shape import Ending, Message, Shape

MARK = "Qzreferencemarkzq"
MARK_KEY = "zzmark"  # sorts behind every other argument, for templates that sort them


class ReferenceOutcome(StrEnum):
    """What a template does with a conversation."""

    RENDERS = "renders"  # every message of the tail after the turn, in order, and nothing else
    REPEATS = "repeats"  # as above, and something said before the turn again (system prompt, tools)
    RAISES = "raises"  # the template refuses the conversation, or trips over it
    MOVES = "moves"  # a message of the tail stands before the turn, or in another order
    DROPS = "drops"  # a message of the tail is not written
    HIDES_BODY = "hides body"  # the end of the assistant's body is not written
    MERGES = "merges"  # a token covers the body's end and what follows


class UndeclaredCloseError(Exception):
    """The template writes something else after a turn than `families.py` declares: the corpus is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The bridge of one shape in one family.

    `bridge_ids` (from the end of the body on, of which the first `close_length` close the turn) and `bridge_text` are
    given for RENDERS and REPEATS. `stands_alone`: the text alone has the same ids as inside the whole conversation.
    `control_ids` are the control tokens that the template itself writes in the bridge, in order, whatever the contents
    hold. `rewrites_history`: because of this tail the template writes even the beginning otherwise than before.
    `detail` is what was raised, dropped, moved or repeated.
    """

    outcome: ReferenceOutcome
    bridge_text: str = ""
    bridge_ids: tuple[int, ...] = ()
    close_length: int = 0
    control_ids: tuple[int, ...] = ()
    stands_alone: bool = True
    rewrites_history: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whereabouts:
    """What the rendering with a word in every message shows."""

    outcome: ReferenceOutcome
    detail: str = ""
    control_ids: tuple[int, ...] = ()
    rewrites_history: bool = False


def reference_bridge(family: Family, tokenizer: Any, shape: Shape) -> Reference:
    """The bridge that `family`'s template writes for `shape`. `tokenizer` is `load_family(family.name)`."""
    try:
        text = _render(family, tokenizer, shape, [*shape.history, _marked(family, shape), *shape.tail])
        places = _whereabouts(family, tokenizer, shape)
    except UndeclaredCloseError:
        raise
    except Exception as exc:  # templates trip over a conversation with errors of any kind
        return Reference(outcome=ReferenceOutcome.RAISES, detail=f"{type(exc).__name__}: {exc}")
    if places.outcome not in (ReferenceOutcome.RENDERS, ReferenceOutcome.REPEATS):
        return Reference(outcome=places.outcome, detail=places.detail)
    return _cut(family, tokenizer, shape, text, places)


def sampled_ends(family: Family, shape: Shape) -> tuple[str, ...]:
    """The texts of the control tokens by which the sampled ids may end: `("",)` where they end without any.

    Empty where the family has no end of the kind that the shape asks for.
    """
    calls = _calls(family, shape)
    if shape.ending in (Ending.TRUNCATED, Ending.STOP_STRING):
        return ("",)
    if shape.ending is Ending.ALTERNATIVE:
        return family.alternative_call_ends if calls else family.alternative_ends
    if family.close:
        return (str(family.call_close) if calls else family.close,)
    return (family.natural_call_end if calls else family.natural_end,)


def appended_ids(family: Family, reference: Reference, sampled_end: str) -> tuple[int, ...]:
    """What is to be appended to ids that end with `sampled_end`: the bridge without what was sampled of it already.

    Where the family has a close, any end stands in its place, an alternative one too. Where it has none, only the very
    opener that the template writes next can have been sampled already.
    """
    if not sampled_end:
        return reference.bridge_ids
    if family.close:
        return reference.bridge_ids[reference.close_length :]
    return reference.bridge_ids[1:] if reference.bridge_text.startswith(sampled_end) else reference.bridge_ids


def in_template_form(family: Family, messages: Iterable[Message]) -> list[Message]:
    """Messages as the family's template takes them: contents as parts, arguments as text, where it insists."""
    return [_in_template_form(family, message) for message in messages]


def _in_template_form(family: Family, message: Message) -> Message:
    if family.content_parts:
        message = message | {"content": [{"type": "text", "text": message["content"] or ""}]}
    if family.arguments_as_text and message.get("tool_calls"):
        message = message | {"tool_calls": [_with_text_arguments(call) for call in message["tool_calls"]]}
    return message


def _with_text_arguments(call: dict[str, Any]) -> dict[str, Any]:
    arguments = json.dumps(call["function"]["arguments"], ensure_ascii=False)
    return call | {"function": call["function"] | {"arguments": arguments}}


def _calls(family: Family, shape: Shape) -> bool:
    """Whether the turn's calls are written as calls, so that its body ends behind them."""
    return bool(shape.calls) and family.writes_calls


def _marked(family: Family, shape: Shape) -> Message:
    """The assistant's turn with the mark at its very end: in the content, or as the last argument of the last call."""
    turn = shape.assistant
    if not _calls(family, shape):
        return turn | {"content": (turn["content"] or "") + MARK}
    last = shape.calls[-1]
    function = last["function"] | {"arguments": last["function"]["arguments"] | {MARK_KEY: MARK}}
    turn = turn | {"tool_calls": [*shape.calls[:-1], last | {"function": function}]}
    return turn | {"content": ""} if family.call_content is CallContent.AFTER_RESULTS else turn


def _render(family: Family, tokenizer: Any, shape: Shape, messages: Sequence[Message]) -> str:
    return str(
        tokenizer.apply_chat_template(
            in_template_form(family, messages),
            tools=shape.tools,
            add_generation_prompt=True,
            tokenize=False,
            **shape.template_kwargs,
        )
    )


def _end_of_body(family: Family, shape: Shape, text: str) -> int | None:
    """The index in `text` where the body ends and the close begins; None where the mark is not written."""
    found = text.find(MARK)
    if found < 0:
        return None
    end = found + len(MARK)
    ends = (family.lead + family.close,) if family.close else family.next_openers
    if not _calls(family, shape):
        if text.startswith(ends, end):
            return end
    else:
        closes = (str(family.call_close),) if family.call_close else family.next_openers
        places = [place for place in (text.find(close, end) for close in closes) if place >= 0]
        if places:
            return min(places)
    raise UndeclaredCloseError(f"family {family.name}, shape {shape.name}: {text[found : end + 80]!r}")


def _close_text(family: Family, shape: Shape) -> str:
    return str(family.call_close) if _calls(family, shape) else family.lead + family.close


def _cut(family: Family, tokenizer: Any, shape: Shape, text: str, places: _Whereabouts) -> Reference:
    """Cuts the tokenization of the whole conversation at the end of the body."""
    end = _end_of_body(family, shape, text)
    if end is None:
        return Reference(outcome=ReferenceOutcome.HIDES_BODY)
    encoded = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
    start = sum(1 for _, token_end in encoded.offsets if token_end <= end)
    if start < len(encoded.offsets) and encoded.offsets[start][0] < end:
        return Reference(outcome=ReferenceOutcome.MERGES, detail=encoded.tokens[start])
    ids = tuple(encoded.ids[start:])
    close_end = end + len(_close_text(family, shape))
    return Reference(
        outcome=places.outcome,
        bridge_text=text[end:],
        bridge_ids=ids,
        close_length=sum(1 for token_start, _ in encoded.offsets[start:] if token_start < close_end),
        control_ids=places.control_ids,
        stands_alone=tuple(tokenizer.backend_tokenizer.encode(text[end:], add_special_tokens=False).ids) == ids,
        rewrites_history=places.rewrites_history,
        detail=places.detail,
    )


def _whereabouts(family: Family, tokenizer: Any, shape: Shape) -> _Whereabouts:
    """Renders with a word of its own in every message and tool, and looks where each went."""
    history = [_probed(message, f"history{index:03}") for index, message in enumerate(shape.history)]
    tail = [message | {"content": _probe(f"tail{index:03}")} for index, message in enumerate(shape.tail)]
    probed = _with_probed_tools(shape)
    text = _render(family, tokenizer, probed, [*history, _marked(family, shape), *tail])
    end = _end_of_body(family, shape, text)
    if end is None:
        return _Whereabouts(outcome=ReferenceOutcome.HIDES_BODY)
    seen = [text.find(message["content"]) for message in tail]
    lost = ", ".join(message["role"] for message, place in zip(tail, seen, strict=True) if place < 0)
    if lost:
        return _Whereabouts(outcome=ReferenceOutcome.DROPS, detail=lost)
    if seen != sorted(seen) or seen[0] < end:
        moved = ", ".join(message["role"] for message, place in zip(tail, seen, strict=True) if place < end)
        return _Whereabouts(outcome=ReferenceOutcome.MOVES, detail=moved or "order")
    return _repeats(family, tokenizer, probed, history, text=text, end=end)


def _repeats(
    family: Family, tokenizer: Any, probed: Shape, history: list[Message], *, text: str, end: int
) -> _Whereabouts:
    again = [message["role"] for message in history if message["content"] and message["content"] in text[end:]]
    if any(_tool_description(tool) in text[end:] for tool in probed.tools or []):
        again.append("tools")
    control = {tokenizer.convert_tokens_to_ids(control_text) for control_text in family.control_texts}
    ids = tokenizer.backend_tokenizer.encode(text[end:], add_special_tokens=False).ids
    before = _render(family, tokenizer, probed, history)
    kept = max((before.rfind(message["content"]) for message in history if message["content"]), default=0)
    return _Whereabouts(
        outcome=ReferenceOutcome.REPEATS if again else ReferenceOutcome.RENDERS,
        detail=", ".join(again),
        control_ids=tuple(token_id for token_id in ids if token_id in control),
        rewrites_history=not text.startswith(before[:kept]),
    )


def _probe(name: str) -> str:
    return f"Qzprobe{name}zq"


def _probed(message: Message, name: str) -> Message:
    return message | {"content": _probe(name)} if message["content"] else message


def _with_probed_tools(shape: Shape) -> Shape:
    if not shape.tools:
        return shape
    return replace(
        shape,
        tools=[
            tool | {"function": tool["function"] | {"description": _probe(f"tool{index:03}")}}
            for index, tool in enumerate(shape.tools)
        ],
    )


def _tool_description(tool: dict[str, Any]) -> str:
    return str(tool["function"]["description"])
