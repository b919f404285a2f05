"""Deriving the bridge of one turn, the way that suits its template and its history.

A kind of tail that was proven costs one rendering, as long as the tail. Where the template looks back further than a
stand-in goes, or no stand-in resembles the history, the whole conversation is rendered, and a second time with other
words in the tail: that shows whether the template puts a message of it in front of the turn.
"""

from __future__ import annotations

from dataclasses import dataclass

from verifiers_tito.stitching.bridge import Bridge, cut_bridge
from verifiers_tito.stitching.junction import Junction
from verifiers_tito.stitching.outcome import Fallback
from verifiers_tito.stitching.plan import NativeMessage, Plan, RenderRequest, unrefused
from verifiers_tito.stitching.proof import TemplateCloses, moved_roles
from verifiers_tito.stitching.stand_in import new_mark
from verifiers_tito.stitching.turn_close import BridgeNotFoundError
from verifiers_tito.tokenization import TemplateRefusedError
from verifiers_tito.types import FallbackReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The closes to look for, in a stand-in or in the whole conversation."""

    closes: TemplateCloses
    whole: bool = False

    def conversation(self, junction: Junction) -> list[NativeMessage]:
        """What is rendered, the tail's real messages at its end."""
        style = self.closes.style
        return junction.whole(style) if self.whole else junction.stand_in(style)


def derive(way: Way, junction: Junction) -> Plan[Bridge | Fallback]:
    """The ids behind the turn, its close included, or why they cannot be told."""
    style, words = way.closes.style, [new_mark() for _ in junction.tail]
    worded = [RenderRequest(junction.whole(style, words=words))] if way.whole else []
    renderings = yield [RenderRequest(way.conversation(junction)), *worded]
    try:
        real, *checked = map(unrefused, renderings)
        moved = [moved_roles(one, style.mark, junction.tail, words) for one in checked]
        if any(moved):
            return Fallback(FallbackReason.TAIL_MOVED, moved[0])
        return cut_bridge(real, style.mark, way.closes.of(junction.after))
    except TemplateRefusedError as error:
        return Fallback(FallbackReason.TEMPLATE_REFUSED, str(error))
    except BridgeNotFoundError as error:
        return Fallback(FallbackReason.TEMPLATE_UNPROVABLE, str(error))
