"""Proof that a template can be bridged: closes found once, and each kind of tail tried out before it is trusted.

A kind of tail (`user`, `tool`, two `tool`, `tool user`, ...) is proven by rendering it behind a stand-in and behind a
longer conversation that looks alike to the template. If the same follows the assistant's turn in both, the template
does not look further back than the stand-in goes. Else its bridges are cut from the whole conversation. Where the
template puts a message of the tail in front of the turn, the kind is not bridged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product

from verifiers_tito.stitching.bridge import cut_bridge
from verifiers_tito.stitching.past import Context
from verifiers_tito.stitching.plan import NativeMessage, Plan, Rendered, RenderRequest, unrefused
from verifiers_tito.stitching.stand_in import CallStyle, StandInStyle, new_mark, synthetic_call, tool_result
from verifiers_tito.stitching.tail_kind import TailKind
from verifiers_tito.stitching.turn_close import (
    BridgeNotFoundError,
    TurnClose,
    end_of_mark,
    find_call_close,
    find_close,
)
from verifiers_tito.tokenization import Rendering, TemplateRefusedError


class Verdict(StrEnum):
    """Whether a kind of tail is bridged."""

    BRIDGED = "bridged"
    REFUSED = "the template refuses it"
    UNPROVABLE = "the turn's close is not provable"
    MOVED = "the template moves a message before the turn"
    HISTORY_DEPENDENT = "bridged, with the whole history"

    @property
    def is_bridged(self) -> bool:
        """A conversation of a refused kind may be bridged too: each one is tried as it is."""
        return self in (Verdict.BRIDGED, Verdict.HISTORY_DEPENDENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateCloses:
    """How one template closes turns. `calls` is for turns that call tools, None where it shows none, or where it could
    not be found (`call_problem`)."""

    style: StandInStyle
    plain: TurnClose
    calls: TurnClose | None = None
    call_problem: str = ""

    def problem_with(self, kind: TailKind) -> str:
        """Why turns that such a tail follows cannot be told to end; "" where they can."""
        return self.call_problem if kind.calls else ""

    def of(self, after: NativeMessage) -> list[TurnClose]:
        """The closes to look for after this turn, the likelier first."""
        return [self.calls, self.plain] if self.calls and after.get("tool_calls") else [self.plain]


@dataclass(frozen=True, slots=True, kw_only=True)
class TailProof:
    """What trying out one kind of tail came to. `dropped` are roles whose messages the template does not write at all;
    `marker` is the control id that the bridge begins with."""

    verdict: Verdict
    detail: str = ""
    dropped: tuple[str, ...] = ()
    marker: int | None = None


def find_closes() -> Plan[TemplateCloses]:
    """Raises `BridgeNotFoundError`, or `TemplateRefusedError` where not even two plain turns can be rendered."""
    style, word = StandInStyle(mark=new_mark()), new_mark()
    user: NativeMessage = {"role": "user", "content": word}
    turn = style.assistant({})
    final, going_on = yield [RenderRequest([user, turn], False), RenderRequest([user, turn, user])]
    plain = find_close(_rendering_or_none(final), unrefused(going_on), style.mark, user_word=word)
    problem = ""
    for call_style, no_content in product((CallStyle.ARGUMENTS_AS_OBJECT, CallStyle.ARGUMENTS_AS_TEXT), (None, "")):
        styled = replace(style, calls=call_style, no_content=no_content)
        try:
            found = yield from _find_call_close(styled, user, plain)
        except BridgeNotFoundError as error:
            problem = str(error)
            continue
        if found is not None:
            return found
    style, argument = replace(style, calls=CallStyle.NOT_SHOWN), new_mark()
    calling = replace(style, filler=argument).assistant({"tool_calls": [synthetic_call(0)]})
    (told,) = yield [RenderRequest([user, calling])]
    if not isinstance(told, TemplateRefusedError) and style.mark in told.text and argument not in told.text:
        problem = ""  # beside a content, calls are not written
    return TemplateCloses(style=style, plain=plain, call_problem=problem)


def prove_tail(kind: TailKind, context: Context, closes: TemplateCloses) -> Plan[TailProof]:
    """Tries one kind of tail behind one kind of history."""
    if closes.problem_with(kind):
        return TailProof(verdict=Verdict.UNPROVABLE, detail=closes.problem_with(kind))
    after, tail, words = _synthetic(kind)
    style, other = closes.style, replace(closes.style, filler=new_mark())
    turn = style.assistant(after)
    renderings = yield [
        RenderRequest([*style.history(context), turn, *tail]),
        RenderRequest([*other.history(context, longer=True), turn, *tail]),
    ]
    return _judge(renderings, closes, after, words, tail)


def sample_conversation(kind: TailKind, context: Context, closes: TemplateCloses | None) -> list[NativeMessage]:
    """A short conversation with this kind of tail behind this kind of history."""
    style = closes.style if closes else StandInStyle(mark=new_mark())
    after, tail, _ = _synthetic(kind)
    return [*style.history(context), style.assistant(after), *tail]


def strips_reasoning(kind: TailKind, closes: TemplateCloses) -> Plan[bool]:
    """Whether the template leaves reasoning out of an assistant's turn once this kind of tail follows it: that in
    fields of the message, or that in its content."""
    after, tail, _ = _synthetic(kind)
    turn, word, user = closes.style.assistant(after), new_mark(), {"role": "user", "content": "x"}
    in_fields = {**turn, "reasoning": word, "reasoning_content": word}
    in_content = {**turn, "content": f"<think>\n{word}\n</think>\n\n{turn['content'] or ''}"}
    for reasoning in (in_fields, in_content):
        rendered = yield [RenderRequest([user, reasoning], False), RenderRequest([user, reasoning, *tail])]
        if [word in one.text for one in rendered if not isinstance(one, TemplateRefusedError)] == [True, False]:
            return True
    return False


def _find_call_close(style: StandInStyle, user: NativeMessage, plain: TurnClose) -> Plan[TemplateCloses | None]:
    """None where the template does not write the call in this style, or refuses it. Raises `BridgeNotFoundError`."""
    call, word = synthetic_call(0), new_mark()
    silent = style.assistant({"tool_calls": [call]})
    talking = {**silent, "content": word}
    result = tool_result(call, word[:-1])
    final, going_on, both, empty = yield [
        RenderRequest([user, silent], False),
        RenderRequest([user, silent, result]),
        RenderRequest([user, talking, result]),
        RenderRequest([user, {**silent, "content": ""}, result]),
    ]
    if isinstance(going_on, TemplateRefusedError) or style.mark not in going_on.text:
        return None
    calls = find_call_close(_rendering_or_none(final), going_on, style.mark, plain=plain, tail_word=word[:-1])
    behind = not isinstance(both, TemplateRefusedError) and both.text.rfind(word) > both.text.rfind(style.mark) >= 0
    if not plain.is_opener:
        plain = replace(plain, ended_by=plain.ended_by | calls.ended_by)
    beside_empty = isinstance(empty, TemplateRefusedError) or style.mark in empty.text
    style = replace(style, content_with_calls=not behind, calls_beside_empty=beside_empty)
    return TemplateCloses(style=style, plain=plain, calls=calls)


def _synthetic(kind: TailKind) -> tuple[NativeMessage, list[NativeMessage], list[str]]:
    """A turn and a tail of this kind, with a word of its own as the content of each message of the tail."""
    count = max(kind.roles.count("tool"), 1)
    calls = [synthetic_call(number) for number in range(count)]
    after: NativeMessage = {"role": "assistant", "content": None, "tool_calls": calls}
    if not kind.calls:
        after = {"role": "assistant", "content": "x"}
    words = [new_mark() for _ in kind.roles]
    unanswered = iter(calls)
    tail: list[NativeMessage] = [
        tool_result(next(unanswered), word) if role == "tool" else {"role": role, "content": word}
        for role, word in zip(kind.roles, words, strict=True)
    ]
    return after, tail, words


def moved_roles(rendering: Rendering, mark: str, tail: Sequence[NativeMessage], words: Sequence[str]) -> str:
    """Which messages of the tail are written in front of the marked turn, in words; "" for none. Each message's content
    is one of `words`. Raises `BridgeNotFoundError` where the turn is not written."""
    before = rendering.text[: end_of_mark(rendering, mark)]
    moved = _roles(tail, words, lambda word: word in before)
    return f"it writes {', '.join(moved)} before the turn" if moved else ""


def _judge(
    renderings: Sequence[Rendered],
    closes: TemplateCloses,
    after: NativeMessage,
    words: Sequence[str],
    tail: Sequence[NativeMessage],
) -> TailProof:
    short, longer = renderings
    if isinstance(short, TemplateRefusedError):
        return TailProof(verdict=Verdict.REFUSED, detail=str(short))
    mark = closes.style.mark
    try:
        both = [one for one in (short, longer) if not isinstance(one, TemplateRefusedError)]
        moved = next(filter(None, (moved_roles(one, mark, tail, words) for one in both)), "")
        if moved:
            return TailProof(verdict=Verdict.MOVED, detail=moved)
        bridge, *others = (cut_bridge(one, mark, closes.of(after)) for one in both)
    except BridgeNotFoundError as error:
        return TailProof(verdict=Verdict.UNPROVABLE, detail=str(error))
    alike = [other.ids for other in others] == [bridge.ids]
    return TailProof(
        verdict=Verdict.BRIDGED if alike else Verdict.HISTORY_DEPENDENT,
        dropped=tuple(_roles(tail, words, lambda word: word not in short.text)),
        marker=bridge.marker,
    )


def _roles(tail: Sequence[NativeMessage], words: Sequence[str], holds: Callable[[str], bool]) -> list[str]:
    """The roles of those messages of the tail for whose word it `holds`."""
    return [str(message["role"]) for word, message in zip(words, tail, strict=True) if holds(word)]


def _rendering_or_none(rendered: Rendered) -> Rendering | None:
    return None if isinstance(rendered, TemplateRefusedError) else rendered
