"""Building a turn's prompt ids from the ids of earlier turns: pure functions over messages and ids, no I/O.

    trajectory, prompt ──► PrefixIndex.match ──► earlier step + the messages said since (the tail)
    tail ──► bridge_conversation ──(a tokenizer renders it)──► cut_bridge ──► bridge ids
    earlier step's ids + bridge ids ──► join ──► Stitched

Whatever cannot be shown to be exact is a `Fallback` with its reason. Which tokenizer renders is the caller's choice.
"""

from verifiers_tito.stitching.bridge import (
    BridgeConversation,
    BridgeNotFoundError,
    bridge_conversation,
    close_conversation,
    cut_bridge,
    cut_close,
    join,
)
from verifiers_tito.stitching.cache import BoundedCache
from verifiers_tito.stitching.digest import chain_digests, message_digest, value_digest
from verifiers_tito.stitching.outcome import Fallback, Stitched
from verifiers_tito.stitching.prefix import PrefixIndex, PrefixMatch

__all__ = [
    "BoundedCache",
    "BridgeConversation",
    "BridgeNotFoundError",
    "Fallback",
    "PrefixIndex",
    "PrefixMatch",
    "Stitched",
    "bridge_conversation",
    "chain_digests",
    "close_conversation",
    "cut_bridge",
    "cut_close",
    "join",
    "message_digest",
    "value_digest",
]
