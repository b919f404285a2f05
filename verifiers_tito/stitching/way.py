"""Deriving the bridge of one turn, the way that suits its template and its history.

STAND_IN   one rendering as long as the tail: its kind was proven
WHOLE      one rendering of the whole conversation: the template looks back further than a stand-in goes
UNTRIED    two of the whole conversation: no stand-in resembles it, so whether the template puts a message of the
           tail in front of the turn is seen here
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from verifiers_tito.stitching.bridge import Bridge, cut_bridge
from verifiers_tito.stitching.junction import Junction
from verifiers_tito.stitching.outcome import Fallback
from verifiers_tito.stitching.plan import NativeMessage, Plan, RenderRequest, unrefused
from verifiers_tito.stitching.proof import TemplateCloses, moved_roles
from verifiers_tito.stitching.stand_in import StandInStyle, new_mark
from verifiers_tito.stitching.turn_close import BridgeNotFoundError
from verifiers_tito.tokenization import TemplateRefusedError
from verifiers_tito.types import FallbackReason


class View(Enum):
    """What is rendered for a bridge."""

    STAND_IN = "a stand-in"
    WHOLE = "the whole conversation"
    UNTRIED = "the whole conversation, unlike any that was tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The closes to look for, and where."""

    closes: TemplateCloses
    view: View = View.STAND_IN

    def conversation(self, junction: Junction) -> list[NativeMessage]:
        """What is rendered, the tail's real messages at its end."""
        style = self.closes.style
        return junction.stand_in(style) if self.view is View.STAND_IN else junction.whole(style)


def derive(way: Way, junction: Junction) -> Plan[Bridge | Fallback]:
    """The ids behind the turn, its close included, or why they cannot be told."""
    try:
        if way.view is View.UNTRIED:
            moved = yield from _moved_here(way.closes.style, junction)
            if moved:
                return Fallback(FallbackReason.TAIL_MOVED, moved)
        (rendered,) = yield [RenderRequest(way.conversation(junction))]
        return cut_bridge(unrefused(rendered), way.closes.style.mark, way.closes.of(junction.after))
    except TemplateRefusedError as error:
        return Fallback(FallbackReason.TEMPLATE_REFUSED, str(error))
    except BridgeNotFoundError as error:
        return Fallback(FallbackReason.TEMPLATE_UNPROVABLE, str(error))


def _moved_here(style: StandInStyle, junction: Junction) -> Plan[str]:
    words = [new_mark() for _ in junction.tail]
    (rendered,) = yield [RenderRequest(junction.whole(style, words=words))]
    return moved_roles(unrefused(rendered), style.mark, junction.tail, words)
