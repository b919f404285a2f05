"""What a turn takes on a real server, by history length and by the way its prompt goes in.

    .venv/bin/python -m benchmarks.latency                                    a local vLLM with a tiny model
    .venv/bin/python -m benchmarks.latency --base-url URL [--model NAME]      your own server

Each way has a conversation of its own, as long as the others', and they take their turns one after the other, in
another order each time: a busy machine is busy for all of them. The floor is the plugin's route again, asked by the
HTTP package that our client uses and nothing else: it sends a body made before, of as many ids, and takes the
answer's bytes. Figures are wall times of one turn, medians over `--turns` turns. How many times as long one way takes
as another is the median over turns of the same number: these are of the same length, so that the server has cached as
much of them, but for messages, whose sampled text may come out as other ids. Compare within one run only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import verifiers_tito as vf
from benchmarks.bare_request import bare_body
from benchmarks.command import options_from, run_as_command
from benchmarks.results import provenance, require_tokenizer, write
from benchmarks.words import Words
from verifiers_tito.errors import ConfigError
from verifiers_tito.local.server import LocalServer
from verifiers_tito.local.server_options import LocalServerOptions
from verifiers_tito.tokenization import LocalTokenizer
from verifiers_tito.types import step_tokens
from verifiers_tito.wire import routes
from verifiers_tito.wire.sampling_routes import SERVER_DEFAULTS

RESULT = Path("runs/benchmarks/latency.json")
SAID_WORDS = 30
GOAL_TO_FLOOR = 1.05
GOAL_TO_MESSAGES = 0.5
LONG_HISTORY = 16_000
NEUTRAL = {
    **dict.fromkeys(SERVER_DEFAULTS, 0.0),
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": -1,
    "repetition_penalty": 1.0,
}
"""Spelled out, because `generate` does not know the server's defaults."""


