"""What a run came to, in one table: rewards, how turns were served, what failed and why, where the results are."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from verifiers_tito.commands.page import BAD, GOOD, Page, labelled, one_line
from verifiers_tito.results import LATER_TOKEN_IN_TURNS, LATER_TURNS, RolloutOutput, fallbacks_in

PLAIN = ""
_LONGEST_MESSAGE = 200
Row = tuple[str, str, str]
"""Label, value, style of the value."""


def print_summary(page: Page, results: Mapping[str, Any], *, sampled_ids: int) -> None:
    """`results` are what `generate` returns; `sampled_ids` were sampled in this run, not before."""
    outputs, metadata = results["outputs"], results["metadata"]
    page.print(Text(f"{metadata['env_id']} on {metadata['model']}", style="bold"))
    rows = [*_scores(outputs, metadata), *_turns(outputs, metadata), *_speed(metadata, sampled_ids)]
    page.print(labelled([*rows, *_failures(outputs)]))
    folder = metadata.get("path_to_save")
    if folder is not None:
        page.print(Text(f"saved in {folder}; to look at them: {shlex.join(['tito', 'show', str(folder)])}"))


def first_failure(outputs: Sequence[Mapping[str, Any]]) -> str:
    """The first error, with its class."""
    error = next(output["error"] for output in outputs if output["error"] is not None)
    return f"{error['error']}: {error['error_chain_str']}"


def _scores(outputs: Sequence[RolloutOutput], metadata: Mapping[str, Any]) -> Iterator[Row]:
    yield "rollouts", f"{len(outputs)} (examples: {metadata['num_examples']})", PLAIN
    reward = metadata["avg_reward"]
    yield "reward", "none" if reward is None else f"{reward:.4g}", PLAIN
    for name, mean in metadata["avg_metrics"].items():
        yield name, f"{mean:.4g}", PLAIN
    for label, rates in (("pass@", metadata["pass_at_k"]), ("pass^", metadata["pass_all_k"])):
        if rates:
            yield f"{label}k", ", ".join(f"{k}: {rate:.3f}" for k, rate in rates.items()), PLAIN


def _turns(outputs: Sequence[RolloutOutput], metadata: Mapping[str, Any]) -> Iterator[Row]:
    """First turns have no earlier ids and go in as messages; the rate is of the turns after them."""
    counts = metadata["continuity"]
    later, token_in = int(counts.get(LATER_TURNS, 0)), int(counts.get(LATER_TOKEN_IN_TURNS, 0))
    if later:
        style = GOOD if token_in == later else BAD
        yield "token-in", f"{token_in / later:.1%} of {later} later turns", style
    served = sum((Counter(output["served"]) for output in outputs), Counter[str]())
    for label, turns in served.most_common():
        yield "turns", f"{turns} x {label}", PLAIN
    for reason, turns in sorted(fallbacks_in(counts).items()):
        yield "fallback", f"{turns} x {reason}", BAD


def _speed(metadata: Mapping[str, Any], sampled_ids: int) -> Iterator[Row]:
    seconds = metadata["time"]
    if sampled_ids and seconds > 0:
        yield "speed", f"{sampled_ids / seconds:,.0f} tokens/s sampled, {sampled_ids:,} in {seconds:.1f} s", PLAIN


def _failures(outputs: Sequence[RolloutOutput]) -> Iterator[Row]:
    """By class of error, each with the first message."""
    failed = [output["error"] for output in outputs if output["error"] is not None]
    for name, count in Counter(error["error"] for error in failed).most_common():
        first = next(error["error_chain_str"] for error in failed if error["error"] == name)
        yield "failed", f"{count} x {name}: {one_line(first, longest=_LONGEST_MESSAGE)}", BAD
