"""What happened to the tokens of a rollout, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from verifiers_tito.types import State, TrajectoryStep


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutSummary:
    """`served` counts turns by `Served.label`. Of the `later_turns` (all but the first), `extending_turns` have a
    prompt that begins with all ids of the turn before. `prompt_tokens` is the length of the last prompt."""

    turns: int
    served: Counter[str]
    later_turns: int
    extending_turns: int
    prompt_tokens: int
    sampled_tokens: int


def summarize(state: State) -> RolloutSummary:
    """The summary of a finished rollout."""
    steps: list[TrajectoryStep] = state["trajectory"]
    tokens = [step["tokens"] for step in steps if step["tokens"] is not None]
    served = (step["response"].served for step in steps)
    pairs = pairwise(steps)
    return RolloutSummary(
        turns=len(steps),
        served=Counter(how.label if how else "unknown" for how in served),
        later_turns=max(len(steps) - 1, 0),
        extending_turns=sum(_extends(later, earlier) for earlier, later in pairs),
        prompt_tokens=len(tokens[-1]["prompt_ids"]) if tokens else 0,
        sampled_tokens=sum(len(turn["completion_ids"]) for turn in tokens),
    )


def _extends(later: TrajectoryStep, earlier: TrajectoryStep) -> bool:
    if later["tokens"] is None or earlier["tokens"] is None:
        return False
    before = earlier["tokens"]["prompt_ids"] + earlier["tokens"]["completion_ids"]
    return later["tokens"]["prompt_ids"][: len(before)] == before
