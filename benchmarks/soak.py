"""Thousands of rollouts over a bad wire, in a process that is killed twice and continued: is every one there, once?

    .venv/bin/python -m benchmarks.soak [--rollouts 2000] [--turns 6]

The run stands in a process of its own; this one is the server (a fake vLLM), the wire (of 100 answers, 5 are spoilt in
one of a dozen ways) and the killer. It looks at the run's memory all the while, and at the folder in the end: as many
results as rollouts, no answer in two of them, each prompt beginning with all ids before it. Exit code 0 only if so.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import verifiers_tito as vf
from benchmarks.command import options_from
from benchmarks.results import provenance, require_tokenizer, write
from tests.faults.proxy import Fault, FaultyWire
from verifiers_tito.errors import ConfigError
from verifiers_tito.testing import Completion, FakeModel, FakeRequest, FakeVLLM

RESULT = Path("runs/benchmarks/soak.json")
MODEL = "fake"
EACH = 4
AT_ONCE = 64
SPOILT_SHARE = 0.05
GOAL_KB_PER_ROLLOUT = 30.0
"""Outputs are kept, because callers get them; trajectories are not, which are several times as large."""
_PROJECT = Path(__file__).parent.parent
_SECONDS_BETWEEN_LOOKS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    rollouts: int = 2000
    turns: int = 6
    model_folder: Path = Path(".models/qwen3-tiny")

    def __post_init__(self) -> None:
        if self.rollouts < 3 * EACH or self.rollouts % EACH or self.turns < 2:
            raise ConfigError(f"--rollouts must be a multiple of {EACH}, at least {3 * EACH}; --turns at least 2")
        require_tokenizer(self.model_folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One process of the run: from its start until it was killed or done. Memory is its resident set."""

    killed: bool
    finished_before: int
    finished_after: int
    seconds: float
    settled_mb: float
    """When it had finished a quarter of what it did."""
    last_mb: float
    peak_mb: float
    """Mostly that of loading the tokenizer, before the first rollout."""

    @property
    def kb_per_rollout(self) -> float:
        """Growth of memory for each rollout of the last three quarters."""
        rollouts = 0.75 * (self.finished_after - self.finished_before)
        return (self.last_mb - self.settled_mb) * 1024 / rollouts if rollouts else 0.0


class TalkingEnv(vf.MultiTurnEnv):
    async def env_response(self, messages: vf.Messages, state: vf.State, **kwargs: Any) -> str:
        return f"And {state['turn']}?"


