"""CPU of the client per turn while a conversation grows to 60,000 tokens: it should not grow with it.

    .venv/bin/python -m benchmarks.client_cost [--turns 200] [--runs 3] [--model-folder .models/qwen3-tiny]

One rollout after the other, through an environment, against a fake vLLM in a process of its own: `process_time` of this
process is then the client and the environment, whatever the fake does and however long it takes. Three clients have the
same conversation: token ids with a local tokenizer, token ids with the server's `/tokenize`, and messages.

Every figure is the median over the runs; where turns are compared, the median of five turns around each. What the
environment says is new on each turn, so that no bridge is found in a cache.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from statistics import mean, median
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import verifiers_tito as vf
from benchmarks.command import options_from, run_as_command
from benchmarks.fake_process import MODEL, FakeProcess
from benchmarks.results import provenance, require_tokenizer, write
from benchmarks.words import Words
from verifiers_tito.errors import ConfigError
from verifiers_tito.tokenization import LocalTokenizer
from verifiers_tito.types import StitchingConfig

SAMPLED_TOKENS = 200
SAID_WORDS = 92
TOKENS_PER_TURN = 400
"""More than a turn ever adds: sampled, said, and what the template writes around both."""
EARLY_TURN = 10
AROUND = 2
GOAL_RATIO = 1.5
RESULT = Path("runs/benchmarks/client_cost.json")


class Way(StrEnum):
    """How the conversation reaches the server."""

    LOCAL = "token ids, local tokenizer"
    SERVER = "token ids, server's /tokenize"
    MESSAGES = "messages in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    turns: int = 200
    runs: int = 3
    model_folder: Path = Path(".models/qwen3-tiny")
    answer_seconds: float = 0.1
    """A client that is answered at once still has all it needs in the processor's caches, and one that waits does not,
    which costs more than a long history. A model takes its time: so does the fake, as much at every length."""

    def __post_init__(self) -> None:
        if self.turns < 1 or self.runs < 1:
            raise ConfigError(f"--turns and --runs must be at least 1, got {self.turns} and {self.runs}")
        require_tokenizer(self.model_folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCost:
    """One turn. Times are CPU of this process, in user and system mode: `client_ms` in the client's `get_response`,
    `environment_ms` in the turn loop since the answer before. `requests` and `sent_bytes` are what the fake saw."""

    turn: int
    prompt_tokens: int
    client_ms: float
    environment_ms: float
    requests: int
    sent_bytes: int
    received_bytes: int
    collection_ms: float
    """The garbage collector's part of both times. It comes seldom and takes long: medians do not show it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WayCost:
    """All turns of one way, each the median over the runs. Of `later_turns`, `extending_turns` have a prompt that
    begins with all ids of the turn before, in the worst of the runs."""

    way: Way
    turns: list[TurnCost]
    later_turns: int
    extending_turns: int
    mean_collection_ms: float
    """Per turn, over all turns and runs."""

    def around(self, turn: int) -> TurnCost:
        """The median of the turns around one, fewer than five at the end: turn 200 of 200 is 196 to 200."""
        last = min(max(turn + AROUND, 2 * AROUND + 1), len(self.turns))
        return medians(self.turns[max(last - 2 * AROUND - 1, 0) : last], turn=turn)

    @property
    def ratio(self) -> float | None:
        """Client CPU of the last turns by that of those around turn 10; None where they are the same turns."""
        if len(self.turns) < EARLY_TURN + 3 * AROUND + 1:
            return None
        return self.around(len(self.turns)).client_ms / self.around(EARLY_TURN).client_ms


