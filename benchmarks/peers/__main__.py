"""The same conversations through our client and through others', side by side.

    .venv/bin/python -m benchmarks.peers                      against a fake, and a local vLLM with a tiny model
    .venv/bin/python -m benchmarks.peers --servers fake       without vLLM
    .venv/bin/python -m benchmarks.peers --base-url URL       your own vLLM instead of a local one

Every client but ours runs in a virtual environment of its own under `.peers/`, made on the first run, as a child
process with a small script of ours (`drivers/`). The fake answers as fast as it can, to long conversations: that shows
what clients cost. vLLM runs with our plugin and `--enable-scale-out`, so that every peer finds the route it wants, and
shows what its prompts hold; "stock" is the same server with both routes hidden. Compare within one run only.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import verifiers_tito as vf
from benchmarks.command import options_from, run_as_command, wide_console
from benchmarks.fake_process import MODEL, FakeProcess
from benchmarks.peers import report
from benchmarks.peers.conversations import Conversation, Kind, conversation
from benchmarks.peers.measure import Finding, Server, measure
from benchmarks.peers.peers import ENVIRONMENTS, PEERS, interpreter
from benchmarks.peers.speaker import Speaker, Target
from benchmarks.results import provenance, require_tokenizer, write
from benchmarks.words import Words
from verifiers_tito.errors import ConfigError, InfraError
from verifiers_tito.local.server import LocalServer
from verifiers_tito.local.server_options import LocalServerOptions
from verifiers_tito.tokenization import LocalTokenizer

RESULT = Path("runs/benchmarks/peers.json")
ANSWER_WORDS = {Server.FAKE: 200, Server.VLLM: 40, Server.STOCK: 40}
TOKENS_PER_TURN = 600
"""More than a turn ever adds, however small the pieces it is sampled in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    servers: tuple[Server, ...] = (Server.FAKE, Server.VLLM, Server.STOCK)
    base_url: str | None = None
    model_folder: Path = Path(".models/qwen3-tiny")
    fake_turns: int = 60
    turns: int = 12
    runs: int = 3
    environments: Path = field(default=ENVIRONMENTS)

    def __post_init__(self) -> None:
        if min(self.fake_turns, self.turns, self.runs) < 1:
            raise ConfigError("--fake-turns, --turns and --runs must be at least 1")
        require_tokenizer(self.model_folder)

    def turns_of(self, server: Server) -> int:
        return self.fake_turns if server is Server.FAKE else self.turns


def conversations(server: Server, options: Options, tokenizer: Any) -> list[Conversation]:
    """With the fake, long talks only: what it samples is no model's."""
    words, turns = Words(tokenizer), options.turns_of(server)
    kinds = (Kind.TALK,) if server is Server.FAKE else tuple(Kind)
    return [
        conversation(kind, turns=turns, words=words, tokenizer=tokenizer, answer_words=ANSWER_WORDS[server])
        for kind in kinds
    ]


@asynccontextmanager
async def target(server: Server, options: Options, console: Console) -> AsyncIterator[Target]:
    """The server until the block ends; `STOCK` is a vLLM like the other, whose routes are hidden elsewhere."""
    longest = (options.turns_of(server) + 1) * TOKENS_PER_TURN
    folder = options.model_folder
    if server is Server.FAKE:
        answers = {"sampled_tokens": ANSWER_WORDS[server], "max_model_len": longest, "scale_out": True}
        with FakeProcess(folder=folder, **answers) as fake:
            yield Target(base_url=fake.base_url, model=MODEL, model_folder=folder)
    elif options.base_url:
        async with vf.OpenAIChatCompletionsTokenClient(vf.ClientConfig(base_url=options.base_url)) as client:
            model = (await client.client.models.list()).data[0].id
        yield Target(base_url=options.base_url, model=model, model_folder=folder)
    else:
        console.print(f"starting a local vLLM with {folder.name} ...")
        local = LocalServerOptions(
            model=folder, max_model_len=longest, tool_call_parser="hermes", extra_args=("--enable-scale-out",)
        )
        async with LocalServer(local) as running:
            yield Target(base_url=running.base_url, model=running.model, model_folder=folder)


