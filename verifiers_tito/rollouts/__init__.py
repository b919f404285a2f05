"""Running rollouts: which, how many at once, scored how. Knows neither environments nor clients, only states."""

from verifiers_tito.rollouts.group import run_group
from verifiers_tito.rollouts.summary import RolloutSummary, summarize

__all__ = ["RolloutSummary", "run_group", "summarize"]