class Collections:
    """CPU time of the garbage collector inside `with`."""

    def __init__(self) -> None:
        self._began_seconds = self._taken_seconds = 0.0

    def take_ms(self) -> float:
        """The milliseconds since the last call."""
        taken, self._taken_seconds = self._taken_seconds, 0.0
        return taken * 1000

    def __enter__(self) -> Self:
        gc.callbacks.append(self._note)
        return self

    def __exit__(self, *error: object) -> None:
        gc.callbacks.remove(self._note)

    def _note(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began_seconds = time.process_time()
        else:
            self._taken_seconds += time.process_time() - self._began_seconds


class MeasuredEnv(vf.MultiTurnEnv):
    """Says prepared texts and takes the time: of the client's part of a turn, and of its own loop around it."""

    def __init__(
        self, *, texts: Sequence[str], fake: FakeProcess, collections: Collections, after_turn: Callable[[], None]
    ) -> None:
        super().__init__(dataset=[{"question": texts[0]}], max_turns=len(texts))
        self._texts = texts
        self._fake = fake
        self._after_turn = after_turn
        self._since_seconds, self._received_bytes = 0.0, 0
        self._collections = collections
        self.costs: list[TurnCost] = []

    async def setup_state(self, state: vf.State) -> vf.State:
        self._fake.arrived()
        self._collections.take_ms()
        self._since_seconds = time.process_time()
        return state

    async def env_response(self, messages: vf.Messages, state: vf.State, **kwargs: Any) -> vf.Messages:
        return [vf.UserMessage(content=self._texts[state["turn"]])]

    async def get_model_response(self, state: vf.State, prompt: vf.Messages, *args: Any, **kwargs: Any) -> vf.Response:
        asked = time.process_time()
        response = await super().get_model_response(state, prompt, *args, **kwargs)
        answered = time.process_time()
        arrived = self._fake.arrived()
        self.costs.append(
            TurnCost(
                turn=len(self.costs) + 1,
                prompt_tokens=response.usage.prompt_tokens if response.usage else 0,
                client_ms=(answered - asked) * 1000,
                environment_ms=(asked - self._since_seconds) * 1000,
                requests=len(arrived),
                sent_bytes=sum(request.sent_bytes for request in arrived),
                received_bytes=self._take_received_bytes(state["client"]),
                collection_ms=self._collections.take_ms(),
            )
        )
        self._after_turn()
        self._since_seconds = time.process_time()
        return response

    def _take_received_bytes(self, client: vf.OpenAIChatCompletionsClient) -> int:
        """Since the last call."""
        before, self._received_bytes = self._received_bytes, client.metrics().received_bytes
        return self._received_bytes - before


def client_for(way: Way, base_url: str, tokenizer: LocalTokenizer) -> vf.OpenAIChatCompletionsClient:
    if way is Way.MESSAGES:
        return vf.OpenAIChatCompletionsClient(vf.ClientConfig(base_url=base_url))
    stitching = StitchingConfig(tokenizer=tokenizer if way is Way.LOCAL else "server")
    return vf.OpenAIChatCompletionsTokenClient(vf.ClientConfig(base_url=base_url, stitching=stitching))


async def roll(
    way: Way, fake: FakeProcess, tokenizer: LocalTokenizer, texts: Sequence[str], after_turn: Callable[[], None]
) -> tuple[list[TurnCost], vf.RolloutSummary]:
    """One rollout with a client of its own. Raises what ended it early."""
    sampling = {"max_tokens": SAMPLED_TOKENS, "logprobs": True, "extra_body": {"return_token_ids": True}}
    gc.collect()  # what the rollout before left behind is not this one's
    with Collections() as collections:
        env = MeasuredEnv(texts=texts, fake=fake, collections=collections, after_turn=after_turn)
        async with client_for(way, fake.base_url, tokenizer) as client:
            state = await env.rollout(env.get_dataset()[0], client, MODEL, sampling)
    if state["error"] is not None:
        raise state["error"]
    return env.costs, vf.summarize(state)


async def measure(
    options: Options, *, tokenizer: LocalTokenizer, after_turn: Callable[[], None] = lambda: None
) -> list[WayCost]:
    """All ways on one fake, in turns, so that a busy machine is busy for all of them. `after_turn` is called outside
    the time that is taken."""
    words = Words(tokenizer.transformers_tokenizer)
    texts = [words.text(count=SAID_WORDS, seed=turn) for turn in range(options.turns)]
    longest = options.turns * TOKENS_PER_TURN + SAMPLED_TOKENS
    runs: dict[Way, list[tuple[list[TurnCost], vf.RolloutSummary]]] = {way: [] for way in Way}
    with FakeProcess(
        folder=options.model_folder,
        sampled_tokens=SAMPLED_TOKENS,
        max_model_len=longest,
        answer_seconds=options.answer_seconds,
    ) as fake:
        for _ in range(options.runs):
            for way in Way:
                runs[way].append(await roll(way, fake, tokenizer, texts, after_turn))
    return [_over_runs(way, runs[way]) for way in Way]


def _over_runs(way: Way, runs: Sequence[tuple[list[TurnCost], vf.RolloutSummary]]) -> WayCost:
    turns = [medians(same, turn=same[0].turn) for same in zip(*(costs for costs, _ in runs), strict=True)]
    summaries = [summary for _, summary in runs]
    return WayCost(
        way=way,
        turns=turns,
        later_turns=summaries[0].later_turns,
        extending_turns=min(summary.extending_turns for summary in summaries),
        mean_collection_ms=mean(cost.collection_ms for costs, _ in runs for cost in costs),
    )


def medians(costs: Sequence[TurnCost], *, turn: int) -> TurnCost:
    """The median of each figure on its own; counts stay whole numbers."""
    middles = {field.name: median(getattr(cost, field.name) for cost in costs) for field in fields(TurnCost)}
    whole = ("prompt_tokens", "requests", "sent_bytes", "received_bytes")
    return TurnCost(**{**middles, **{name: round(middles[name]) for name in whole}, "turn": turn})


def as_json(costs: Sequence[WayCost], options: Options) -> dict[str, Any]:
    """Everything measured, and the comparison."""
    return {
        **provenance(),
        "options": {**asdict(options), "model_folder": options.model_folder.name},
        "goal_ratio": GOAL_RATIO,
        "ways": [
            {
                **asdict(cost),
                "ratio": cost.ratio,
                "early": asdict(cost.around(EARLY_TURN)),
                "last": asdict(cost.around(len(cost.turns))),
            }
            for cost in costs
        ],
    }


def table(cost: WayCost) -> Table:
    """The first two turns as they are (templates are proven on the second), then some along the way."""
    made = Table(title=f"\n{cost.way}", title_justify="left", title_style="bold")
    for name in ("turn", "prompt tokens", "client ms", "to turn 10", "loop ms", "requests", "kB out", "kB in"):
        made.add_column(name, justify="right")
    turns = len(cost.turns)
    along = [cost.around(turn) for turn in (EARLY_TURN, 50, 100, 150, turns) if EARLY_TURN <= turn <= turns]
    early = cost.around(EARLY_TURN).client_ms
    for row in [*cost.turns[:2], *along]:
        made.add_row(*_cells(row, early_ms=early))
    return made


def _cells(row: TurnCost, *, early_ms: float) -> tuple[str, ...]:
    return (
        str(row.turn),
        f"{row.prompt_tokens:,}",
        f"{row.client_ms:.2f}",
        f"{row.client_ms / early_ms:.2f}",
        f"{row.environment_ms:.2f}",
        str(row.requests),
        f"{row.sent_bytes / 1000:,.1f}",
        f"{row.received_bytes / 1000:,.1f}",
    )


def conclusion(costs: Sequence[WayCost]) -> str:
    """One paragraph: the figure this benchmark is for, and the other ways' beside it."""
    local = next(cost for cost in costs if cost.way is Way.LOCAL)
    if local.ratio is None:
        return f"Too few turns to compare: {EARLY_TURN + 3 * AROUND + 1} are needed, there were {len(local.turns)}."
    early, last = local.around(EARLY_TURN), local.around(len(local.turns))
    verdict = "met" if local.ratio <= GOAL_RATIO else "MISSED"
    others = "; ".join(f"{cost.way}: {cost.ratio:.2f}" for cost in costs if cost.way is not Way.LOCAL)
    return (
        f"With {local.way}, the client takes {early.client_ms:.2f} ms of CPU at turn {early.turn} "
        f"({early.prompt_tokens:,} prompt tokens) and {last.client_ms:.2f} ms at turn {last.turn} "
        f"({last.prompt_tokens:,}): {local.ratio:.2f} times as much, goal at most {GOAL_RATIO}: {verdict}. "
        f"{local.extending_turns} of {local.later_turns} later prompts begin with all ids before them. Pauses for the "
        f"garbage collector, which medians do not show, come to {local.mean_collection_ms:.2f} ms a turn on average. "
        f"The same ratio elsewhere: {others}."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    console = Console()
    columns = (TextColumn("turns"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Drawn by hand after a turn: a thread that draws would be counted as the client's.
    with Progress(*columns, console=console, disable=not console.is_terminal, auto_refresh=False) as progress:
        bar = progress.add_task("turns", total=options.turns * options.runs * len(Way))

        def after_turn() -> None:
            progress.update(bar, advance=1, refresh=True)

        tokenizer = LocalTokenizer.load(options.model_folder)
        costs = asyncio.run(measure(options, tokenizer=tokenizer, after_turn=after_turn))
    write(as_json(costs, options), RESULT)
    for cost in costs:
        console.print(table(cost))
    console.print(conclusion(costs), highlight=False)
    console.print(f"All turns: {RESULT}")


def parse(arguments: Sequence[str] | None) -> Options:
    defaults = Options.__dataclass_fields__
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=defaults["turns"].default, help="turns of a rollout")
    parser.add_argument("--runs", type=int, default=defaults["runs"].default, help="rollouts per client")
    parser.add_argument("--model-folder", type=Path, default=defaults["model_folder"].default, help="for its tokenizer")
    parsed = parser.parse_args(arguments)
    return options_from(parser, Options, vars(parsed))


if __name__ == "__main__":
    run_as_command("client_cost", main)
