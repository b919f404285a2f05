"""Where rollouts run: in this process, or where the `Workers` that a user gives take them.

    Generation ──open groups──► Execution ──records, scores──► Books (the ledger, in this process)

Whoever runs them, the ledger and the folder of results are here, and what a run leaves behind is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from verifiers_tito.envs.given_client import GivenClient
from verifiers_tito.envs.options import GenerateOptions
from verifiers_tito.envs.recorder import Books, Recorder
from verifiers_tito.envs.scoring import KindOfScoring, ScoringKind
from verifiers_tito.envs.turn_log import TurnLog, turns_kept
from verifiers_tito.results import Record, state_of
from verifiers_tito.rollouts import (
    Limits,
    PlannedGroup,
    PlannedRollout,
    RetryRule,
    RolloutKey,
    Scheduler,
    postponed_full_collections,
)
from verifiers_tito.rollouts.attempt import Rollout
from verifiers_tito.types import State

if TYPE_CHECKING:
    from verifiers_tito.envs.generating import GeneratingEnvironment


def _nothing_is_there(key: RolloutKey) -> Record:
    raise KeyError(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGroup:
    """Rollouts `to_run`, and those that are `there` and to be scored with them, whose records `read` gives."""

    to_run: Sequence[PlannedRollout]
    there: Sequence[PlannedRollout] = ()
    read: Callable[[RolloutKey], Record] = _nothing_is_there

    def planned(self) -> PlannedGroup:
        return PlannedGroup(rollouts=self.to_run, earlier=self._earlier)

    def _earlier(self) -> list[State]:
        return [state_of(self.read(rollout.key), row=rollout.input) for rollout in self.there]


class Execution(Protocol):
    """Runs groups, and tells the books of each rollout and each group when it is finished."""

    async def run(self, groups: Sequence[OpenGroup], books: Books) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What every rollout of a run has in common. `compares` says whether groups are scored."""

    environment: GeneratingEnvironment
    client: GivenClient
    model: str
    sampling_args: Mapping[str, Any]
    options: GenerateOptions
    compares: bool


class Workers(Protocol):
    """Other processes that run rollouts: `generate(..., workers=...)`."""

    def execution(self, job: Job) -> Execution: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class InProcess:
    """`rollout` runs one input here; `fatal` are the errors that end the run."""

    rollout: Rollout
    scoring: KindOfScoring
    limits: Limits
    retries: RetryRule
    state_columns: Sequence[str] = ()
    fatal: tuple[type[Exception], ...] = ()
    postpones_full_collections: bool = True

    async def run(self, groups: Iterable[OpenGroup], books: Books) -> None:
        compares = self.scoring.kind is ScoringKind.GROUP
        scheduler = Scheduler(
            rollout=self.rollout,
            scoring=self.scoring,
            receiver=Recorder(books, state_columns=self.state_columns, compares=compares),
            limits=self.limits,
            retries=self.retries,
            fatal=self.fatal,
            around=lambda planned: turns_kept(_log(planned, books)),
        )
        with postponed_full_collections() if self.postpones_full_collections else nullcontext():
            await scheduler.run(group.planned() for group in groups)


def _log(planned: PlannedRollout, books: Books) -> TurnLog | None:
    earlier = books.turns_of(planned)
    return None if earlier is None else TurnLog(planned, earlier, books.turn_finished)
