"""Multi-turn rollouts, token-in/token-out, from start to finish: a guessing game played by a real model.

    tito demo                          a local vLLM with SmolLM2-135M-Instruct, started and stopped here
    tito demo --base-url URL           a vLLM of your own (`--model NAME` if it serves several)
    tito demo --engine fake            no model at all: a fake vLLM with scripted guesses, in seconds

What to look for in the table: the first turn of every rollout goes in as messages, every later one as token ids, and
each later prompt begins with exactly the ids of the turn before, so that a whole conversation is one PPO datum.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from argparse import RawDescriptionHelpFormatter as RawText
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import verifiers_tito as vf
from verifiers_tito.cli import ensure_model
from verifiers_tito.clients.introduction import key_accepted
from verifiers_tito.commands.served_model import choose_model
from verifiers_tito.local.server import LocalServer
from verifiers_tito.local.server_options import LocalServerOptions

console = Console()


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Who answers: an address, a model's name there, and what to call it on screen."""

    base_url: str
    model: str
    title: str


class CountingClient(vf.OpenAIChatCompletionsTokenClient):
    """A token client that moves a progress bar on with every turn."""

    def __init__(self, config: vf.ClientConfig, progress: Progress) -> None:
        super().__init__(config)
        self.progress = progress

    async def get_response(self, *arguments: Any, **keywords: Any) -> vf.Response:
        response = await super().get_response(*arguments, **keywords)
        self.progress.advance(self.progress.task_ids[0])
        return response


