"""A fake vLLM in a process of its own, so that the CPU time of this process is the client's alone.

    FakeProcess ──starts──► python -m benchmarks.fake_process --serve ...
                ◄── its address, as soon as it listens
    "arrived"   ──► ◄── the requests that arrived since the line before

How the two talk and end is `LineProcess`'s.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.line_process import LineProcess
from benchmarks.words import Words
from verifiers_tito.testing import Completion, FakeModel, FakeRequest, FakeVLLM, Script, load_tokenizer

MODEL = "fake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A request that the fake saw. `sent_bytes` is the length of its body."""

    path: str
    sent_bytes: int


class FakeProcess(LineProcess):
    """`with FakeProcess(...) as fake`: it runs inside the block.

    Every completion samples `sampled_tokens` ids, the end of the turn included, that depend on the prompt's length, and
    takes `answer_seconds` more than the fake's own work. With `scale_out` it has vLLM's generate route. Raises
    `LocalServerError` where it does not start or has ended; its own words are on stderr.
    """

    def __init__(
        self,
        *,
        folder: Path,
        sampled_tokens: int,
        max_model_len: int,
        answer_seconds: float = 0.0,
        scale_out: bool = False,
    ) -> None:
        command = [sys.executable, "-m", "benchmarks.fake_process", "--serve", "--folder", str(folder.absolute())]
        command += ["--sampled-tokens", str(sampled_tokens), "--max-model-len", str(max_model_len)]
        command += ["--answer-seconds", str(answer_seconds), *(["--scale-out"] if scale_out else [])]
        super().__init__(command, name="the fake vLLM")

    @property
    def base_url(self) -> str:
        """Its address, inside the block."""
        return str(self.greeting)

    def arrived(self) -> list[Arrived]:
        """What arrived since the last call."""
        return [Arrived(**request) for request in self.ask("arrived")]


def word_script(words: Words, *, sampled_tokens: int, answer_seconds: float) -> Script:
    """Answers of ordinary words, different for each length of a prompt and the same in every run."""

    def script(request: FakeRequest) -> Completion:
        time.sleep(answer_seconds)  # there is nobody else to answer meanwhile
        return Completion(token_ids=words.ids(count=sampled_tokens - 1, seed=len(request.prompt_ids)))

    return script


async def serve(options: argparse.Namespace) -> None:
    """Runs the fake until standard input ends. Requests are forgotten once told: a long prompt is a large object."""
    from transformers.utils import logging  # noqa: PLC0415  late: this process only

    logging.set_verbosity_error()  # it warns of histories longer than the model that the tokenizer is from
    tokenizer = load_tokenizer(options.folder)
    words = Words(tokenizer.transformers_tokenizer)
    script = word_script(words, sampled_tokens=options.sampled_tokens, answer_seconds=options.answer_seconds)
    model = FakeModel(folder=options.folder, name=MODEL, max_model_len=options.max_model_len)
    async with FakeVLLM(model, script=script, tokenizer=tokenizer, scale_out=options.scale_out) as fake:
        print(json.dumps(fake.base_url), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            arrived = [
                {"path": request.path, "sent_bytes": int(request.headers.get("content-length", 0))}
                for request in fake.posts
            ]
            fake.requests.clear()
            print(json.dumps(arrived), flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A fake vLLM, driven over stdin and stdout.")
    parser.add_argument("--serve", action="store_true", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--sampled-tokens", type=int, required=True)
    parser.add_argument("--max-model-len", type=int, required=True)
    parser.add_argument("--answer-seconds", type=float, required=True)
    parser.add_argument("--scale-out", action="store_true")
    asyncio.run(serve(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