async def run(options: Options, console: Console) -> tuple[list[Finding], dict[str, dict[str, str]]]:
    """The findings, and the versions that ran, by peer."""
    tokenizer = LocalTokenizer.load(options.model_folder).transformers_tokenizer
    found: list[Finding] = []
    with ExitStack() as stack:
        speakers = _speakers(options, console, stack)
        columns = (TextColumn("turns"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        progress = Progress(*columns, console=console, disable=not console.is_terminal, auto_refresh=False)
        for together in ((Server.FAKE,), (Server.VLLM, Server.STOCK)):
            servers = [server for server in together if server in options.servers]
            if not servers:
                continue
            async with target(servers[0], options, console) as where:
                with progress:
                    bar = progress.add_task("turns", total=None)
                    for server in servers:
                        found += await asyncio.to_thread(
                            measure,
                            server,
                            conversations(server, options, tokenizer),
                            speakers,
                            where,
                            runs=options.runs,
                            after_turn=lambda bar=bar: progress.update(bar, advance=1, refresh=True),
                        )
        return found, {speaker.peer.name: speaker.packages for speaker in speakers}


def _speakers(options: Options, console: Console, stack: ExitStack) -> list[Speaker]:
    """A running driver for each peer that can be installed. What they print goes to a file beside their environment."""
    made: list[Speaker] = []
    options.environments.mkdir(parents=True, exist_ok=True)
    for peer in PEERS:
        try:
            python = interpreter(peer, root=options.environments, tell=console.print)
        except InfraError as error:
            console.print(f"{peer.name} takes no part: {error}", highlight=False, markup=False)
            continue
        log = stack.enter_context((options.environments / f"{peer.slug}.log").open("w"))
        made.append(stack.enter_context(Speaker(peer, python, log)))
    return made


def as_json(
    found: Sequence[Finding], made: Sequence[report.Row], packages: dict[str, dict[str, str]], options: Options
) -> dict[str, Any]:
    return {
        **provenance(),
        "options": {
            "servers": list(options.servers),
            "own_server": bool(options.base_url),
            "model_folder": options.model_folder.name,
            **{name: getattr(options, name) for name in ("fake_turns", "turns", "runs")},
        },
        "packages": packages,
        "rows": [{**asdict(row), "verdict": row.verdict} for row in made],
        "findings": [asdict(one) for one in found],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    options, console = parse(arguments), wide_console()
    found, packages = asyncio.run(run(options, console))
    made = report.rows(found)
    write(as_json(found, made, packages, options), RESULT)
    console.print(report.table(made))
    for line in report.failures(found):
        console.print(line, highlight=False, markup=False)
    console.print(report.conclusion(made), highlight=False)
    console.print(f"All turns: {RESULT}")


def parse(arguments: Sequence[str] | None) -> Options:
    defaults = Options.__dataclass_fields__
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = {server.name.lower(): server for server in Server}
    parser.add_argument("--servers", nargs="+", choices=names, default=list(names), help="(default: all)")
    parser.add_argument("--base-url", metavar="URL", help="a running vLLM, such as http://host:8000/v1")
    parser.add_argument("--model-folder", type=Path, default=defaults["model_folder"].default,
                        help="what to serve, or the tokenizer of the model at --base-url")  # fmt: skip
    parser.add_argument("--fake-turns", type=int, default=defaults["fake_turns"].default, help="turns with the fake")
    parser.add_argument("--turns", type=int, default=defaults["turns"].default, help="turns with vLLM")
    parser.add_argument("--runs", type=int, default=defaults["runs"].default, help="conversations that are timed")
    parsed = parser.parse_args(arguments)
    return options_from(parser, Options, {**vars(parsed), "servers": tuple(names[name] for name in parsed.servers)})


if __name__ == "__main__":
    run_as_command("peers", main)
