"""Conversations with one server, and what they come to.

Times are taken while a peer talks straight to the server. What the server saw is taken from one more conversation,
through a relay that keeps both sides' bodies and takes time of its own. The first timed one comes behind an unmeasured
one, in which peers load what they need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from statistics import median

import httpx

from benchmarks.peers.conversations import Conversation, Kind
from benchmarks.peers.recorder import Recorder
from benchmarks.peers.seen import GENERATE, SeenTurn
from benchmarks.peers.speaker import Speaker, Spoken, Target, converse
from verifiers_tito.errors import LocalServerError
from verifiers_tito.wire import routes

_WARM_UP_TURNS = 3
_HEALTH_SECONDS = 30.0


class Server(StrEnum):
    """Whom the peers talk to. `STOCK` is the same vLLM without what only a flag or a plugin gives it."""

    FAKE = "fake"
    VLLM = "vLLM"
    STOCK = "stock vLLM"

    @property
    def hidden_paths(self) -> tuple[str, ...]:
        return (routes.CHAT_TOKENS, GENERATE) if self is Server.STOCK else ()

    def is_timed(self, kind: Kind) -> bool:
        """What a forced answer is made of differs, and so does its length: of vLLM's turns only those are timed that
        are cut, all at the same length."""
        return self is Server.FAKE or (self is Server.VLLM and kind is Kind.CUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One peer in one kind of conversation with one server. Lists are (T,), shorter where it failed."""

    server: Server
    kind: Kind
    peer: str
    cpu_ms: list[float]
    """Medians over the runs, as `wall_ms` are; empty where nothing was timed."""
    wall_ms: list[float]
    requests: list[int]
    sent_bytes: list[int]
    received_bytes: list[int]
    prompt_tokens: list[int]
    paths: list[str]
    """Where each turn was sampled."""
    later_turns: int
    """How many there should be."""
    turns_as_ids: int
    extending_turns: int
    failure: str


def measure(
    server: Server,
    conversations: Sequence[Conversation],
    speakers: Sequence[Speaker],
    target: Target,
    *,
    runs: int,
    after_turn: Callable[[], None] = lambda: None,
) -> list[Finding]:
    """Every peer in every conversation."""
    found: list[Finding] = []
    with Recorder(target=target.base_url.removesuffix(routes.API_ROOT), hidden=server.hidden_paths) as recorder:
        relayed = replace(target, base_url=recorder.base_url)
        for conversation in conversations:
            timed_runs = runs if server.is_timed(conversation.kind) else 0
            if timed_runs:
                warm_up = replace(conversation, turns=conversation.turns[:_WARM_UP_TURNS])
                converse(speakers, warm_up, target, number=1)
            timed = [
                converse(speakers, conversation, target, number=10 + run, after_turn=after_turn)
                for run in range(timed_runs)
            ]
            recorder.take()
            seen = converse(speakers, conversation, relayed, number=9, take=recorder.take, after_turn=after_turn)
            _require_alive(target)
            found += [
                _finding(server, conversation, name, [run[name] for run in timed], part) for name, part in seen.items()
            ]
    return found


def _finding(
    server: Server, conversation: Conversation, peer: str, timed: Sequence[Spoken], recorded: Spoken
) -> Finding:
    taken = list(zip(*(run.turns for run in timed), strict=False))
    seen = [turn.seen for turn in recorded.turns if turn.seen is not None]
    return Finding(
        server=server,
        kind=conversation.kind,
        peer=peer,
        cpu_ms=[median(turn.cpu_ms for turn in same) for same in taken],
        wall_ms=[median(turn.wall_ms for turn in same) for same in taken],
        requests=[turn.requests for turn in seen],
        sent_bytes=[turn.sent_bytes for turn in seen],
        received_bytes=[turn.received_bytes for turn in seen],
        prompt_tokens=[len(turn.prompt_ids) for turn in seen],
        paths=[turn.path for turn in seen],
        later_turns=len(conversation.turns) - 1,
        turns_as_ids=sum(turn.went_in_as_ids for turn in seen[1:]),
        extending_turns=_extending(seen),
        failure=next((part.failure for part in (recorded, *timed) if part.failure), ""),
    )


def _require_alive(target: Target) -> None:
    """A server that died would make every peer look bad. Raises `LocalServerError`."""
    url = f"{target.base_url.removesuffix(routes.API_ROOT)}{routes.HEALTH}"
    try:
        httpx.get(url, timeout=_HEALTH_SECONDS).raise_for_status()
    except httpx.HTTPError as error:
        raise LocalServerError(f"GET {url} after a conversation: {error}; the findings would say nothing") from error


def _extending(seen: Sequence[SeenTurn]) -> int:
    return sum(later.extends(before) for before, later in pairwise(seen))