async def continue_run(base_url: str, folder: Path, options: Options) -> None:
    """What the process that is killed does."""
    rows = [{"question": f"Talk of {number}."} for number in range(options.rollouts // EACH)]
    env = TalkingEnv(dataset=rows, rubric=vf.Rubric(lambda **kw: 1.0), max_turns=options.turns, env_id="soak")
    stitching = vf.StitchingConfig(tokenizer=str(options.model_folder))
    config = vf.ClientConfig(base_url=base_url, stitching=stitching, timeout=5.0)
    sampling = {"max_tokens": 16}
    limits = {"max_concurrent": AT_ONCE, "max_retries": 5}
    await env.evaluate(config, MODEL, sampling, rollouts_per_example=EACH, results_path=folder, **limits)


class Soak:
    """The server's side, the wire, and the processes one after another."""

    def __init__(self, options: Options, folder: Path) -> None:
        self.parts: list[Part] = []
        self.faults: list[Fault] = []
        self._options, self._folder = options, folder
        self._dice = random.Random(7)
        self._kinds = [fault for fault in Fault if fault is not Fault.NONE]

    async def run(self) -> None:
        model = FakeModel(folder=self._options.model_folder, name=MODEL)
        async with FakeVLLM(model, script=_numbered) as fake, self._wire_to(fake) as wire:
            for share in (1 / 3, 2 / 3, None):
                kill_at = None if share is None else int(self._options.rollouts * share)
                self.parts.append(await self._part(fake, wire, kill_at=kill_at))
            self.faults = wire.faults

    def _wire_to(self, fake: FakeVLLM) -> FaultyWire:
        return FaultyWire(urlsplit(fake.base_url).port or 0, self._choose)

    async def _part(self, fake: FakeVLLM, wire: FaultyWire, *, kill_at: int | None) -> Part:
        started, before = time.monotonic(), finished_lines(self._folder)
        options = ("--rollouts", str(self._options.rollouts), "--turns", str(self._options.turns))
        options += ("--model-folder", str(self._options.model_folder.absolute()))
        command = (sys.executable, "-m", "benchmarks.soak", "--continue", wire.base_url, str(self._folder), *options)
        process = await asyncio.create_subprocess_exec(*command, cwd=_PROJECT)
        memory: list[tuple[int, float]] = []
        try:
            while process.returncode is None:
                await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
                fake.requests.clear()
                memory.append((finished_lines(self._folder), resident_mb(process.pid)))
                if kill_at is not None and memory[-1][0] >= kill_at:
                    process.kill()
                    await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        after = finished_lines(self._folder)
        if process.returncode != (0 if kill_at is None else -9):
            raise vf.InfraError(f"a part of the run ended with exit code {process.returncode} at {after} rollouts")
        quarter = before + (after - before) / 4
        settled = [megabytes for finished, megabytes in memory if finished >= quarter and megabytes]
        return Part(
            killed=kill_at is not None,
            finished_before=before,
            finished_after=after,
            seconds=time.monotonic() - started,
            settled_mb=settled[0] if settled else 0.0,
            last_mb=settled[-1] if settled else 0.0,
            peak_mb=max(megabytes for _, megabytes in memory),
        )

    def _choose(self) -> Fault:
        return self._dice.choice(self._kinds) if self._dice.random() < SPOILT_SHARE else Fault.NONE


def _numbered(request: FakeRequest) -> Completion:
    """No two answers are the same, so that one that was taken twice would show."""
    return Completion(text=f"answer {request.number}")


def finished_lines(folder: Path) -> int:
    file = folder / "results.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def resident_mb(pid: int) -> float:
    """0 for a process that has ended."""
    status = Path(f"/proc/{pid}/status")
    try:
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return int(lines["VmRSS"].split()[0]) / 1024 if "VmRSS" in lines else 0.0


def violations(folder: Path, options: Options) -> list[str]:
    """What is not as it must be."""
    loaded, found, answers, failed = vf.load_results(folder), Counter[str](), Counter[str](), 0
    for state in loaded.states():
        summary = vf.summarize(state)
        if state["error"] is not None:
            failed += 1
            continue
        found["rollouts with other than all turns"] += summary.turns != options.turns
        found["turns that do not extend"] += summary.later_turns - summary.extending_turns
        found["rollouts without an advantage"] += state["advantage"] is None
        found["splits"] += len(vf.build_datums(state["trajectory"], advantage=1.0).splits)
        answers.update(step["completion"][0].content for step in state["trajectory"])
    found["rollouts missing"] = options.rollouts - len(loaded)
    found["rollouts failed"] = failed
    found["answers taken twice"] = sum(count - 1 for count in answers.values())
    return [f"{count} {what}" for what, count in found.items() if count]


def main(arguments: Sequence[str] | None = None) -> None:
    options, continued = parse(arguments)
    if continued is not None:
        asyncio.run(continue_run(continued[0], Path(continued[1]), options))
        return
    with tempfile.TemporaryDirectory() as name:
        soak = Soak(options, Path(name))
        asyncio.run(soak.run())
        wrong = violations(Path(name), options)
        size_mb = sum(file.stat().st_size for file in Path(name).iterdir()) / 2**20
    growth = soak.parts[-1].kb_per_rollout
    result = {
        **provenance(),
        "options": {**asdict(options), "model_folder": options.model_folder.name},
        "parts": [{**asdict(part), "kb_per_rollout": part.kb_per_rollout} for part in soak.parts],
        "faults": dict(Counter(soak.faults)),
        "folder_mb": size_mb,
        "violations": wrong,
    }
    write(result, RESULT)
    for part in soak.parts:
        print(
            f"{part.finished_before} to {part.finished_after} rollouts in {part.seconds:.0f} s, "
            f"{part.settled_mb:.0f} MB settled, {part.last_mb:.0f} MB at the end, {part.peak_mb:.0f} MB at most, "
            f"{part.kb_per_rollout:.1f} kB a rollout"
            f"{', killed' if part.killed else ''}"
        )
    verdict = "met" if growth <= GOAL_KB_PER_ROLLOUT else "MISSED"
    print(f"{len(soak.faults)} answers spoilt; the folder has {size_mb:.1f} MB; all figures: {RESULT}")
    print(f"Memory grows by {growth:.1f} kB a rollout, goal {GOAL_KB_PER_ROLLOUT:.0f}: {verdict}.")
    print("WRONG: " + "; ".join(wrong) if wrong else f"All {options.rollouts} rollouts are there, whole and once.")
    if wrong:
        raise SystemExit(1)


def parse(arguments: Sequence[str] | None) -> tuple[Options, list[str] | None]:
    defaults = Options.__dataclass_fields__
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rollouts", type=int, default=defaults["rollouts"].default)
    parser.add_argument("--turns", type=int, default=defaults["turns"].default, help="turns of a rollout")
    parser.add_argument("--model-folder", type=Path, default=defaults["model_folder"].default, help="for its tokenizer")
    parser.add_argument("--continue", nargs=2, dest="continued", help=argparse.SUPPRESS)
    parsed = vars(parser.parse_args(arguments))
    continued: list[str] | None = parsed.pop("continued")
    return options_from(parser, Options, parsed), continued


if __name__ == "__main__":
    main()