class Way(StrEnum):
    """How a turn's prompt goes in. Values are `vf.Route`'s, but for the floor."""

    FLOOR = "floor"
    PLUGIN = "chat/tokens"
    STOCK = "chat/kv"
    GENERATE = "generate"
    COMPLETIONS = "completions"
    MESSAGES = "chat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    base_url: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    model_folder: Path = Path(".models/qwen3-tiny")
    histories: tuple[int, ...] = (1_000, 4_000, 8_000, 16_000, 30_000)
    turns: int = 25
    max_tokens: int = 4

    def __post_init__(self) -> None:
        if self.turns < 1 or self.max_tokens < 1 or min(self.histories, default=0) < 1:
            raise ConfigError("--turns, --max-tokens and every history must be at least 1")
        require_tokenizer(self.model_folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Wall times (T,) in milliseconds of one way's turns behind a history of about `history` tokens."""

    history: int
    way: Way
    milliseconds: list[float]
    prompt_tokens: int
    routes: list[str] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        return median(self.milliseconds)


class Talk:
    """One conversation through a client, a turn at a time."""

    def __init__(self, client: vf.OpenAIChatCompletionsTokenClient, model: str, options: Options) -> None:
        self.state = vf.State(
            input={}, trajectory=[], trajectory_id="latency", model=model, sampling_args={}, tool_defs=[]
        )
        self.routes: list[str] = []
        self._client = client
        self._sampling = {**NEUTRAL, "max_tokens": options.max_tokens, "ignore_eos": True}
        self._said: list[vf.Message] = []

    async def turn(self, text: str) -> float:
        """Milliseconds from the environment's message to the answer."""
        prompt = [*self._said, vf.UserMessage(content=text)]
        started = time.perf_counter()
        response = await self._client.get_response(prompt, self.state["model"], self._sampling, state=self.state)
        taken = (time.perf_counter() - started) * 1000
        self.state["trajectory"].append(
            {
                "prompt": prompt,
                "completion": [response.message.plain()],
                "response": response,
                "tokens": step_tokens(response, max_seq_len=None),
            }
        )
        self._said = [*prompt, response.message.plain()]
        self.routes.append(response.served.label)
        return taken

    def ids(self, turn: int = -1) -> list[int]:
        """The ids of a turn, the sampled ones included."""
        tokens = self.state["trajectory"][turn]["tokens"]
        return [*tokens["prompt_ids"], *tokens["completion_ids"]]


class Floor:
    """The same requests without a client: the ids grow by what was sampled and by some words."""

    def __init__(self, http: aiohttp.ClientSession, model: str, options: Options, ids: Sequence[int]) -> None:
        self._http = http
        self._fields = {
            "model": model,
            "max_completion_tokens": options.max_tokens,
            "temperature": 1.0,
            "ignore_eos": True,
        }
        self.ids = list(ids)

    async def turn(self, said: Sequence[int]) -> float:
        """Milliseconds from the body to the last byte of the answer."""
        self.ids += said
        body = bare_body(self.ids, **self._fields)
        started = time.perf_counter()
        async with self._http.post(routes.CHAT_TOKENS, data=body) as answer:
            content = await answer.read()
        taken = (time.perf_counter() - started) * 1000
        if answer.status != 200:
            raise vf.ModelError(f"POST {routes.CHAT_TOKENS}: {answer.status}: {content[:500]!r}")
        self.ids += json.loads(content)["choices"][0]["token_ids"]
        return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`stitching` is every client's: where the tokenizer is known, none has to load it while turns are measured."""

    base_url: str
    model: str
    api_key: str
    stitching: vf.StitchingConfig = field(default_factory=vf.StitchingConfig)


async def measure(target: Target, options: Options, words: Words, *, after_turn: Any) -> list[Latency]:
    """All ways behind each history."""
    found: list[Latency] = []
    async with AsyncExitStack() as stack:
        headers = {"Authorization": f"Bearer {target.api_key}", "Content-Type": "application/json"}
        root = target.base_url.removesuffix(routes.API_ROOT)
        limit = aiohttp.ClientTimeout(total=600)
        http = await stack.enter_async_context(aiohttp.ClientSession(root, headers=headers, timeout=limit))
        clients = {}
        for way in await _ways(http):
            config = vf.ClientConfig(
                base_url=target.base_url,
                api_key=target.api_key,
                route=vf.Route(way),
                stitching=target.stitching,
                timeout=600,
            )
            clients[way] = await stack.enter_async_context(vf.OpenAIChatCompletionsTokenClient(config))
        for history in options.histories:
            found += await _behind(history, http, clients, target.model, options, words, after_turn)
    return found


async def _ways(http: aiohttp.ClientSession) -> list[Way]:
    """Those that the server has: `generate` is an option of vLLM's."""
    async with http.get(routes.OPENAPI) as answer:
        listed = (await answer.json())["paths"]
    return [way for way in Way if way is not Way.FLOOR and (way is not Way.GENERATE or routes.GENERATE in listed)]


async def _behind(
    history: int,
    http: aiohttp.ClientSession,
    clients: dict[Way, vf.OpenAIChatCompletionsTokenClient],
    model: str,
    options: Options,
    words: Words,
    after_turn: Any,
) -> list[Latency]:
    """Every way's first two turns are not measured: they fill the server's cache and prove the template."""
    talks = {way: Talk(client, model, options) for way, client in clients.items()}
    for number, talk in enumerate(talks.values()):  # each begins with other words, so that no cache is another's
        await talk.turn(_said(words, count=history, seed=number))
        await talk.turn(_said(words, count=SAID_WORDS, seed=100 + number))
    first, second = (len(talks[Way.PLUGIN].ids(turn)) for turn in (0, 1))
    said_ids = second - first - options.max_tokens  # with what the template writes around the words
    floor = Floor(http, model, options, words.ids(count=first, seed=50))
    await floor.turn(words.ids(count=said_ids, seed=51))
    taken: dict[Way, list[float]] = {way: [] for way in (Way.FLOOR, *talks)}
    for turn in range(options.turns):
        for number, way in random.Random(turn).sample(list(enumerate(taken)), len(taken)):
            seed = 1000 * (number + 1) + turn
            if way is Way.FLOOR:
                taken[way].append(await floor.turn(words.ids(count=said_ids, seed=seed)))
            else:
                taken[way].append(await talks[way].turn(_said(words, count=SAID_WORDS, seed=seed)))
        after_turn()
    lengths = {Way.FLOOR: len(floor.ids), **{way: len(talk.ids()) for way, talk in talks.items()}}
    served = {way: sorted(set(talk.routes[2:])) for way, talk in talks.items()}
    return [
        Latency(
            history=history,
            way=way,
            milliseconds=taken[way],
            prompt_tokens=lengths[way],
            routes=served.get(way, []),
        )
        for way in lengths
    ]


def _said(words: Words, *, count: int, seed: int) -> str:
    """Always as many ids: each of the words has a space before it."""
    return f"Go on: {words.text(count=count, seed=seed)}"


def times(found: Sequence[Latency], way: Way, other: Way, *histories: int) -> float:
    """How many times as long `way` takes as `other`, over all turns behind these histories."""
    by_place = {(one.history, one.way): one.milliseconds for one in found}
    pairs = (zip(by_place[history, way], by_place[history, other], strict=True) for history in histories)
    return median(mine / theirs for same_history in pairs for mine, theirs in same_history)


def table(found: Sequence[Latency]) -> Table:
    title = "\nMilliseconds of a turn (and times the floor's of the same number), medians"
    made = Table(title=title, title_justify="left")
    for name in ("history", *dict.fromkeys(one.way for one in found)):
        made.add_column(name, justify="right")
    for history in sorted({one.history for one in found}):
        ways = [one for one in found if one.history == history]
        cells = (f"{one.median_ms:.1f} ({times(found, one.way, Way.FLOOR, history):.2f})" for one in ways)
        made.add_row(f"{history:,}", *cells)
    return made


def conclusion(found: Sequence[Latency]) -> str:
    """The two figures this benchmark is for."""
    histories = sorted({one.history for one in found})
    to_floor = max(times(found, Way.PLUGIN, Way.FLOOR, history) for history in histories)
    over_all = times(found, Way.PLUGIN, Way.FLOOR, *histories)
    verdict = "met" if to_floor <= GOAL_TO_FLOOR else "MISSED"
    said = [
        f"Token ids through the plugin take at most {to_floor:.2f} times the floor, goal {GOAL_TO_FLOOR}: {verdict} "
        f"({over_all:.2f} over all turns)."
    ]
    long = [history for history in histories if history >= LONG_HISTORY]
    if long:
        to_messages = max(times(found, Way.PLUGIN, Way.MESSAGES, history) for history in long)
        verdict = "met" if to_messages <= GOAL_TO_MESSAGES else "MISSED"
        said.append(
            f"From {LONG_HISTORY:,} tokens on they take at most {to_messages:.2f} times what messages take, goal "
            f"{GOAL_TO_MESSAGES}: {verdict}."
        )
    return " ".join(said)


def as_json(found: Sequence[Latency], options: Options) -> dict[str, Any]:
    return {
        **provenance(),
        "options": {**asdict(options), "model_folder": options.model_folder.name, "base_url": bool(options.base_url)},
        "latencies": [
            {**asdict(one), "median_ms": one.median_ms, "times_floor": times(found, one.way, Way.FLOOR, one.history)}
            for one in found
        ],
    }


@asynccontextmanager
async def find_target(options: Options, console: Console, tokenizer: LocalTokenizer) -> AsyncIterator[Target]:
    """The user's server, or one of our own until the block ends."""
    if options.base_url:
        key = os.environ.get(options.api_key_env or "") or "EMPTY"
        config = vf.ClientConfig(base_url=options.base_url, api_key=key, max_retries=0)
        async with vf.OpenAIChatCompletionsTokenClient(config) as client:
            model = options.model or (await client.client.models.list()).data[0].id
        yield Target(base_url=options.base_url, model=model, api_key=key)
        return
    longest = max(options.histories) + (options.turns + 4) * (options.max_tokens + 3 * SAID_WORDS) + 512
    console.print(f"starting a local vLLM with {options.model_folder.name} ...")
    served = LocalServerOptions(model=options.model_folder, max_model_len=longest, extra_args=("--enable-scale-out",))
    async with LocalServer(served) as server:
        stitching = vf.StitchingConfig(tokenizer=tokenizer)
        yield Target(base_url=server.base_url, model=server.model, api_key="EMPTY", stitching=stitching)


async def run(options: Options, console: Console) -> list[Latency]:
    tokenizer = LocalTokenizer.load(options.model_folder)
    words = Words(tokenizer.transformers_tokenizer)
    columns = (TextColumn("turns"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with find_target(options, console, tokenizer) as target:
        with Progress(*columns, console=console, disable=not console.is_terminal, auto_refresh=False) as progress:
            bar = progress.add_task("turns", total=options.turns * len(options.histories))
            return await measure(
                target, options, words, after_turn=lambda: progress.update(bar, advance=1, refresh=True)
            )


def main(arguments: Sequence[str] | None = None) -> None:
    options, console = parse(arguments), Console()
    found = asyncio.run(run(options, console))
    write(as_json(found, options), RESULT)
    console.print(table(found))
    console.print(conclusion(found), highlight=False)
    console.print(f"All turns: {RESULT}")


def parse(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base-url", metavar="URL", help="a running server, such as http://host:8000/v1")
    parser.add_argument("--model", metavar="NAME", help="model at --base-url (default: the first it serves)")
    parser.add_argument("--api-key-env", metavar="NAME", help="environment variable with the key for --base-url")
    parser.add_argument("--model-folder", type=Path, default=Options.__dataclass_fields__["model_folder"].default,
                        help="what to serve, and whose tokenizer makes the words")  # fmt: skip
    parser.add_argument("--histories", type=int, nargs="+", default=Options.__dataclass_fields__["histories"].default,
                        metavar="TOKENS", help="lengths of the histories")  # fmt: skip
    parser.add_argument("--turns", type=int, default=25, help="measured turns behind each history (default: 25)")
    parser.add_argument("--max-tokens", type=int, default=4, help="sampled tokens of a turn (default: 4)")
    parsed = parser.parse_args(arguments)
    return options_from(parser, Options, {**vars(parsed), "histories": tuple(parsed.histories)})


if __name__ == "__main__":
    run_as_command("latency", main)
