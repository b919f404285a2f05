"""Running rollouts: which, how many at once, scored how. Knows neither environments nor clients, only states."""

from verifiers_tito.rollouts.attempt import RetryRule, failed_state
from verifiers_tito.rollouts.continuity import Continuity, TurnContinuity, continuity, run_metrics
from verifiers_tito.rollouts.full_collections import postponed_full_collections
from verifiers_tito.rollouts.group import run_group
from verifiers_tito.rollouts.limits import NO_LIMIT, InFlight, Limits
from verifiers_tito.rollouts.plan import PlannedGroup, PlannedRollout, RolloutKey
from verifiers_tito.rollouts.scheduler import Receiver, Scheduler, Scoring
from verifiers_tito.rollouts.summary import RolloutSummary, summarize

__all__ = [
    "NO_LIMIT",
    "Continuity",
    "InFlight",
    "Limits",
    "PlannedGroup",
    "PlannedRollout",
    "Receiver",
    "RetryRule",
    "RolloutKey",
    "RolloutSummary",
    "Scheduler",
    "Scoring",
    "TurnContinuity",
    "continuity",
    "failed_state",
    "postponed_full_collections",
    "run_group",
    "run_metrics",
    "summarize",
]
