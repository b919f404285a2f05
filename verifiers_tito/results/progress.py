"""What a run tells while it goes on: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from verifiers_tito.results.tally import Tally

_SECONDS_BETWEEN_LINES = 30.0


class ProgressDisplay:
    """`with ProgressDisplay(...) as display`: shows a tally while it grows.

    `earlier` rollouts were there before: they count as done, but not as speed. On a terminal there is a bar; elsewhere
    `log` gets a line every half a minute and one at the end.
    """

    def __init__(
        self,
        tally: Tally,
        *,
        total: int,
        earlier: int = 0,
        log: Callable[[str], None],
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tally, self._total, self._log, self._clock = tally, total, log, clock
        self._earlier = earlier
        self._earlier_tokens = tally.usage["output_tokens"]
        self._done = self._earlier
        console = console or Console(stderr=True)
        self._bar = _bar(console) if console.is_terminal else None

    def __enter__(self) -> Self:
        self._started = self._last_line = self._clock()
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("rollouts", total=self._total, completed=self._done, figures="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.update(self._task, figures=self.figures())
            self._bar.stop()
        else:
            self._log(f"{self._done} of {self._total} rollouts; {self.figures()}")

    def rollout_finished(self) -> None:
        """One more is done; its scores may come later."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, figures=self.figures())
        elif self._clock() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = self._clock()
            self._log(f"{self._done} of {self._total} rollouts; {self.figures()}")

    def figures(self) -> str:
        """Speed, mean reward, share of later turns that went in as token ids, fallbacks by reason, failures."""
        tally, seconds = self._tally, max(self._clock() - self._started, 1e-9)
        sampled = tally.usage["output_tokens"] - self._earlier_tokens
        found = [f"{(self._done - self._earlier) / seconds:.1f}/s", f"{sampled / seconds:,.0f} tokens/s"]
        if tally.average_reward is not None:
            found.append(f"reward {tally.average_reward:.3f}")
        if tally.token_in_rate is not None:
            found.append(f"token-in {tally.token_in_rate:.1%}")
        found += [f"{count} x {reason}" for reason, count in sorted(tally.fallbacks.items())]
        if tally.failed:
            found.append(f"{tally.failed} failed")
        return ", ".join(found)


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    figures = TextColumn("{task.fields[figures]}")
    return Progress(*columns, TimeRemainingColumn(), figures, console=console)
