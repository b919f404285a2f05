from __future__ import annotations

from typing import Any

import verifiers_tito as vf
from verifiers_tito.types import Response, ResponseMessage


def answer(served: vf.Served | None) -> Response:
    return Response(id="r", created=0, model="m", message=ResponseMessage(content="x"), served=served)


def step(prompt: list[int], completion: list[int], **served: Any) -> dict[str, Any]:
    return {"response": answer(vf.Served(**served)), "tokens": {"prompt_ids": prompt, "completion_ids": completion}}


def test_turns_are_counted_by_route_and_reason() -> None:
    state = vf.State(
        trajectory=[
            step([1], [2], route=vf.Route.CHAT, reason=vf.FallbackReason.FIRST_TURN),
            step([1, 2, 3], [4, 5], route=vf.Route.CHAT_TOKENS),
            step([1, 2, 9], [6], route=vf.Route.CHAT, reason=vf.FallbackReason.NO_PREFIX),
            {"response": answer(served=None), "tokens": None},
        ]
    )
    summary = vf.summarize(state)
    assert summary.served == {"chat (first turn)": 1, "chat/tokens": 1, "chat (no prefix)": 1, "unknown": 1}
    assert (summary.turns, summary.later_turns, summary.extending_turns) == (4, 3, 1)
    assert (summary.prompt_tokens, summary.sampled_tokens) == (3, 4)


def test_a_rollout_without_turns_has_an_empty_summary() -> None:
    summary = vf.summarize(vf.State(trajectory=[]))
    assert (summary.turns, summary.later_turns, summary.prompt_tokens) == (0, 0, 0)
