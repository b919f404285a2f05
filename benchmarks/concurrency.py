"""Turns per second, and how long the event loop stands still, with many rollouts at once.

    .venv/bin/python -m benchmarks.concurrency [--rollouts 64 512 2048] [--turns 4]

All rollouts run in this process, by `evaluate`, against a fake vLLM in a process of its own that answers at once: there
is nothing to wait for but the client. Two pools of connections are compared, which is where hundreds of rollouts used
to get stuck: aiohttp's, which `ClientConfig` uses, and httpx2's, the default of the `openai` package.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import openai
from rich import box
from rich.table import Table

import verifiers_tito as vf
from benchmarks.command import options_from, run_as_command, wide_console
from benchmarks.fake_process import MODEL, FakeProcess
from benchmarks.results import provenance, require_tokenizer, write
from verifiers_tito.errors import ConfigError
from verifiers_tito.tokenization import LocalTokenizer

RESULT = Path("runs/benchmarks/concurrency.json")
SAMPLED_TOKENS = 50
GOAL_LAG_MS = 50.0
_TICK_SECONDS = 0.01


class Pool(StrEnum):
    AIOHTTP = "aiohttp"
    HTTPX2 = "httpx2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    rollouts: tuple[int, ...] = (64, 512, 2048)
    turns: int = 4
    full_collections: bool = False
    model_folder: Path = Path(".models/qwen3-tiny")

    def __post_init__(self) -> None:
        if self.turns < 1 or min(self.rollouts, default=0) < 1:
            raise ConfigError("--turns and every number of rollouts must be at least 1")
        require_tokenizer(self.model_folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One pool with so many rollouts at once. Lags are milliseconds by which a timer of 10 ms came late, of which
    other programs on the machine have their part; `longest_own_ms` is the client's: the most CPU time beyond 10 ms that
    its thread took from one such timer to the next."""

    pool: Pool
    rollouts: int
    turns_per_second: float
    median_lag_ms: float
    high_lag_ms: float
    """Of a hundred, one is longer."""
    longest_lag_ms: float
    longest_own_ms: float
    retries: int
    failed: int
    kb_per_rollout: float
    """Growth of the process's largest memory so far; nothing where an earlier run was larger."""


class TalkingEnv(vf.MultiTurnEnv):
    async def env_response(self, messages: vf.Messages, state: vf.State, **kwargs: Any) -> vf.Messages:
        return [vf.UserMessage(content=f"And {state['turn']}?")]


