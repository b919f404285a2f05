"""`tito show`: saved rollouts to read, a line for each or whole conversations of those that are chosen.

Reads one record after another and writes it at once, so that a large folder shows its first lines soon.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from pathlib import Path

from rich.text import Text

from verifiers_tito.commands.page import BAD, Page, one_line, visible
from verifiers_tito.commands.rollout_view import print_rollout, title
from verifiers_tito.errors import ConfigError
from verifiers_tito.results import LoadedResults, Record, key_of, load_results
from verifiers_tito.rollouts import RolloutKey

_LONGEST_ERROR = 160
_NAMED_IN_ERRORS = 10


class Order(Enum):
    """Which rollouts come first."""

    DATASET = auto()
    BEST = auto()
    WORST = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which rollouts to show, and how: `rollouts` are `EXAMPLE` or `EXAMPLE:INDEX` (none: all), `most` None is all."""

    rollouts: frozenset[str]
    only_failed: bool
    order: Order
    most: int | None
    with_ids: bool

    def __post_init__(self) -> None:
        if self.most is not None and self.most < 1:
            raise ConfigError(f"-n must be at least 1, got {self.most}")

    @property
    def in_full(self) -> bool:
        return bool(self.rollouts) or self.with_ids or self.order is not Order.DATASET

    def records(self, results: LoadedResults) -> Iterator[Record]:
        """Raises `ConfigError` for a rollout that is not there. Those without a reward are neither best nor worst."""
        keys = self._keys(results)
        chosen = (results.index.read(key) for key in keys)
        if self.only_failed:
            chosen = (record for record in chosen if record["error"] is not None)
        if self.order is Order.DATASET:
            return islice(chosen, self.most)
        rewards = {key_of(record): record["reward"] for record in chosen if record["reward"] is not None}
        ranked = sorted(rewards, key=rewards.__getitem__, reverse=self.order is Order.BEST)
        return (results.index.read(key) for key in ranked[: self.most or 1])

    def _keys(self, results: LoadedResults) -> list[RolloutKey]:
        named = {key: {str(key.example_id), f"{key.example_id}:{key.index}"} for key in results.keys}
        if unknown := self.rollouts.difference(*named.values()):
            there = ", ".join(f"{key.example_id}:{key.index}" for key in results.keys[:_NAMED_IN_ERRORS])
            raise ConfigError(
                f"{results.folder} has no rollout {', '.join(sorted(unknown))}; it has {len(results)}: {there}"
                f"{', ...' if len(results) > _NAMED_IN_ERRORS else ''}"
            )
        return [key for key in results.keys if not self.rollouts or named[key] & self.rollouts]


def add_to(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = subcommands.add_parser(
        "show",
        help="saved rollouts: a line for each, or whole conversations and where each turn's ids came from",
        epilog="Without --rollout, --best, --worst or --tokens there is a line for each rollout.",
    )
    add = parser.add_argument
    add("results", type=Path, metavar="RESULTS", help="a folder of results, as `tito rollout --save` makes it")
    add("-n", dest="most", type=int, metavar="N", help="at most N rollouts (default: all; 1 with --best or --worst)")
    add("--rollout", action="append", default=[], metavar="EXAMPLE[:INDEX]",
        help="the conversations of an example, or of one rollout of it; may be repeated")  # fmt: skip
    add("--errors", action="store_true", help="only rollouts that failed")
    first = parser.add_mutually_exclusive_group()
    first.add_argument("--best", dest="order", action="store_const", const=Order.BEST, default=Order.DATASET,
                       help="the conversation with the highest reward")  # fmt: skip
    first.add_argument("--worst", dest="order", action="store_const", const=Order.WORST,
                       help="the conversation with the lowest reward")  # fmt: skip
    add("--tokens", action="store_true", help="each turn's token ids, too")
    return parser


def run(arguments: argparse.Namespace) -> int:
    choice = Choice(
        rollouts=frozenset(arguments.rollout),
        only_failed=arguments.errors,
        order=arguments.order,
        most=arguments.most,
        with_ids=arguments.tokens,
    )
    results, page = load_results(arguments.results), Page(sys.stdout)
    records = choice.records(results)
    page.print(_headline(results))
    for record in records:
        if choice.in_full:
            print_rollout(page, record, with_ids=choice.with_ids)
        else:
            page.print(_line(record))
    return 0


def _headline(results: LoadedResults) -> Text:
    told = results.metadata
    failed = sum(stored.failed for stored in results.index.rollouts.values())
    parts = [f"{told.get('env_id')} on {told.get('model')}, {told.get('date')}: {len(results)} rollouts"]
    if failed:
        parts.append(f"{failed} failed")
    if not told.get("finished"):
        parts.append("not finished")
    return Text(visible(", ".join(parts)), style="bold")


def _line(record: Record) -> Text:
    """What a rollout came to, in columns."""
    turns, sampled = len(record["steps"]), record["token_usage"].get("output_tokens") or 0
    line = Text(f"{title(record):<24} {turns:>3} turns {sampled:>7,} sampled  ")
    served = ", ".join(f"{count} x {label}" for label, count in record["served"].items())
    line.append(visible(f"{record['stop_condition'] or '-':<22} {served}"))
    if record["error"] is not None:
        error = record["error"]
        line.append("  ")
        line.append(one_line(f"{error['error']}: {error['error_chain_str']}", longest=_LONGEST_ERROR), style=BAD)
    return line
