"""What rollouts take of memory, wire and disk, by their length, and what worker processes add.

    .venv/bin/python -m benchmarks.scaling [--turns 4 16 48] [--rollouts 64] [--workers 1 2]

The figures of `docs/scaling.md`. All rollouts of a row run at once against a fake vLLM in a process of its own, and are
kept until the end: what the process grows by is what so many rollouts hold in their last turn. With `--workers` the
shortest rollouts are run once more, in this process and by so many Ray actors.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

import verifiers_tito as vf
from benchmarks.command import options_from, run_as_command
from benchmarks.fake_process import MODEL, FakeProcess
from benchmarks.results import provenance, require_tokenizer, write
from benchmarks.soak import resident_mb
from verifiers_tito.distributed.messages import record_in
from verifiers_tito.errors import ConfigError
from verifiers_tito.results import JsonValues, encode_line, output_of, plan_rollouts, record_of
from verifiers_tito.tokenization import LocalTokenizer

RESULT = Path("runs/benchmarks/scaling.json")
ENVIRONMENT_TOKENS = 20
"""About what the environment says a turn, the template's own tokens included."""

_TIMES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    turns: tuple[int, ...] = (4, 16, 48)
    rollouts: int = 64
    sampled_tokens: int = 200
    workers: tuple[int, ...] = ()
    model_folder: Path = Path(".models/qwen3-tiny")

    def __post_init__(self) -> None:
        if min((*self.turns, *self.workers, self.rollouts), default=0) < 1 or self.sampled_tokens < 2:
            raise ConfigError("--turns, --rollouts and --workers must be at least 1, --sampled-tokens at least 2")
        require_tokenizer(self.model_folder)

    @property
    def longest(self) -> int:
        return max(self.turns) * (self.sampled_tokens + 2 * ENVIRONMENT_TOKENS) + 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Rollouts of so many turns. `tokens` is the length of the last prompt; kB are thousands of bytes, of a rollout
    (`held_kb`, `disk_kb`) or on average of a turn (`sent_kb`, `received_kb`). `books_ms` is what a finished one that a
    worker has run costs the process that keeps the results."""

    turns: int
    tokens: int
    held_kb: float
    sent_kb: float
    received_kb: float
    disk_kb: float
    books_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Rollouts by so many Ray actors (0: in this process). `worker_mb` is the resident memory of the largest."""

    workers: int
    seconds: float
    first_seconds: float
    """Until the first group is finished: actors start, import and load a tokenizer before."""
    worker_mb: float


class TalkingEnv(vf.MultiTurnEnv):
    async def setup_state(self, state: vf.State) -> vf.State:
        state["worker_mb"] = resident_mb(os.getpid())
        return state

    async def env_response(self, messages: vf.Messages, state: vf.State, **kwargs: Any) -> str:
        return f"And what do you say to number {state['turn']}?"


async def measure(turns: int, fake: FakeProcess, tokenizer: LocalTokenizer, options: Options) -> tuple[Shape, Any]:
    """The figures, and the states that they are of."""
    env = TalkingEnv(dataset=[{"question": "Talk."}], max_turns=turns)
    config = vf.ClientConfig(base_url=fake.base_url, stitching=vf.StitchingConfig(tokenizer=tokenizer))
    sampling, row = {"max_tokens": options.sampled_tokens}, env.get_dataset()[0]
    async with vf.OpenAIChatCompletionsTokenClient(config) as client:
        await env.rollout(row, client, MODEL, sampling)  # proofs and caches that all rollouts share
        fake.arrived()
        received_before = client.metrics().received_bytes
        gc.collect()
        before = resident_mb(os.getpid())
        states = await asyncio.gather(*(env.rollout(row, client, MODEL, sampling) for _ in range(options.rollouts)))
        gc.collect()
        held_mb = resident_mb(os.getpid()) - before
        received = client.metrics().received_bytes - received_before
    if any(state["error"] for state in states):
        raise vf.InfraError(f"a rollout failed: {next(state['error'] for state in states if state['error'])}")
    sent, count = sum(request.sent_bytes for request in fake.arrived()), turns * options.rollouts
    (planned,) = plan_rollouts([{**row, "example_id": 0}])
    record = encode_line(record_of(planned, states[0], state_columns=(), values=JsonValues()))
    shape = Shape(
        turns=turns,
        tokens=len(states[0]["trajectory"][-1]["tokens"]["prompt_ids"]),
        held_kb=held_mb * 2**20 / 1000 / options.rollouts,
        sent_kb=sent / count / 1000,
        received_kb=received / count / 1000,
        disk_kb=len(record) / 1000,
        books_ms=_books_ms(record),
    )
    return shape, states


