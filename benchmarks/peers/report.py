"""What the findings come to: rows of what is measured, columns of peers, and where ours is not ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from rich import box
from rich.table import Table

from benchmarks.peers.measure import Finding, Server
from benchmarks.peers.peers import PEERS

EARLY_TURN = 10
AROUND = 2
Pick = Callable[[Finding], float | None]


class Verdict(StrEnum):
    """Ours beside the best of the others. Values are cells of the table."""

    AHEAD = "ahead"
    LEVEL = "level"
    BEHIND = "BEHIND"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`values` by peer, None where it has none. Less is better, unless `more_is_better`."""

    what: str
    values: dict[str, float | None]
    shown: str
    more_is_better: bool = False

    @property
    def verdict(self) -> Verdict:
        ours = self._by_goodness(peer.name for peer in PEERS if peer.is_ours)
        others = self._by_goodness(peer.name for peer in PEERS if not peer.is_ours)
        if not ours or (others and others[0] > ours[0]):
            return Verdict.BEHIND
        return Verdict.LEVEL if others and others[0] == ours[0] else Verdict.AHEAD

    def cell(self, peer: str) -> str:
        value = self.values.get(peer)
        return "-" if value is None else self.shown.format(value)

    def _by_goodness(self, peers: Iterable[str]) -> list[float]:
        """As shown, for nobody is ahead by what rounding hides; the best first, and the greater the better."""
        sign = 1 if self.more_is_better else -1
        cells = (self.cell(peer).split(" ")[0].replace(",", "") for peer in peers)
        return sorted((sign * float(cell) for cell in cells if cell != "-"), reverse=True)


def rows(found: Sequence[Finding]) -> list[Row]:
    """All rows of one server after the other, in the order of the findings."""
    made: list[Row] = []
    for server, kind in dict.fromkeys((one.server, one.kind) for one in found):
        same = [one for one in found if (one.server, one.kind) == (server, kind)]
        made += _rows(f"{server}, {kind}", same)
    return made


def _rows(title: str, same: Sequence[Finding]) -> list[Row]:
    turns = same[0].later_turns + 1

    def row(what: str, pick: Pick, shown: str, *, more_is_better: bool = False) -> Row:
        values = {one.peer: pick(one) for one in same}
        return Row(what=f"{title}: {what}", values=values, shown=shown, more_is_better=more_is_better)

    of_all = f"{{:.0f}} of {turns - 1}"
    made = [
        row("prompts that extend", lambda one: _count(one, one.extending_turns), of_all, more_is_better=True),
        row("prompts as ids", lambda one: _count(one, one.turns_as_ids), of_all, more_is_better=True),
    ]
    if same[0].server is not Server.STOCK:
        made.append(row("requests, last turn", lambda one: _last(one.requests, turns), "{:.0f}"))
    if not same[0].server.is_timed(same[0].kind):
        return made
    made.append(row("kB out, last turn", lambda one: _last(one.sent_bytes, turns, 1000), "{:,.1f}"))
    made.append(row("kB in, last turn", lambda one: _last(one.received_bytes, turns, 1000), "{:,.1f}"))
    made += [
        row(f"client CPU ms, turn {turn}", lambda one, turn=turn: _around(one.cpu_ms, turn, turns), "{:.2f}")
        for turn in compared_turns(turns)
    ]
    if same[0].server is Server.VLLM:
        made.append(row("ms, last turns", lambda one: _around(one.wall_ms, turns, turns), "{:.1f}"))
    return made


def compared_turns(turns: int) -> tuple[int, ...]:
    """An early one and the last, or the last only where they are the same."""
    return (EARLY_TURN, turns) if turns > EARLY_TURN + 2 * AROUND else (turns,)


def _count(one: Finding, count: int) -> float | None:
    return None if one.failure and not one.paths else count


def _last(values: Sequence[int], turns: int, unit: int = 1) -> float | None:
    return values[-1] / unit if len(values) == turns else None


def _around(values: Sequence[float], turn: int, turns: int) -> float | None:
    """The median of five turns around one, of which the last are the last; None where it did not get there."""
    if len(values) < turns:
        return None
    last = min(turn + AROUND, turns)
    return median(values[max(last - 2 * AROUND - 1, 0) : last])


def table(made: Sequence[Row]) -> Table:
    shown = Table(title="\nThe same conversations", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("")
    for peer in PEERS:
        shown.add_column(peer.name, justify="right")
    shown.add_column("ours is")
    for row in made:
        shown.add_row(row.what, *(row.cell(peer.name) for peer in PEERS), row.verdict)
    return shown


def failures(found: Sequence[Finding]) -> list[str]:
    """A line for each peer and server where it could not take part to the end, in the words of the first failure, and
    what its way needs."""
    needs = {peer.name: peer.needs for peer in PEERS}
    failed: dict[tuple[str, Server], list[Finding]] = {}
    for one in found:
        if one.failure:
            failed.setdefault((one.peer, one.server), []).append(one)
    return [
        f"{peer} on {server} ({', '.join(one.kind for one in same)}): {same[0].failure} It needs {needs[peer]}."
        for (peer, server), same in failed.items()
    ]


def conclusion(made: Sequence[Row]) -> str:
    by_verdict = {verdict: [row.what for row in made if row.verdict is verdict] for verdict in Verdict}
    behind = by_verdict[Verdict.BEHIND]
    said = (
        f"Of {len(made)} rows ours is ahead of every peer in {len(by_verdict[Verdict.AHEAD])}, level with the best in "
        f"{len(by_verdict[Verdict.LEVEL])} and behind in {len(behind)}; goal none: {'MISSED' if behind else 'met'}."
    )
    return f"{said} Behind: {'; '.join(behind)}." if behind else said
