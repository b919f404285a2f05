"""Where the ids of a rollout's prompts came from, turn by turn and in sum.

Every turn says how it was served (`Served`); the record collects that, so that a run can be asked how many ids were
kept, how many were derived for what the environment said, and how many were tokenized anew and for which reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from verifiers_tito.types import FallbackReason, Route, State


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnContinuity:
    """One turn. Counts are token ids of its prompt; `prefix_digest` names the whole prompt ("" where the server sent
    no ids). A first turn's prompt is neither reused, bridged nor retokenized: it is new."""

    route: Route | None
    reason: FallbackReason | None
    detail: str = ""
    reused_ids: int = 0
    bridged_ids: int = 0
    retokenized_ids: int = 0
    neutralized: int = 0
    control_strings: int = 0
    prefix_digest: str = ""

    @property
    def is_token_in(self) -> bool:
        return self.route is not None and self.route.is_token_in


@dataclass(frozen=True, slots=True)
class Continuity:
    """The record of one rollout, or of several in a row."""

    turns: tuple[TurnContinuity, ...]

    @property
    def fallbacks(self) -> Counter[str]:
        """Turns that went in as messages although an earlier turn's ids were there, by reason."""
        opening = (None, FallbackReason.FIRST_TURN)
        return Counter(str(turn.reason) for turn in self.turns if turn.reason not in opening)

    def metrics(self) -> dict[str, float]:
        """Sums under the names that a run's metrics use, each beginning with `tito/`."""
        sums = {
            "turns": len(self.turns),
            "token_in_turns": sum(turn.is_token_in for turn in self.turns),
            "fallback_turns": self.fallbacks.total(),
            "reused_ids": sum(turn.reused_ids for turn in self.turns),
            "bridged_ids": sum(turn.bridged_ids for turn in self.turns),
            "retokenized_ids": sum(turn.retokenized_ids for turn in self.turns),
            "neutralized_control_strings": sum(turn.neutralized for turn in self.turns),
            "passed_control_strings": sum(turn.control_strings for turn in self.turns),
        }
        reasons = {f"fallback/{reason}": count for reason, count in self.fallbacks.items()}
        return {f"tito/{name}": float(count) for name, count in {**sums, **reasons}.items()}


def continuity(state: State) -> Continuity:
    """The record of one rollout."""
    return Continuity(
        tuple(_turn(getattr(step.get("response"), "served", None)) for step in state.get("trajectory") or [])
    )


def run_metrics(states: Iterable[State]) -> dict[str, float]:
    """Metrics of a run: continuity summed over its rollouts, and the means of rewards and of each rollout's metrics.

    Rollouts without a reward (failed ones) count as turns, and under `rollouts/failed`.
    """
    states = list(states)
    turns = tuple(turn for state in states for turn in continuity(state).turns)
    scored = [state for state in states if state.get("reward") is not None]
    names = sorted({name for state in scored for name in state.get("metrics") or {}})
    means = {"reward": _mean(state["reward"] for state in scored)} if scored else {}
    for name in names:
        means[name] = _mean(state["metrics"][name] for state in scored if name in state["metrics"])
    counts = {"rollouts": len(states), "rollouts/failed": sum(state.get("error") is not None for state in states)}
    return {**{name: float(count) for name, count in counts.items()}, **means, **Continuity(turns).metrics()}


def _turn(served: object) -> TurnContinuity:
    names = TurnContinuity.__dataclass_fields__
    if served is None:
        return TurnContinuity(route=None, reason=None)
    return TurnContinuity(**{name: getattr(served, name) for name in names})


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)
