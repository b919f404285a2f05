"""Finished rollouts, without a model."""

from __future__ import annotations

from typing import Any

import verifiers_tito as vf


def finished(said: str = "4", *, turns: int = 0, **fields: Any) -> vf.State:
    """A rollout whose answer was `said`, with as many steps in its trajectory as `turns`."""
    row = {"prompt": [vf.UserMessage(content="What is 2 + 2?")], "answer": "4", **fields}
    return vf.State(
        input=row,
        trajectory=[{"reward": None, "advantage": None} for _ in range(turns)],
        completion=[vf.AssistantMessage(content=said)],
        error=None,
        timing={"generation_ms": 5.0, "scoring_ms": 0.0, "total_ms": 5.0},
    )