def _books_ms(line: bytes) -> float:
    """Of reading a record, writing it down and making an output of it. CPU, on average."""
    started = time.process_time()
    for _ in range(_TIMES):
        record = record_in(line)
        encode_line(record)
        output_of(record)
    return (time.process_time() - started) * 1000 / _TIMES


async def measure_crew(workers: int, fake: FakeProcess, options: Options) -> Crew:
    rows = [{"question": f"Talk of {number}."} for number in range(options.rollouts)]
    env, began = TalkingEnv(dataset=rows, max_turns=min(options.turns)), list[float]()
    folder = str(options.model_folder.absolute())
    config = vf.ClientConfig(base_url=fake.base_url, stitching=vf.StitchingConfig(tokenizer=folder))
    started = time.perf_counter()
    results = await env.evaluate(
        config,
        MODEL,
        {"max_tokens": options.sampled_tokens},
        rollouts_per_example=4,
        state_columns=["worker_mb"],
        on_progress=lambda *told: began.append(time.perf_counter() - started),
        workers=vf.RayWorkers(workers=workers) if workers else None,
    )
    fake.arrived()
    return Crew(
        workers=workers,
        seconds=time.perf_counter() - started,
        first_seconds=began[0],
        worker_mb=max(output["worker_mb"] for output in results["outputs"]),
    )


async def run(options: Options) -> tuple[list[Shape], list[Crew]]:
    tokenizer, kept = LocalTokenizer.load(options.model_folder), []
    shapes, crews = [], []
    fake_options = {"sampled_tokens": options.sampled_tokens, "max_model_len": options.longest}
    with FakeProcess(folder=options.model_folder, **fake_options) as fake:  # type: ignore[arg-type]
        for turns in options.turns:
            shape, states = await measure(turns, fake, tokenizer, options)
            shapes.append(shape)
            kept.append(states)
        for workers in (0, *options.workers) if options.workers else ():
            crews.append(await measure_crew(workers, fake, options))
    return shapes, crews


def tables(shapes: Sequence[Shape], crews: Sequence[Crew]) -> list[Table]:
    of_shapes = _table("A rollout", ("turns", "tokens", "held kB", "out kB/turn", "in kB/turn", "disk kB", "books ms"))
    for one in shapes:
        sizes = (f"{size:,.1f}" for size in (one.held_kb, one.sent_kb, one.received_kb, one.disk_kb))
        of_shapes.add_row(str(one.turns), f"{one.tokens:,}", *sizes, f"{one.books_ms:.2f}")
    of_crews = _table("Workers", ("workers", "seconds", "first group s", "MB each"))
    for crew in crews:
        figures = (f"{figure:,.1f}" for figure in (crew.seconds, crew.first_seconds, crew.worker_mb))
        of_crews.add_row(str(crew.workers or "none"), *figures)
    return [of_shapes, of_crews] if crews else [of_shapes]


def _table(title: str, names: Sequence[str]) -> Table:
    made = Table(title=f"\n{title}", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        made.add_column(name, justify="right")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    options, console = parse(arguments), Console()
    shapes, crews = asyncio.run(run(options))
    result = {
        **provenance(),
        "options": {**asdict(options), "model_folder": options.model_folder.name},
        "shapes": [asdict(one) for one in shapes],
        "crews": [asdict(one) for one in crews],
    }
    write(result, RESULT)
    for table in tables(shapes, crews):
        console.print(table)
    console.print(f"All figures: {RESULT}")


def parse(arguments: Sequence[str] | None) -> Options:
    defaults = Options.__dataclass_fields__
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, text in (("turns", "turns of a rollout, a row for each"), ("workers", "Ray actors, a row for each")):
        parser.add_argument(f"--{name}", type=int, nargs="+", default=defaults[name].default, metavar="N", help=text)
    parser.add_argument("--rollouts", type=int, default=defaults["rollouts"].default, help="how many at once")
    parser.add_argument("--sampled-tokens", type=int, default=defaults["sampled_tokens"].default, help="of a turn")
    parser.add_argument("--model-folder", type=Path, default=defaults["model_folder"].default, help="for its tokenizer")
    parsed = vars(parser.parse_args(arguments))
    return options_from(parser, Options, {**parsed, **{name: tuple(parsed[name]) for name in ("turns", "workers")}})


if __name__ == "__main__":
    run_as_command("scaling", main)