class LoopLag:
    """Milliseconds by which a timer came late, again and again, inside `async with`, and how much CPU time this thread
    took beyond the timer's own length."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []
        self.own_milliseconds: list[float] = []

    async def __aenter__(self) -> LoopLag:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _watch(self) -> None:
        while True:
            started, cpu_started = time.perf_counter(), time.thread_time()
            await asyncio.sleep(_TICK_SECONDS)
            self.milliseconds.append((time.perf_counter() - started - _TICK_SECONDS) * 1000)
            self.own_milliseconds.append((time.thread_time() - cpu_started - _TICK_SECONDS) * 1000)

    @property
    def longest_own(self) -> float:
        return max(self.own_milliseconds, default=0.0)

    def quantile(self, share: float) -> float:
        ordered = sorted(self.milliseconds) or [0.0]
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def client_with(pool: Pool, base_url: str, tokenizer: LocalTokenizer) -> vf.OpenAIChatCompletionsTokenClient:
    stitching = vf.StitchingConfig(tokenizer=tokenizer)
    if pool is Pool.AIOHTTP:
        config = vf.ClientConfig(base_url=base_url, stitching=stitching)
        return vf.OpenAIChatCompletionsTokenClient(config)
    limits = type(openai.DEFAULT_CONNECTION_LIMITS)(max_connections=28_000, max_keepalive_connections=28_000)
    provider = openai.AsyncOpenAI(
        base_url=base_url,
        api_key="EMPTY",
        max_retries=10,
        timeout=openai.Timeout(3600, connect=5.0),
        http_client=openai.DefaultAsyncHttpxClient(limits=limits),
    )
    return vf.OpenAIChatCompletionsTokenClient(provider, stitching=stitching)


async def measure(pool: Pool, rollouts: int, fake: FakeProcess, tokenizer: LocalTokenizer, options: Options) -> Run:
    rows = [{"question": "Talk."}] * rollouts
    env = TalkingEnv(dataset=rows, rubric=vf.Rubric(lambda **kw: 1.0), max_turns=options.turns)
    before = _largest_kb()
    async with client_with(pool, fake.base_url, tokenizer) as client, LoopLag() as lag:
        started = time.perf_counter()
        run = await env.evaluate(
            client,
            MODEL,
            {"max_tokens": SAMPLED_TOKENS},
            show_progress=False,
            postpone_full_collections=not options.full_collections,
        )
        taken, did = time.perf_counter() - started, client.metrics()
        if pool is not Pool.AIOHTTP:
            await client.client.close()
    return Run(
        pool=pool,
        rollouts=rollouts,
        turns_per_second=sum(did.turns.values()) / taken,
        median_lag_ms=lag.quantile(0.5),
        high_lag_ms=lag.quantile(0.99),
        longest_lag_ms=lag.quantile(1.0),
        longest_own_ms=lag.longest_own,
        retries=sum(did.retries.values()),
        failed=sum(output["error"] is not None for output in run["outputs"]),
        kb_per_rollout=(_largest_kb() - before) / rollouts,
    )


def _largest_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def run(options: Options) -> list[Run]:
    tokenizer = LocalTokenizer.load(options.model_folder)
    longest = options.turns * (SAMPLED_TOKENS + 30) + 1024
    fake_options: dict[str, Any] = {"sampled_tokens": SAMPLED_TOKENS, "max_model_len": longest}
    found = []
    with FakeProcess(folder=options.model_folder, **fake_options) as fake:
        for rollouts in options.rollouts:
            for pool in Pool:
                found.append(await measure(pool, rollouts, fake, tokenizer, options))
    return found


def table(runs: Sequence[Run]) -> Table:
    made = Table(title="\nMany rollouts at once", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    lags = ("lag ms", "99 of 100", "longest", "own CPU")
    for name in ("rollouts", "pool", "turns/s", *lags, "retries", "failed", "kB each"):
        made.add_column(name, justify="right")
    for one in runs:
        late = (f"{ms:.1f}" for ms in (one.median_lag_ms, one.high_lag_ms, one.longest_lag_ms, one.longest_own_ms))
        counts = (str(one.retries), str(one.failed), f"{one.kb_per_rollout:.0f}")
        made.add_row(f"{one.rollouts:,}", one.pool, f"{one.turns_per_second:.0f}", *late, *counts)
    return made


def conclusion(runs: Sequence[Run]) -> str:
    ours = [one for one in runs if one.pool is Pool.AIOHTTP]
    longest = max(one.longest_lag_ms for one in ours)
    own = max(one.longest_own_ms for one in ours)
    verdict = "met" if longest <= GOAL_LAG_MS else "MISSED"
    return (
        f"With aiohttp the event loop stands still for at most {longest:.0f} ms, of which {own:.0f} ms at most are its "
        f"own CPU time; goal {GOAL_LAG_MS:.0f}: {verdict}."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    options, console = parse(arguments), wide_console()
    runs = asyncio.run(run(options))
    result = {
        **provenance(),
        "options": {**asdict(options), "model_folder": options.model_folder.name},
        "runs": [asdict(one) for one in runs],
    }
    write(result, RESULT)
    console.print(table(runs))
    console.print(conclusion(runs), highlight=False)
    console.print(f"All runs: {RESULT}")


def parse(arguments: Sequence[str] | None) -> Options:
    defaults = Options.__dataclass_fields__
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rollouts", type=int, nargs="+", default=defaults["rollouts"].default, metavar="N",
                        help="how many at once (default: 64 512 2048)")  # fmt: skip
    parser.add_argument("--turns", type=int, default=defaults["turns"].default, help="turns of a rollout (default: 4)")
    parser.add_argument("--full-collections", action="store_true",
                        help="let the garbage collector look through everything whenever Python wants to")  # fmt: skip
    parser.add_argument("--model-folder", type=Path, default=defaults["model_folder"].default, help="for its tokenizer")
    parsed = parser.parse_args(arguments)
    return options_from(parser, Options, {**vars(parsed), "rollouts": tuple(parsed.rollouts)})


if __name__ == "__main__":
    run_as_command("concurrency", main)
