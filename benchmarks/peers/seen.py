"""What a server saw of a conversation: read from requests and answers, never from what a client says of itself.

A turn is made of the exchanges that it caused. The one that samples holds the prompt's ids, as sent or as the server
echoes them, and the sampled ids; with these of two turns it can be told whether the later prompt begins with all ids
before it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from benchmarks.peers.recorder import Exchange
from verifiers_tito.wire import routes
from verifiers_tito.wire.answers import ChatAnswer
from verifiers_tito.wire.prompt_digest import PromptDigest

GENERATE = "/inference/v1/generate"
_SAMPLING = (routes.CHAT, routes.CHAT_TOKENS, GENERATE)


class _GenerateChoice(msgspec.Struct):
    token_ids: list[int]


class _GenerateAnswer(msgspec.Struct):
    choices: list[_GenerateChoice]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenTurn:
    """`path` is that of the request that sampled. `prompt_ids` are empty where the server did not say what it saw."""

    path: str
    went_in_as_ids: bool
    prompt_ids: list[int]
    sampled_ids: list[int]
    requests: int
    sent_bytes: int
    received_bytes: int

    def extends(self, before: SeenTurn) -> bool:
        """Whether the prompt begins with the ids of the prompt before and of what was sampled on it."""
        ids = [*before.prompt_ids, *before.sampled_ids]
        return bool(before.prompt_ids and before.sampled_ids) and self.prompt_ids[: len(ids)] == ids


def seen_turn(exchanges: Sequence[Exchange]) -> SeenTurn | None:
    """One turn, or None where nothing was sampled."""
    sampled = [one for one in exchanges if one.path in _SAMPLING and one.status == 200 and one.sent]
    if not sampled:
        return None
    path, body, answer = sampled[-1].path, json.loads(sampled[-1].sent), sampled[-1].received
    prompt_ids, sampled_ids = _generated(body, answer) if path == GENERATE else _chatted(body, answer)
    return SeenTurn(
        path=path,
        went_in_as_ids=path != routes.CHAT or "prompt_token_ids" in (body.get("kv_transfer_params") or {}),
        prompt_ids=prompt_ids,
        sampled_ids=sampled_ids,
        requests=len(exchanges),
        sent_bytes=sum(len(one.sent.encode()) for one in exchanges),
        received_bytes=sum(len(one.received.encode()) for one in exchanges),
    )


def _generated(body: dict[str, Any], answer: str) -> tuple[list[int], list[int]]:
    """This route has no other prompt than the ids in the request."""
    return body["token_ids"], msgspec.json.decode(answer, type=_GenerateAnswer).choices[0].token_ids


def _chatted(body: dict[str, Any], answer: str) -> tuple[list[int], list[int]]:
    """The echoed ids, or those sent where their digest is echoed."""
    read = msgspec.json.decode(answer, type=ChatAnswer)
    ids = read.prompt_token_ids or []
    if read.prompt_digest is not None and PromptDigest().extend(body["tokens"]).answer() == read.prompt_digest:
        ids = body["tokens"]
    return ids, read.choices[0].token_ids or []
