"""The books of a run: each finished rollout goes to the folder, into the averages, to the outputs and the callbacks.

Outputs are held until the end, because callers get them; trajectories only where they are asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

from verifiers_tito.envs.options import GenerateOptions, Metadata
from verifiers_tito.envs.scoring import KindOfScoring, ScoringKind
from verifiers_tito.results import (
    JsonValues,
    PassRates,
    ProgressDisplay,
    Record,
    ResultsStore,
    RolloutOutput,
    RunSettings,
    Tally,
    output_of,
    record_of,
    scores_of,
    trajectory_of,
    with_scores,
)
from verifiers_tito.rollouts import PlannedRollout, RolloutKey
from verifiers_tito.types import State

_LOGGER = logging.getLogger(__name__)
_TRAJECTORY = "trajectory"


class Ledger:
    """Takes what the scheduler finishes. Without a `store` nothing is saved."""

    def __init__(
        self,
        settings: RunSettings,
        options: GenerateOptions,
        scoring: KindOfScoring,
        store: ResultsStore | None,
        *,
        planned: int,
    ) -> None:
        self.outputs: dict[RolloutKey, RolloutOutput] = {}
        self._all: list[RolloutOutput] = []
        self.folder = store.folder if store else None
        self._settings, self._options, self._scoring, self._store = settings, options, scoring, store
        self._planned = planned
        self._unscored: dict[RolloutKey, Record] = {}
        self._values = JsonValues()
        self._warned: set[str] = set()
        self._display: ProgressDisplay | None = None
        self._date = (store.began if store else None) or datetime.now(UTC).isoformat(timespec="seconds")
        passes = PassRates(rollouts_per_example=settings.rollouts_per_example, threshold=settings.pass_threshold)
        self._tally = Tally(passes=passes)

    def rollout_finished(self, planned: PlannedRollout, state: State) -> None:
        record = record_of(planned, state, state_columns=self._settings.state_columns, values=self._values)
        if self._store is not None:
            self._store.add(record)
        self._unscored[planned.key] = {**record, "steps": []}
        self._warn_of_changed_values()
        if self._display is not None:
            self._display.rollout_finished()

    def group_finished(self, finished: Sequence[tuple[PlannedRollout, State]], earlier: Sequence[State]) -> None:
        new = []
        compares = self._scoring.kind is ScoringKind.GROUP
        scores = [self._scores(state) if compares else None for _, state in finished]
        if self._store is not None and compares:
            self._rescore(earlier)
            self._store.add_scores([line for line in scores if line is not None])
        for (planned, state), line in zip(finished, scores, strict=True):
            record = with_scores(self._unscored.pop(planned.key), line)
            new.append(self._take(planned.key, record, state))
        self._tell(new)

    def take_earlier(self, rollouts: Sequence[PlannedRollout]) -> None:
        """Rollouts that the folder has complete."""
        if self._store is not None:
            for planned in rollouts:
                self._take(planned.key, self._store.index.read(planned.key), None)

    def write_metadata(self, *, seconds: float, finished: bool) -> Metadata:
        """The metadata as it is now, also in the folder."""
        metadata = {**self.metadata(), "time": seconds, "finished": finished}
        if self._store is not None:
            self._store.write_metadata(metadata)
        return metadata

    def metadata(self) -> Metadata:
        """What the run is of, and its averages so far."""
        what, so_far = self._settings.to_json(), self._tally.summary()
        return {**what, "date": self._date, "rollouts": self._tally.rollouts, **so_far}

    def display(self, *, to_run: int) -> AbstractContextManager[Any]:
        """Shows progress inside `with`, if it is to be shown."""
        if not self._options.shows_progress or not to_run:
            return nullcontext()
        earlier = self._planned - to_run
        self._display = ProgressDisplay(self._tally, total=self._planned, earlier=earlier, log=self.log)
        return self._display

    def log(self, message: str) -> None:
        (self._options.on_log or _LOGGER.info)(message)

    def warn(self, message: str) -> None:
        """Something is not as it was asked for; the run goes on."""
        _LOGGER.warning("%s", message)
        if self._options.on_log is not None:
            self._options.on_log(message)

    def _rescore(self, earlier: Sequence[State]) -> None:
        """Members of a group that an earlier run finished, compared with the new ones. A record holds less than the
        state that it was made of: where scores cannot be had from it, it keeps the ones that it has."""
        if self._store is None:
            return
        for state in earlier:
            key = RolloutKey(state["example_id"], state["_rollout_index"])
            if state["error"] is not None and self._store.index.is_scored_with_its_group(key):
                self.warn(
                    f"{key} was finished earlier and cannot be scored again from its record ({state['error']}): "
                    "it keeps its scores; name what the reward function reads in state_columns"
                )
            else:
                self._store.add_scores([self._scores(state)])
            self._take(key, self._store.index.read(key), state)

    def _scores(self, state: State) -> Record:
        return scores_of(state, state_columns=self._settings.state_columns, values=self._values)

    def _take(self, key: RolloutKey, record: Record, state: State | None) -> RolloutOutput:
        output = output_of(record)
        if _TRAJECTORY in self._settings.state_columns:
            output[_TRAJECTORY] = state[_TRAJECTORY] if state is not None else trajectory_of(record)
        self.outputs[key] = output
        self._all.append(output)
        self._tally.add(record)
        return output

    def _tell(self, new: list[RolloutOutput]) -> None:
        callbacks = self._options.progress_callbacks
        if callbacks and new:
            metadata = self.metadata()
            for callback in callbacks:
                callback(self._all, new, metadata)

    def _warn_of_changed_values(self) -> None:
        """Once for each place."""
        for place, what in self._values.changed.items():
            if place not in self._warned:
                self._warned.add(place)
                self.warn(f"{place} holds what JSON cannot ({what}): it is text in the results")
        self._values.changed.clear()
