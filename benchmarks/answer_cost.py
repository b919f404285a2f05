"""CPU of the client per answer, by how many tokens were sampled: its log-probabilities are most of a long answer.

    .venv/bin/python -m benchmarks.answer_cost [--tokens 256 4096 32768] [--answers 10] [--rounds 3]

A fake in a process of its own samples the same answer for the same prompt, again and again, and three readers ask for
it: our client by the plugin's route, in whatever form the two agree on; our client by vLLM's own route, whose answer
has an object for each log-probability; and the `openai` package's `chat.completions.create` on that same route, which
gets the same bytes but for the answer's id. Ours is `get_native_response` and `from_native_response`, theirs ends with
its `ChatCompletion`. The request's cost is in all, and so is a fourth reader that is nothing else: aiohttp, which our
client uses, sends such a request as the plugin's route gets and takes the answer's bytes as they are.

Each takes some answers in a row, the first of which does not count, so that none is slowed by what another left in the
processor's caches; `--rounds` times, in another order each time.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import openai
from rich import box
from rich.console import Console
from rich.table import Table

import verifiers_tito as vf
from benchmarks.bare_request import bare_body
from benchmarks.command import options_from, run_as_command
from benchmarks.fake_process import MODEL, FakeProcess
from benchmarks.results import provenance, require_tokenizer, write
from verifiers_tito.errors import ConfigError, InvalidModelResponseError
from verifiers_tito.tokenization import LocalTokenizer
from verifiers_tito.types import step_tokens
from verifiers_tito.wire import routes

RESULT = Path("runs/benchmarks/answer_cost.json")
GOAL_TIMES_LESS = 10.0
QUESTION = "Go on."
ROOM_TOKENS = 512
"""More than any prompt holds."""
SAME_BYTES = 100
"""Answers differ by their ids and times only."""


class Reader(StrEnum):
    """Who reads the answer. Values are columns of the table."""

    PLUGIN = "ours, plugin"
    CHAT = "ours, chat"
    OPENAI = "openai"
    BARE = "aiohttp alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    tokens: tuple[int, ...] = (256, 4_096, 32_768)
    answers: int = 10
    rounds: int = 3
    model_folder: Path = Path(".models/qwen3-tiny")

    def __post_init__(self) -> None:
        if min(self.answers, self.rounds) < 1 or min(self.tokens, default=0) < 2:
            raise ConfigError("--answers and --rounds must be at least 1, and every number of --tokens at least 2")
        require_tokenizer(self.model_folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCost:
    """One reader's answers of `sampled_tokens` each. `cpu_ms` (N,) is this process's, in user and system mode."""

    reader: Reader
    sampled_tokens: int
    received_bytes: int
    cpu_ms: list[float]

    @property
    def median_ms(self) -> float:
        return median(self.cpu_ms)


class ReceivedBytes:
    """Counts what the answers to one of the others held; our clients count themselves."""

    def __init__(self) -> None:
        self.count = 0

    async def note(self, response: Any) -> None:
        self.count += int(response.headers.get("content-length", 0))

    def provider(self, base_url: str) -> openai.AsyncOpenAI:
        http_client = openai.DefaultAioHttpClient(event_hooks={"response": [self.note]})
        return openai.AsyncOpenAI(base_url=base_url, api_key="EMPTY", http_client=http_client)


Ask = Callable[[], Awaitable[int]]
"""Asks for one answer and reads it; how many tokens were sampled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One reader. `received_bytes` tells what all its answers held so far."""

    ask: Ask
    received_bytes: Callable[[], int]


async def ours(client: vf.OpenAIChatCompletionsTokenClient, *, later_turn: bool) -> Ask:
    """The same turn of the same conversation each time: its second, which goes in as ids, or its first."""
    base: dict[str, Any] = {"input": {}, "trajectory_id": "answers", "model": MODEL, "sampling_args": {}}
    prompt: list[vf.Message] = [vf.UserMessage(content=QUESTION)]
    trajectory: list[dict[str, Any]] = []
    if later_turn:
        response = await client.get_response(prompt, MODEL, {"max_tokens": 1}, state=vf.State(**base, trajectory=[]))
        said = response.message.plain()
        step = {"prompt": prompt, "completion": [said], "response": response}
        trajectory = [{**step, "tokens": step_tokens(response, max_seq_len=None)}]
        prompt = [*prompt, said, *prompt]
    native_prompt, _ = await client.to_native_prompt(prompt)

    async def ask() -> int:
        state = vf.State(**base, trajectory=trajectory)
        native = await client.get_native_response(native_prompt, MODEL, {"temperature": 1.0}, state=state)
        response = await client.from_native_response(native)
        if response.served.route.is_token_in != later_turn or response.message.tokens is None:
            raise InvalidModelResponseError(f"the turn was served as {response.served.label}, or without ids")
        return len(response.message.tokens.completion_logprobs)

    return ask


async def theirs(client: openai.AsyncOpenAI) -> Ask:
    async def ask() -> int:
        completion = await client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": QUESTION}],
            logprobs=True,
            temperature=1.0,
            extra_body={"return_token_ids": True},
        )
        logprobs = completion.choices[0].logprobs
        return len((logprobs.content if logprobs else None) or [])

    return ask


async def bare(session: aiohttp.ClientSession, url: str, received: ReceivedBytes, tokenizer: LocalTokenizer) -> Ask:
    """The exchange alone. How many tokens its answers hold is read once: they are the same each time."""
    body = bare_body(tokenizer.transformers_tokenizer.encode(QUESTION), model=MODEL, temperature=1.0)

    async def exchange() -> bytes:
        async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
            answer.raise_for_status()
            content = await answer.read()
        received.count += len(content)
        return content

    first = await exchange()
    sampled_tokens = len(json.loads(first)["choices"][0]["completion_logprobs"])

    async def ask() -> int:
        return sampled_tokens if abs(len(await exchange()) - len(first)) < SAME_BYTES else 0

    return ask


async def measure(sampled_tokens: int, options: Options, tokenizer: LocalTokenizer) -> list[AnswerCost]:
    """All readers of answers of one length."""
    longest = sampled_tokens + ROOM_TOKENS
    taken: dict[Reader, list[float]] = {reader: [] for reader in Reader}
    sizes: dict[Reader, int] = {}
    with FakeProcess(folder=options.model_folder, sampled_tokens=sampled_tokens, max_model_len=longest) as fake:
        async with AsyncExitStack() as stack:
            readers = await _readers(fake.base_url, tokenizer, stack)
            for number in range(options.rounds):
                for reader, asking in random.Random(number).sample(list(readers.items()), len(readers)):
                    gc.collect()  # garbage of the one before is not this one's
                    await _cpu_ms(asking.ask, sampled_tokens)
                    before = asking.received_bytes()
                    taken[reader] += [await _cpu_ms(asking.ask, sampled_tokens) for _ in range(options.answers)]
                    sizes[reader] = (asking.received_bytes() - before) // options.answers
    return [
        AnswerCost(reader=reader, sampled_tokens=sampled_tokens, received_bytes=sizes[reader], cpu_ms=taken[reader])
        for reader in Reader
    ]


async def _readers(base_url: str, tokenizer: LocalTokenizer, stack: AsyncExitStack) -> dict[Reader, Asking]:
    async def our(route: vf.Route | None) -> Asking:
        stitching = vf.StitchingConfig(tokenizer=tokenizer)
        config = vf.ClientConfig(base_url=base_url, stitching=stitching, route=route)
        client = await stack.enter_async_context(vf.OpenAIChatCompletionsTokenClient(config))
        ask = await ours(client, later_turn=route is None)
        return Asking(ask=ask, received_bytes=lambda: client.metrics().received_bytes)

    received = ReceivedBytes()
    provider = await stack.enter_async_context(received.provider(base_url))
    their = Asking(ask=await theirs(provider), received_bytes=lambda: received.count)
    taken = ReceivedBytes()
    session = await stack.enter_async_context(aiohttp.ClientSession())
    url = base_url.removesuffix(routes.API_ROOT) + routes.CHAT_TOKENS
    nothing_else = Asking(ask=await bare(session, url, taken, tokenizer), received_bytes=lambda: taken.count)
    return {
        Reader.PLUGIN: await our(None),
        Reader.CHAT: await our(vf.Route.CHAT),
        Reader.OPENAI: their,
        Reader.BARE: nothing_else,
    }


async def _cpu_ms(ask: Ask, sampled_tokens: int) -> float:
    started = time.process_time()
    count = await ask()
    taken = (time.process_time() - started) * 1000
    if count != sampled_tokens:
        raise InvalidModelResponseError(f"{count} log-probabilities were read, {sampled_tokens} tokens were sampled")
    return taken


async def run(options: Options) -> list[AnswerCost]:
    tokenizer = LocalTokenizer.load(options.model_folder)
    return [cost for tokens in options.tokens for cost in await measure(tokens, options, tokenizer)]


def table(costs: Sequence[AnswerCost]) -> Table:
    made = Table(title="\nMilliseconds of CPU an answer (kB received; openai takes so many times as long)",
                 title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)  # fmt: skip
    for name in ("sampled tokens", *Reader):
        made.add_column(name, justify="right")
    for tokens in sorted({cost.sampled_tokens for cost in costs}):
        made.add_row(f"{tokens:,}", *(_cell(costs, reader, tokens) for reader in Reader))
    return made


def _cell(costs: Sequence[AnswerCost], reader: Reader, tokens: int) -> str:
    cost = _find(costs, reader, tokens)
    return f"{cost.median_ms:.2f} ({cost.received_bytes / 1000:,.0f} kB; {times_less(costs, reader, tokens):.1f})"


def times_less(costs: Sequence[AnswerCost], reader: Reader, tokens: int) -> float:
    """How many times as long `openai` takes for an answer of the same length."""
    return _find(costs, Reader.OPENAI, tokens).median_ms / _find(costs, reader, tokens).median_ms


def _find(costs: Sequence[AnswerCost], reader: Reader, tokens: int) -> AnswerCost:
    return next(cost for cost in costs if (cost.reader, cost.sampled_tokens) == (reader, tokens))


def conclusion(costs: Sequence[AnswerCost]) -> str:
    by_tokens = {
        tokens: times_less(costs, Reader.PLUGIN, tokens) for tokens in sorted({one.sampled_tokens for one in costs})
    }
    verdict = "met" if min(by_tokens.values()) >= GOAL_TIMES_LESS else "MISSED"
    said = ", ".join(f"{tokens:,} tokens: {times:.1f}" for tokens, times in by_tokens.items())
    sentences = [
        f"The openai package takes so many times as long as our client by the plugin's route: {said}; goal at least "
        f"{GOAL_TIMES_LESS:.0f}: {verdict}."
    ]
    for tokens, reached in by_tokens.items():
        times = times_less(costs, Reader.BARE, tokens)
        if reached < GOAL_TIMES_LESS:
            sentences.append(f"At {tokens:,} it takes {times:.1f} times as long as aiohttp alone.")
    return " ".join(sentences)


def main(arguments: Sequence[str] | None = None) -> None:
    options, console = parse(arguments), Console()
    costs = asyncio.run(run(options))
    result = {
        **provenance(),
        "options": {**asdict(options), "model_folder": options.model_folder.name},
        "goal_times_less": GOAL_TIMES_LESS,
        "costs": [{**asdict(cost), "median_ms": cost.median_ms} for cost in costs],
    }
    write(result, RESULT)
    console.print(table(costs))
    console.print(conclusion(costs), highlight=False)
    console.print(f"All answers: {RESULT}")


def parse(arguments: Sequence[str] | None) -> Options:
    defaults = Options.__dataclass_fields__
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokens", type=int, nargs="+", default=defaults["tokens"].default, metavar="N",
                        help="sampled tokens of an answer (default: 256 4096 32768)")  # fmt: skip
    parser.add_argument(
        "--answers", type=int, default=defaults["answers"].default, help="measured answers of a reader in a row"
    )
    parser.add_argument(
        "--rounds", type=int, default=defaults["rounds"].default, help="how often each reader's turn comes"
    )
    parser.add_argument("--model-folder", type=Path, default=defaults["model_folder"].default, help="for its tokenizer")
    parsed = parser.parse_args(arguments)
    return options_from(parser, Options, {**vars(parsed), "tokens": tuple(parsed.tokens)})


if __name__ == "__main__":
    run_as_command("answer_cost", main)
