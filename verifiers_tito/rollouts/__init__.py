"""Running rollouts: which, how many at once, scored how. Knows neither environments nor clients, only states."""

from verifiers_tito.rollouts.continuity import Continuity, TurnContinuity, continuity, run_metrics
from verifiers_tito.rollouts.group import run_group
from verifiers_tito.rollouts.summary import RolloutSummary, summarize

__all__ = [
    "Continuity",
    "RolloutSummary",
    "TurnContinuity",
    "continuity",
    "run_group",
    "run_metrics",
    "summarize",
]
