"""PPO from start to finish, on a laptop without a GPU: rollouts, PPO and new weights in a guessing game.

    python examples/train_ppo.py               minutes; curve, metrics and checkpoints below runs/train-ppo/
    python examples/train_ppo.py --seed 1 2    other games, other samples; run it again to go on after Ctrl-C

    1  A model of half a million random weights, whose vocabulary is the game's own words.
    2  Warm start by cross-entropy on games of a careless player: now it can play, badly.
    3  The same number of rollouts without training as with it: what that alone earns.
    4  Each step: rollouts in token ids on a real vLLM ─► group advantages ─► datums ─► PPO ─► weights pushed.

The curve shows what a run learnt, beside one without training and the best play there is (docs/training.md has ours).
Every reward that is shown is of episodes which were sampled before anything was learnt from them, at temperature 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

import verifiers_tito as vf
from verifiers_tito.extras import load_extra
from verifiers_tito.local import bytes_tiny
from verifiers_tito.local.byte_level_bpe import learned_vocabulary
from verifiers_tito.local.model_folder import Stamp, write_model_folder
from verifiers_tito.local.server import LocalServer
from verifiers_tito.local.server_options import LocalServerOptions
from verifiers_tito.renderers import TrainOnWhat, get_renderer
from verifiers_tito.sampling import ServiceClient
from verifiers_tito.training import AdamParams, TrainingClient, check_logprobs, create_training_client

HIGHEST, MAX_TURNS = 7, 3  # three guesses are enough for seven numbers, if each halves the range
SAMPLING = {"temperature": 1.0, "max_tokens": 4}
WARM_BATCH, WARM_GAMES, PARTS, MOST_KL = 32, 2048, 4, 0.05
OF_THE_RATIO = ("ratio:mean", "ratio:max", "clip_fraction", "kl_sample_train_v1", "kl_sample_train_v2")
console = Console()
Options = argparse.Namespace


class CarelessPlayer(vf.OpenAIChatCompletionsClient):
    """Heeds the hints of this game every other time, and guesses at random else: no server, no model."""

    def __init__(self, seed: int) -> None:
        super().__init__(vf.ClientConfig())
        self.draw = random.Random(seed)

    async def get_response(self, prompt: vf.Messages, *arguments: Any, **keywords: Any) -> vf.Response:
        low, high = 1, HIGHEST
        if self.draw.random() < 0.5:
            told = " ".join(vf.content_to_text(message.content) for message in prompt)
            for guess, direction in re.findall(r"(\d) is wrong. My number is (\w+)", told):
                low = max(low, int(guess) + 1) if direction == "higher" else low
                high = min(high, int(guess) - 1) if direction == "lower" else high
        guess = str(self.draw.randint(low, high))
        message = vf.ResponseMessage(content=guess, finish_reason="stop")
        return vf.Response(id="guess", created=0, model="careless", message=message)


async def play(client: Any, model: str, *, games: int, group_size: int, seed: int) -> list[vf.State]:
    """`group_size` rollouts of each of `games` secrets, with advantages over the rollouts of a secret."""
    rules = {"highest": HIGHEST, "max_turns": MAX_TURNS, "show_example": False}
    env = vf.load_environment("number-guess", num_examples=games, seed=seed, **rules)
    async with asyncio.TaskGroup() as groups:
        tasks = [
            groups.create_task(env.run_group([row] * group_size, client, model, SAMPLING)) for row in env.get_dataset()
        ]
    states = [state for task in tasks for state in task.result()]
    for state in states:
        if state["error"] is not None:
            raise state["error"]
    return states


def halving_reward() -> float:
    """What a player earns who always guesses the middle of what is left, in the mean over all secrets."""
    rewards = []
    for secret in range(1, HIGHEST + 1):
        low, high = 1, HIGHEST
        for turn in range(MAX_TURNS):
            guess = (low + high) // 2
            if guess == secret:
                rewards.append(1.0 - 0.5 * turn / (turn + 1))
                break
            low, high = (guess + 1, high) if guess < secret else (low, guess - 1)
    return float(np.mean(rewards))


async def careless_games(seed: int) -> list[list[dict[str, str]]]:
    """Whole conversations of the careless player."""
    async with CarelessPlayer(seed) as player:
        states = await play(player, "careless", games=WARM_GAMES, group_size=1, seed=seed)
    conversations = [[*state["prompt"], *state["completion"]] for state in states]
    return [[{"role": m["role"], "content": vf.content_to_text(m["content"])} for m in talk] for talk in conversations]


def build_model(folder: Path, games: Sequence[Sequence[dict[str, str]]]) -> Path:
    """A model folder with random weights, whose tokenizer knows the words of `games`."""
    texts = {message[key] for game in games for message in game for key in ("role", "content")}
    vocabulary = learned_vocabulary(sorted(texts), size=512)
    stamp = Stamp(builder="train-ppo", version=2)
    return write_model_folder(folder, stamp=stamp, fill=lambda draft: bytes_tiny.fill(draft, vocabulary))


def warm_up(training: TrainingClient, games: Sequence[Any], options: Options) -> Iterator[float]:
    """Imitates the games; yields the loss of each step."""
    renderer, draw = get_renderer(training.get_tokenizer()), random.Random(options.seed)
    examples = [renderer.build_supervised_example(game, TrainOnWhat.ALL_ASSISTANT_MESSAGES) for game in games]
    datums = [vf.datum_from_example(tokens, weights) for tokens, weights in examples]
    for step in range(options.warm_steps):
        answer = training.forward_backward(draw.sample(datums, WARM_BATCH), "cross_entropy")
        rate = 3e-3 * min(1.0, (step + 1) / 10) * (1 - 0.9 * step / options.warm_steps)
        training.optim_step(AdamParams(learning_rate=rate, grad_clip_norm=1.0)).result()
        yield answer.result().metrics["loss"]


async def learn(training: TrainingClient, states: Sequence[vf.State], options: Options) -> dict[str, float]:
    """PPO on one batch of rollouts: a few passes in parts, until the policy has moved far enough from it."""
    datums = vf.build_training_set(states).datums
    seen: list[dict[str, float]] = []
    for part in [datums[first::PARTS] for first in range(PARTS)] * options.epochs:
        answer = training.forward_backward(part, "ppo")
        await training.optim_step(AdamParams(learning_rate=options.learning_rate, grad_clip_norm=1.0))
        seen.append((await answer).metrics)
        if seen[-1]["kl_sample_train_v2"] > MOST_KL:
            break
    return {name: float(np.mean([metrics[name] for metrics in seen])) for name in ("loss", "entropy", *OF_THE_RATIO)}


class Journal:
    """The metrics of a run, a JSON line for each step; whatever stands there already is not done again."""

    def __init__(self, path: Path, *, steps_done: int) -> None:
        self.path = path
        self.lines = path.read_text().splitlines()[:steps_done] if path.exists() else []
        path.write_text("".join(line + "\n" for line in self.lines))

    def add(self, **metrics: float) -> None:
        self.lines.append(json.dumps(metrics))
        with self.path.open("a") as file:
            file.write(self.lines[-1] + "\n")

    @property
    def rewards(self) -> list[float]:
        return [json.loads(line)["reward"] for line in self.lines]


@dataclass(frozen=True, kw_only=True)
class Run:
    """The mean reward of each step of one seed, without training and with it."""

    seed: int
    untrained: Sequence[float]
    trained: Sequence[float]


def last_state(folder: Path) -> tuple[int, Path | None]:
    """How many steps the newest saved state has, and where it is. Step 0 is the warm start."""
    found = {int(path.name.removeprefix("step-")): path for path in folder.glob("states/step-*")}
    return max(found.items()) if found else (0, None)


async def prepare(options: Options, progress: Progress) -> tuple[TrainingClient, int]:
    """A training client in the state of the newest checkpoint, or after the warm start; and its number of steps."""
    games = await careless_games(options.seed)
    training = create_training_client(build_model(options.folder / "model", games), folder=options.folder)
    done, state = last_state(options.folder)
    if state is not None:
        await training.load_state(state)
        return training, done
    for loss in progress.track(warm_up(training, games, options), options.warm_steps, description="warm start"):
        progress.update(progress.task_ids[-1], description=f"warm start, loss {loss:.3f}")
    await training.save_state("step-0")
    return training, 0


def keep_settings(options: Options) -> None:
    """A run goes on with the settings that it was begun with; only more steps may be asked for."""
    asked = {name: value for name, value in vars(options).items() if name not in ("folder", "steps")}
    options.folder.mkdir(parents=True, exist_ok=True)
    file = options.folder / "settings.json"
    begun = json.loads(file.read_text()) if file.exists() else asked
    if begun != asked:
        raise SystemExit(f"{options.folder} was begun with {begun}, not {asked}: remove it, or choose another --folder")
    file.write_text(json.dumps(asked))


async def run(options: Options) -> Run:
    """Warm start, a run without training, a run with it."""
    load_extra("torch", otherwise="training needs torch").set_num_threads(1)  # vLLM has the other cores
    keep_settings(options)
    shutil.rmtree(options.folder / "weights", ignore_errors=True)  # of an earlier start; states hold all of it
    with Progress(console=console) as progress:
        training, done = await prepare(options, progress)
        weights = (await training.save_weights_for_sampler(f"start-{done}")).path
        settings: dict[str, Any] = {"served_model_name": "player", "dtype": "float32", "max_model_len": 512}
        seed = ("--seed", str(options.seed))
        server = LocalServer(LocalServerOptions(model=weights, weight_updates=True, extra_args=seed, **settings))
        console.print("starting a local vLLM ...")
        async with server, vf.OpenAIChatCompletionsTokenClient(vf.ClientConfig(base_url=server.base_url)) as client:
            service = ServiceClient(base_url=server.base_url)
            untrained = Journal(options.folder / "untrained.jsonl", steps_done=options.steps)
            trained = Journal(options.folder / "trained.jsonl", steps_done=done)
            if done == 0:
                await repeat(untrained, client, options, progress)
            await improve(trained, training, service, client, options, progress)
            service.close()
    training.close()
    return Run(seed=options.seed, untrained=untrained.rewards, trained=trained.rewards)


async def repeat(journal: Journal, client: Any, options: Options, progress: Progress) -> None:
    """The rollouts of a run, with nothing learnt from them."""
    for step in progress.track(range(len(journal.lines), options.steps), description="without training"):
        states = await play(client, "player", **batch(options, step))
        journal.add(step=step, reward=mean_reward(states))


async def improve(
    journal: Journal, training: TrainingClient, service: ServiceClient, client: Any, options: Options, bars: Progress
) -> None:
    """Rollouts, PPO, new weights onto the server, until the run has its steps."""
    bar = bars.add_task("PPO", total=options.steps, completed=len(journal.lines))
    for step in range(len(journal.lines), options.steps):
        began = time.monotonic()
        states = await play(client, "player", **batch(options, step))
        if step == 0:
            truth = check_logprobs(training, vf.build_training_set(states).datums)
            truth.require()
            bars.console.print(f"sampler and learner agree on {truth.tokens} tokens: {truth.largest:.1e} at most")
        metrics = await learn(training, states, options)
        saved = Path((await training.save_weights_for_sampler(f"step-{step + 1}")).path)
        await service.create_sampling_client_async(str(saved))
        journal.add(step=step, reward=mean_reward(states), seconds=time.monotonic() - began, **metrics)
        await training.save_state(saved.name)  # after its line in the journal: a step counts once its state is saved
        for old in [*saved.parent.glob("step-*"), *(options.folder / "states").glob("step-*")]:
            if old.name not in (saved.name, "step-0"):
                shutil.rmtree(old)
        bars.update(bar, advance=1, description=f"PPO, reward {np.mean(journal.rewards[-5:]):.3f}")


def batch(options: Options, step: int) -> dict[str, int]:
    """What is played in a step: other secrets each time, the same ones with and without training."""
    return {"games": options.games, "group_size": options.group_size, "seed": 1000 * (options.seed + 1) + step}


def mean_reward(states: Sequence[vf.State]) -> float:
    return float(np.mean([state["reward"] for state in states]))


def report(runs: Sequence[Run], folder: Path) -> None:
    """Says what was gained, and draws it."""
    best = halving_reward()
    console.print(f"halving the range, the best there is, earns {best:.3f}")
    for one in runs:
        last = one.trained[-max(1, len(one.trained) // 10) :]
        before, after = float(np.mean(one.untrained)), float(np.mean(last))
        gained = f"{before:.3f} without training, {after:.3f} in the last {len(last)} of {len(one.trained)} steps"
        console.print(f"seed {one.seed}: reward {gained}: {(after - before) / (best - before):.0%} of the room is won")
    needs = "the curve needs matplotlib; run: pip install 'verifiers-tito[plot]'"
    figure = load_extra("matplotlib.figure", otherwise=needs).Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for one in runs:
        axes.plot(one.trained, label=f"PPO, seed {one.seed}")
        axes.plot(one.untrained, color="grey", linewidth=0.7, label="the same without training" * (one is runs[0]))
    axes.axhline(best, label="halving the range", color="black", linestyle="dotted")
    axes.set(xlabel="step", ylabel="mean reward of a step's episodes", ylim=(0, 1))
    axes.legend(loc="lower right")
    figure.savefig(folder / "curve.png", dpi=120)
    console.print(f"curve, metrics and checkpoints are in {folder}", soft_wrap=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, nargs="+", default=[0], help="of games and samples; several: a run of each")
    parser.add_argument("--warm-steps", type=int, default=300, help="steps of the warm start (default: 300)")
    parser.add_argument("--steps", type=int, default=60, help="PPO steps (default: 60)")
    parser.add_argument("--games", type=int, default=16, help="secrets in a step (default: 16)")
    parser.add_argument("--group-size", type=int, default=8, help="rollouts of each secret (default: 8)")
    parser.add_argument("--epochs", type=int, default=2, help="passes over the rollouts of a step (default: 2)")
    parser.add_argument("--learning-rate", type=float, default=4e-4, help="of AdamW (default: 0.0004)")
    parser.add_argument("--folder", type=Path, default=Path("runs", "train-ppo"), help="default: %(default)s")
    options = parser.parse_args(argv)
    each = [{"seed": seed, "folder": options.folder / f"seed-{seed}"} for seed in options.seed]
    report([asyncio.run(run(Options(**{**vars(options), **own}))) for own in each], options.folder)


if __name__ == "__main__":
    main()
