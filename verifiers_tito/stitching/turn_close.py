"""How a template closes an assistant's turn, found by comparing a turn that ends a conversation with one that does not.

    ... assistant MARK                ──►  MARK <|im_end|> \\n                          the turn ends the conversation
    ... assistant MARK, user "x"      ──►  MARK <|im_end|> \\n <|im_start|> user ...    the conversation goes on

The close begins at the first control token after the mark. What both renderings have in common from there on is the
close; it is what a model may have sampled of it already. Three other habits are told apart:

- The template writes nothing (GLM): the next message's own marker is both the stop token and the opener.
- It ends a conversation with another token than a turn (gpt-oss: `<|return|>`, `<|end|>`): either closes a turn.
- A turn that calls tools ends otherwise (gpt-oss: `<|call|>`): looked at separately, behind the call's own syntax.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from verifiers_tito.errors import Error
from verifiers_tito.tokenization import MARKUP, Control, Rendering
from verifiers_tito.types import first_difference


class BridgeNotFoundError(Error):
    """The rendering does not show where the assistant's turn ends; the message says what was seen instead."""


@dataclass(frozen=True, slots=True)
class ClosePlace:
    """Where a close stands in a rendering: `start` with the blanks before it, `marker` its first control token."""

    start: int
    marker: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnClose:
    """`ids` (K,) is what the template writes between a turn and the next opener (blanks included), or up to and with
    that opener where it writes nothing else (`is_opener`). The model ended a turn whose last id is in `ended_by`.

    `start` is its first control token, in text, if that is always the same; `call_end` is the syntax between the last
    argument of a call and the close.
    """

    ids: list[int]
    ended_by: frozenset[int]
    start: str | None
    is_opener: bool = False
    call_end: str = ""

    def find(self, rendering: Rendering, mark: str) -> ClosePlace:
        """The close of the marked turn in `rendering`. Raises `BridgeNotFoundError`."""
        end = end_of_mark(rendering, mark)
        if rendering.text.startswith(self.call_end, end):
            behind = end + len(self.call_end)
            control = rendering.next_control(behind)
            blank = not rendering.text[behind : control.start if control else None].strip()
            if control is not None and blank and self.start in (None, control.text):
                blanks_count = self.is_opener or not self.call_end
                return ClosePlace(_begin(rendering, behind, control) if blanks_count else control.start, control.start)
        control = rendering.next_control(end)
        while self.start is not None and self.call_end and control is not None:
            if control.text == self.start:
                return ClosePlace(control.start, control.start)
            control = rendering.next_control(control.end)
        seen = rendering.text[end : end + 40]
        raise BridgeNotFoundError(f"the assistant's turn is followed by {seen!r}, not by {self.start or 'a marker'!r}")


def find_close(final: Rendering | None, going_on: Rendering, mark: str, *, user_word: str = "") -> TurnClose:
    """The close of a turn of plain text. `final` is None where the template does not end with an assistant's turn;
    `user_word` is what the user says before the turn and after it."""
    end = end_of_mark(going_on, mark)
    control = going_on.next_control(end)
    gap = going_on.text[end : control.start if control else None]
    if control is None or gap.strip():
        raise BridgeNotFoundError(
            f"the template closes an assistant's turn with {gap[:40]!r}, which is no control token: what a model "
            "samples may merge with it"
        )
    if final is None:
        return _close_at(control, going_on, blanks_from=end, final=None, final_control=None)
    final_control = final.next_control(end_of_mark(final, mark))
    if final_control is None and not final.text[end_of_mark(final, mark) :].strip():
        return _opener_at(control, going_on, blanks_from=end)
    ends_otherwise = final_control is not None and final_control.text != control.text
    if ends_otherwise and user_word and _opens_user_turns(control, going_on.text, mark, user_word):
        return _opener_at(control, going_on, blanks_from=end)
    return _close_at(control, going_on, blanks_from=end, final=final, final_control=final_control)


def find_call_close(
    final: Rendering | None, going_on: Rendering, mark: str, *, plain: TurnClose, tail_word: str = ""
) -> TurnClose:
    """The close of a turn that calls tools. `plain` is the close of one that does not; `tail_word` is what the tool
    answers in `going_on`."""
    end = end_of_mark(going_on, mark)
    text = going_on.text[end:]
    final_text = text if final is None else final.text[end_of_mark(final, mark) :]
    common = common_length(text, final_text)
    controls = _controls(going_on, end)
    within = [control for control in controls if control.end - end <= common]
    answered = going_on.text.rfind(tail_word) if tail_word else end + common
    before_answer = [control for control in controls if control.end <= answered]
    control = next((control for control in before_answer if control.text == plain.start), None)
    if control is None:
        asked = final_text[: len(final_text) - _unasked_prompt_length(final_text, going_on.text, controls)]
        candidates = (_last_of_call(within, shown, plain, end=end) for shown in (final_text, asked))
        last = next(filter(None, candidates), None) if final is not None else None
        if last is None and not going_on.text.startswith(final_text.rstrip(), end):
            last = _like_plain(before_answer, going_on, plain)  # a turn that ends a conversation is written otherwise
        if last is None:
            return _opener_after(final_text.rstrip(), going_on, end)
        if plain.is_opener:
            with suppress(BridgeNotFoundError):  # text follows, and so the call's own last token closes it
                return _opener_after(final_text.rstrip(), going_on, end)
        control = last
    final_control = final.next_control(end_of_mark(final, mark) + control.start - end) if final else None
    close = _close_at(control, going_on, blanks_from=control.start, final=final, final_control=final_control)
    ended_by = close.ended_by | plain.ended_by
    return TurnClose(ids=close.ids, ended_by=ended_by, start=close.start, call_end=text[: control.start - end])


