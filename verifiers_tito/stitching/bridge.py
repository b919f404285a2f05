"""The bridge: the ids that a chat template writes between an assistant's turn and the next generation prompt.

The template is the authority and sampled text is never tokenized again. A stand-in conversation is rendered whose
assistant turn is a mark, followed by the real messages said since; the bridge is what stands after the mark, from the
turn's close on. The close begins with a control token, across which no tokenizer merges, so these ids are the ones
that the full text would have.

    stand-in: user "x" / assistant MARK / the tail   ──►  ... MARK [<|im_end|> \\n <|im_start|> user ... assistant \\n]

A turn that was cut short, or ended by a stop string, has sampled none of the close and gets all of it; one that ended
with `<|im_end|>` gets the rest. Where the close is not where the template's close was found to be, nothing is guessed:
`BridgeNotFoundError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verifiers_tito.stitching.turn_close import BridgeNotFoundError, TurnClose, common_length
from verifiers_tito.tokenization import Rendering


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """`ids` (B,) from the close of the turn on, of which the first `close_length` are the close itself.

    `neutralized` counts control strings in the tail that were kept from becoming control ids.
    """

    ids: list[int]
    close_length: int
    close: TurnClose
    neutralized: int = 0


def cut_bridge(rendering: Rendering, mark: str, closes: Sequence[TurnClose]) -> Bridge:
    """The bridge in the rendering of a stand-in; the turn ends as one of `closes` says, tried in order."""
    for close in closes:
        try:
            position = close.position(rendering, mark)
        except BridgeNotFoundError:
            if close is closes[-1]:
                raise
            continue
        ids = rendering.ids_from(position)
        length = max(common_length(close.ids, ids), 1)
        return Bridge(ids=ids, close_length=length, close=close, neutralized=rendering.neutralized)
    raise BridgeNotFoundError("the template's close of an assistant's turn is not known")


def join(
    previous_ids: list[int], bridge: Bridge, *, ended: bool = False, openers: frozenset[int] = frozenset()
) -> list[int]:
    """`previous_ids` continued by the bridge, without the part of the close that was sampled already.

    That part is the longest beginning of the close with which `previous_ids` ends. Where the model ended its turn with
    another token than the close (`ended`, or one of the template's other ways to end a turn), that token stands in the
    close's place: all of the close up to its last control token is left out. Where the close is the next role's
    marker, a turn that ended with another role's (one of `openers`) cannot be continued by it: `BridgeNotFoundError`.
    """
    close = bridge.ids[: bridge.close_length]
    longest = min(len(close), len(previous_ids))
    overlap = next((n for n in range(longest, 0, -1) if previous_ids[-n:] == close[:n]), 0)
    last = previous_ids[-1] if previous_ids else None
    if overlap == 0 and bridge.close.is_opener and last in openers:
        raise BridgeNotFoundError(f"the turn ended with {last}, the marker of another role than the one that follows")
    if overlap == 0 and not bridge.close.is_opener and (ended or last in bridge.close.ended_by):
        markers = bridge.close.ended_by & set(close) if last not in close else {last}
        overlap = 1 + max((i for i, token_id in enumerate(close) if token_id in markers), default=0)
    return previous_ids + bridge.ids[overlap:]
