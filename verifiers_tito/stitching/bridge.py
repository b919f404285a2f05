"""The bridge: the ids that a chat template writes between an assistant's turn and the next generation prompt.

The template is the authority and sampled text is never tokenized again. A conversation is rendered, mostly a short
stand-in, whose last assistant turn is a mark, followed by the real messages said since; the bridge is what stands
after the mark, from the turn's close on. The close begins with a control token, across which no tokenizer merges, so
these ids are the ones that the full text would have.

    stand-in: user "x" / assistant MARK / the tail   ──►  ... MARK [<|im_end|> \\n <|im_start|> user ... assistant \\n]

A turn that was cut short, or ended by a stop string, has sampled none of the close and gets all of it; one that ended
with `<|im_end|>` gets the rest. Where the close is not where the template's close was found to be, nothing is guessed:
`BridgeNotFoundError`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from verifiers_tito.stitching.turn_close import BridgeNotFoundError, TurnClose, common_length
from verifiers_tito.tokenization import Rendering


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """`ids` (B,) from the close of the turn on, of which the first `close_length` are the close itself and the first
    `blanks` the white space that the template puts before it.

    `neutralized` counts control strings in it that were kept from becoming control ids; `spellings` are those of its
    tokens where none is kept from it.
    """

    ids: list[int]
    close_length: int
    close: TurnClose
    blanks: int = 0
    neutralized: int = 0
    spellings: frozenset[str] | None = None

    @property
    def marker(self) -> int:
        """The control id that the close begins with."""
        return self.ids[self.blanks]

    def sampled_of_close(self, previous_ids: list[int], *, ended: bool) -> int:
        """How many of the close's ids stand at the end of `previous_ids`, or have another end in their place."""
        close = self.ids[: self.close_length]
        for length in range(min(len(close), len(previous_ids)), self.blanks, -1):
            if previous_ids[-length:] == close[:length]:
                return length
        last = previous_ids[-1] if previous_ids else None
        whole = _behind_last(close, self.close.ended_by)
        if last == self.marker or (ended and last in close and last in self.close.ended_by):
            return _behind_last(close, {last})
        ends_turns = last in self.close.ended_by and last not in close[: whole - 1]
        if not self.close.is_opener and (ended or ends_turns):
            return whole
        return next((n for n in range(self.blanks, 0, -1) if previous_ids[-n:] == close[:n]), 0)


def cut_bridge(rendering: Rendering, mark: str, closes: Sequence[TurnClose]) -> Bridge:
    """The bridge in a rendering; the marked turn ends as one of `closes` says, tried in order."""
    for close in closes:
        try:
            place = close.find(rendering, mark)
        except BridgeNotFoundError:
            if close is closes[-1]:
                raise
            continue
        ids = rendering.ids_from(place.start)
        blanks = len(ids) - len(rendering.ids_from(place.marker)) if place.start < place.marker else 0
        length = blanks + 1 if close.is_opener else max(common_length(close.ids, ids), blanks + 1)
        return Bridge(
            ids=ids,
            close_length=length,
            close=close,
            blanks=blanks,
            neutralized=rendering.neutralized_from(place.start),
            spellings=rendering.spellings_from(place.start),
        )
    raise BridgeNotFoundError("the template's close of an assistant's turn is not known")


def continuation(
    previous_ids: list[int], bridge: Bridge, *, ended: bool = False, openers: Collection[int | None] = ()
) -> list[int]:
    """What continues `previous_ids`: the bridge without the part of the close that was sampled already.

    That part is the longest beginning of the close with which `previous_ids` ends. Where the model ended its turn with
    another token than the close (`ended`, or one of the template's other ways to end a turn), that token stands in the
    close's place: all of the close up to its last control token is left out. Where the close is the next role's
    marker, a turn that ended with another role's (one of `openers`) cannot be continued by it: `BridgeNotFoundError`.
    """
    last = previous_ids[-1] if previous_ids else None
    if bridge.close.is_opener and last in openers and last != bridge.marker:
        raise BridgeNotFoundError(f"the turn ended with {last}, the marker of another role than the one that follows")
    return bridge.ids[bridge.sampled_of_close(previous_ids, ended=ended) :]


def _behind_last(close: list[int], markers: Collection[int | None]) -> int:
    """The length of `close` up to and with the last of `markers` in it."""
    return 1 + max((i for i, token_id in enumerate(close) if token_id in markers), default=0)