async def play(options: argparse.Namespace, engine: Engine) -> list[list[vf.State]]:
    """Several games, each played by a group of rollouts; one list of states per game."""
    env = vf.load_environment("number-guess", num_examples=options.games, max_turns=options.max_turns, seed=1)
    sampling = {"temperature": options.temperature, "max_tokens": options.max_tokens}
    config = vf.ClientConfig(base_url=engine.base_url, api_key_var=options.api_key_env)
    columns = (TextColumn("turns"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        most_turns = options.games * options.group_size * options.max_turns
        bar = progress.add_task("turns", total=most_turns)
        async with CountingClient(config, progress) as client, asyncio.TaskGroup() as games:
            tasks = [
                games.create_task(env.run_group([row] * options.group_size, client, engine.model, sampling))
                for row in env.get_dataset()
            ]
        progress.update(bar, total=progress.tasks[0].completed)
    return [task.result() for task in tasks]


def show(groups: list[list[vf.State]], engine: Engine) -> None:
    """One line per rollout, how the turns were served, and the proof."""
    table = Table(title=f"number-guess on {engine.title}", box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("secret", justify="right")
    table.add_column("guesses", no_wrap=True)
    table.add_column("routes", no_wrap=True)
    for heading in ("last\nprompt", "sampled\nids", "reward", "advantage", "datums"):
        table.add_column(heading, justify="right")
    for group in groups:
        for state in group:
            table.add_row(*describe(state))
        table.add_section()
    console.print(table)
    summaries = [vf.summarize(state) for group in groups for state in group]
    served = (step["response"].served for group in groups for state in group for step in state["trajectory"])
    routes = Counter(f"{letter(how)} {how.label}" for how in served)
    console.print("routes: " + ", ".join(f"{name}: {count}" for name, count in sorted(routes.items())))
    console.print("guesses: a dash is an answer without a number")
    console.print("reward: 1.0 for a hit at once, at least 0.5 for a later one, else 0.3 at most")
    console.print("advantage: reward minus the mean of the group (the same secret)")
    extending, later = sum(s.extending_turns for s in summaries), sum(s.later_turns for s in summaries)
    errors = {str(state["error"]) for group in groups for state in group if state["error"] is not None}
    for error in sorted(errors):
        console.print(f"failed: {error}", markup=False, soft_wrap=True)
    console.print(f"turn k's prompt extends turn k-1's ids: {extending} of {later}")


def describe(state: vf.State) -> list[str]:
    """The cells of one rollout; a failed one says why."""
    secret = str(state["info"]["secret"])
    if state["error"] is not None:
        return [secret, "failed"]
    summary = vf.summarize(state)
    guesses = ("-" if guess is None else str(guess) for guess in state["guesses"])
    return [
        secret,
        " ".join(guesses),
        " ".join(letter(step["response"].served) for step in state["trajectory"]),
        str(summary.prompt_tokens),
        str(summary.sampled_tokens),
        f"{state['reward']:.2f}",
        f"{state['advantage']:+.2f}",
        str(len(vf.build_datums(state["trajectory"]).datums)),
    ]


def letter(served: vf.Served) -> str:
    """T for a turn that went in as token ids, M for one that went in as messages."""
    return "T" if served.route.is_token_in else "M"


def save(groups: list[list[vf.State]], path: Path) -> None:
    """Writes the PPO datums of all rollouts that did not fail."""
    good = [state for group in groups for state in group if state["error"] is None]
    datums = [datum for state in good for datum in vf.build_datums(state["trajectory"]).datums]
    if not datums:
        console.print(f"no rollout to train on: {path} is left as it is", soft_wrap=True)
        return
    count = vf.write_datums(datums, path)
    trained = sum(int(datum.loss_fn_inputs["mask"].sum()) for datum in datums)
    console.print(
        f"{count} PPO datums ({trained} sampled tokens) of {len(good)} rollouts written to {path}", soft_wrap=True
    )


@asynccontextmanager
async def start_engine(options: argparse.Namespace) -> AsyncIterator[Engine]:
    """The engine that the options ask for, running until the block ends."""
    if options.base_url:
        yield await find_server(options)
    elif options.engine == "fake":
        async with start_fake() as fake:
            yield fake
    else:
        server = LocalServer(LocalServerOptions(model=ensure_model("smollm2"), dtype="float32", max_model_len=2048))
        console.print("starting a local vLLM with SmolLM2-135M-Instruct (half a minute or more) ...")
        async with server:
            yield Engine(base_url=server.base_url, model=server.model, title=f"vLLM with {server.model}")


@asynccontextmanager
async def start_fake() -> AsyncIterator[Engine]:
    """A fake that "samples" a random guess, the same for the same prompt."""
    try:
        from verifiers_tito.testing import Completion, FakeModel, FakeRequest, FakeVLLM  # noqa: PLC0415  an extra
    except ModuleNotFoundError as error:
        raise vf.ConfigError(f"the fake needs {error.name}; run: pip install 'verifiers-tito[testing]'") from error

    def guess(request: FakeRequest) -> Completion:
        return Completion(text=str(random.Random(sum(request.prompt_ids) + request.number).randint(1, 10)))

    async with FakeVLLM(FakeModel(folder=ensure_model("smollm2"), name="fake"), script=guess) as fake:
        yield Engine(base_url=fake.base_url, model="fake", title="a FAKE vLLM: scripted guesses, no model")


async def find_server(options: argparse.Namespace) -> Engine:
    """The user's own server, and the first model it serves unless one was named."""
    config = vf.ClientConfig(base_url=options.base_url, api_key_var=options.api_key_env)
    model = await choose_model(config, wanted=options.model)
    return Engine(base_url=options.base_url, model=model, title=f"{model} at {options.base_url}")


async def run(options: argparse.Namespace) -> int:
    async with start_engine(options) as engine:
        try:
            groups = await play(options, engine)
        except ExceptionGroup as failures:  # what ends all games has one cause, a refused key, say
            raise failures.exceptions[0] from failures
    show(groups, engine)
    save(groups, options.out)
    states = [state for group in groups for state in group]
    later = [step["response"].served for state in states for step in state["trajectory"][1:]]
    if later and not any(served.route.is_token_in for served in later):
        console.print(f"token-in does not work here: every turn went in as messages ({later[0].reason}).")
        console.print(f"What to change: tito doctor {engine.base_url}", style="bold", soft_wrap=True)
        return 1
    return 1 if any(state["error"] is not None for state in states) else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the demo; returns the exit code: 0 if no rollout failed and later turns went in as token ids."""
    parser = argparse.ArgumentParser(prog="tito demo", description=__doc__, formatter_class=RawText)
    parser.add_argument("--engine", choices=["vllm", "fake"], help="what to start (default: vllm)")
    parser.add_argument("--base-url", metavar="URL", help="use a running server instead, such as http://host:8000/v1")
    parser.add_argument("--model", metavar="NAME", help="model at --base-url (default: the first it serves)")
    parser.add_argument("--api-key-env", metavar="NAME", help="environment variable with the key for --base-url")
    parser.add_argument("--games", type=int, default=3, help="secrets to guess (default: 3)")
    parser.add_argument("--group-size", type=int, default=4, help="rollouts of each game (default: 4)")
    parser.add_argument("--max-turns", type=int, default=5, help="guesses in a rollout (default: 5)")
    parser.add_argument("--max-tokens", type=int, default=16, help="sampled tokens in a turn (default: 16)")
    parser.add_argument("--temperature", type=float, default=1.0, help="sampling temperature (default: 1.0)")
    parser.add_argument("--out", type=Path, help="file for the datums (default: datums.jsonl below runs/)")
    options = parser.parse_args(argv)
    if min(options.games, options.group_size, options.max_turns, options.max_tokens) < 1:
        parser.error("--games, --group-size, --max-turns and --max-tokens must be at least 1")
    if options.base_url and options.engine:
        parser.error("--engine says what to start, --base-url that nothing is: give one of them")
    if options.model and not options.base_url:
        parser.error("--model names a model at --base-url")
    folder = "server" if options.base_url else options.engine or "demo"
    options.out = options.out or Path("runs", folder, "datums.jsonl")
    with key_accepted(options.base_url or "this machine"):
        return asyncio.run(run(options))


if __name__ == "__main__":
    sys.exit(main())
