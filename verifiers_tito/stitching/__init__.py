"""Building a turn's prompt ids from the ids of earlier turns: pure functions over messages and ids, no I/O.

    trajectory, prompt ──► PrefixIndex.match ──► earlier step + the messages said since (the tail)
    find_closes ──► how this template closes turns          prove_tail ──► whether this kind of tail can be bridged
    tail ──► Junction ──► derive (a tokenizer renders a stand-in, or the whole conversation) ──► bridge ids
    earlier step's ids + bridge ids ──► TemplateBook.join ──► Stitched

Whatever cannot be shown to be exact is a `Fallback` with its reason. Which tokenizer renders, and whether one waits for
it, is the caller's choice: work that needs several renderings is a `Plan`.
"""

from verifiers_tito.stitching.bridge import Bridge, continuation, cut_bridge
from verifiers_tito.stitching.cache import BoundedCache
from verifiers_tito.stitching.digest import conversation_digest, message_digest, value_digest
from verifiers_tito.stitching.junction import Junction
from verifiers_tito.stitching.outcome import Fallback, Stitched
from verifiers_tito.stitching.past import SYSTEM_ROLES, Context, Past
from verifiers_tito.stitching.plan import Plan, Rendered, RenderRequest, run_plan
from verifiers_tito.stitching.prefix import Conversation, PrefixIndex, PrefixMatch, PrefixMiss
from verifiers_tito.stitching.proof import (
    TailProof,
    TemplateCloses,
    Verdict,
    find_closes,
    prove_tail,
    sample_conversation,
    strips_reasoning,
)
from verifiers_tito.stitching.report import TemplateReport, examine
from verifiers_tito.stitching.stand_in import StandInStyle
from verifiers_tito.stitching.tail_kind import STANDARD_KINDS, TailKind
from verifiers_tito.stitching.template_book import TemplateBook, TemplateBridge
from verifiers_tito.stitching.turn_close import BridgeNotFoundError, TurnClose
from verifiers_tito.stitching.way import Way, derive

__all__ = [
    "STANDARD_KINDS",
    "SYSTEM_ROLES",
    "BoundedCache",
    "Bridge",
    "BridgeNotFoundError",
    "Context",
    "Conversation",
    "Fallback",
    "Junction",
    "Past",
    "Plan",
    "PrefixIndex",
    "PrefixMatch",
    "PrefixMiss",
    "RenderRequest",
    "Rendered",
    "StandInStyle",
    "Stitched",
    "TailKind",
    "TailProof",
    "TemplateBook",
    "TemplateBridge",
    "TemplateCloses",
    "TemplateReport",
    "TurnClose",
    "Verdict",
    "Way",
    "continuation",
    "conversation_digest",
    "cut_bridge",
    "derive",
    "examine",
    "find_closes",
    "message_digest",
    "prove_tail",
    "run_plan",
    "sample_conversation",
    "strips_reasoning",
    "value_digest",
]
