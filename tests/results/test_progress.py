from __future__ import annotations

import io

from rich.console import Console

import verifiers_tito as vf
from tests.results.rollouts import finished, planned
from verifiers_tito.results import JsonValues, PassRates, ProgressDisplay, Tally, record_of


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def run(display: ProgressDisplay, tally: Tally, clock: Clock, rollouts: int, *, error: vf.Error | None = None) -> None:
    for index in range(rollouts):
        rollout = planned(0, index)
        clock.seconds += 2.0
        display.rollout_finished()
        tally.add(record_of(rollout, finished(rollout, error=error), state_columns=(), values=JsonValues()))


def made(terminal: bool) -> tuple[ProgressDisplay, Tally, Clock, list[str], io.StringIO]:
    tally, clock, lines = Tally(passes=PassRates(rollouts_per_example=1, threshold=0.5)), Clock(), list[str]()
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=150)
    display = ProgressDisplay(tally, total=100, earlier=10, log=lines.append, console=console, clock=clock)
    return display, tally, clock, lines, screen


def test_elsewhere_than_on_a_terminal_there_is_a_line_now_and_then() -> None:
    display, tally, clock, lines, screen = made(terminal=False)
    with display:
        run(display, tally, clock, 40)
        run(display, tally, clock, 2, error=vf.ModelError("x"))
    assert screen.getvalue() == ""
    assert [line.split(" rollouts")[0] for line in lines] == ["25 of 100", "40 of 100", "52 of 100"]
    assert lines[-1] == "52 of 100 rollouts; 0.5/s, 2 tokens/s, reward 1.000, token-in 100.0%, 2 failed"


def test_on_a_terminal_there_is_a_bar_with_the_same_figures() -> None:
    display, tally, clock, lines, screen = made(terminal=True)
    with display:
        run(display, tally, clock, 5)
    assert lines == []
    assert "15/100" in screen.getvalue()
    assert "token-in 100.0%" in screen.getvalue()