def _opens_user_turns(control: Control, text: str, mark: str, user_word: str) -> bool:
    """Whether `control`, behind the marked turn, is what each of the user's turns begins with, and ends none: it stands
    in front of the first one too, and not behind it, or it is the first thing of all (after a beginning-of-text)."""
    opener = text[control.start : text.rfind(user_word)]
    before = text.find(user_word)
    if not text[:before].endswith(opener):
        return False
    in_front = text[: text.find(control.text)].strip()
    return control.text not in text[before : text.rfind(mark)] or not in_front or MARKUP.fullmatch(in_front) is not None


def _last_of_call(within: Sequence[Control], final_text: str, plain: TurnClose, *, end: int) -> Control | None:
    """The last of these control tokens, if nothing but the plain close stands behind it in the final rendering."""
    inside = [control for control in within if control.end - end <= len(final_text)]
    if not inside:
        return None
    rest = final_text[inside[-1].end - end :].strip()
    return inside[-1] if not rest or (plain.start is not None and rest.startswith(plain.start)) else None


def _like_plain(controls: Sequence[Control], rendering: Rendering, plain: TurnClose) -> Control | None:
    """The first of these control tokens that ends plain turns as well."""
    return next((one for one in controls if rendering.ids_from(one.start)[0] in plain.ended_by), None)


def _unasked_prompt_length(final_text: str, text: str, controls: Sequence[Control]) -> int:
    """How much of `final_text` is a generation prompt, which some templates write whether it is asked for or not.
    `text` ends with one, `controls` are those behind its marked turn."""
    starts = (control.start for control in controls)
    return next((len(text) - start for start in starts if final_text.endswith(text[start:])), 0)


def end_of_mark(rendering: Rendering, mark: str) -> int:
    found = rendering.text.rfind(mark)
    if found < 0:
        raise BridgeNotFoundError("the template does not write what the assistant said")
    return found + len(mark)


def common_length(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How long the beginning is that both share."""
    position = first_difference(one, other)
    return len(one) if position is None else position


def _close_at(
    control: Control,
    going_on: Rendering,
    *,
    blanks_from: int,
    final: Rendering | None,
    final_control: Control | None,
) -> TurnClose:
    """The close that begins with the blanks in front of `control`, from `blanks_from` on."""
    marker = going_on.ids_from(control.start)
    ids = going_on.ids_from(_begin(going_on, blanks_from, control))
    blanks = len(ids) - len(marker)
    if final is None or final_control is None:
        return TurnClose(ids=ids[: blanks + 1], ended_by=frozenset(marker[:1]), start=control.text)
    final_ids = final.ids_from(final_control.start)
    close = marker[: common_length(marker, final_ids) or 1]
    inner = {final.ids_from(inner.start)[0] for inner in _controls(final, final_control.start)} & set(close)
    ended_by = frozenset({close[0], final_ids[0], *inner})
    return TurnClose(ids=ids[:blanks] + close, ended_by=ended_by, start=control.text)


def _begin(rendering: Rendering, blanks_from: int, control: Control) -> int:
    """Where the ids of a close begin: at the blanks a template puts before it, if a token begins there."""
    if blanks_from == control.start:
        return control.start
    try:
        rendering.ids_from(blanks_from)
    except ValueError:
        return control.start
    return blanks_from


def _opener_after(call_end: str, going_on: Rendering, end: int) -> TurnClose:
    control = going_on.next_control(end + len(call_end))
    gap = going_on.text[end + len(call_end) : control.start if control else None]
    if control is None or gap.strip() or not going_on.text.startswith(call_end, end):
        raise BridgeNotFoundError(
            f"after a tool call the template goes on with {gap[:40]!r}, which is no control token"
        )
    return _opener_at(control, going_on, blanks_from=end + len(call_end), call_end=call_end)


def _opener_at(control: Control, going_on: Rendering, *, blanks_from: int, call_end: str = "") -> TurnClose:
    marker = going_on.ids_from(control.start)
    ids = going_on.ids_from(_begin(going_on, blanks_from, control))
    blanks = len(ids) - len(marker)
    return TurnClose(
        ids=ids[: blanks + 1], ended_by=frozenset(marker[:1]), start=None, is_opener=True, call_end=call_end
    )


def _controls(rendering: Rendering, start: int) -> list[Control]:
    found = []
    while (control := rendering.next_control(start)) is not None:
        found.append(control)
        start = control.end
    return found
