"""What all drivers share: one JSON object a line on stdin, one on stdout for each.

    (start)                                  ──► {"packages": {"openai": "2.54.0", ...}}
    {"begin": {"base_url", "model", ...}}    ──► {}                               a new conversation
    {"say": {"role", "content"}, "sampling"} ──► {"cpu_ms", "wall_ms"}            one turn of it
    anything that fails                      ──► {"error": "ModuleNotFoundError: No module named 'httpx'"}

It runs in a peer's own environment, so it imports the standard library only. What a peer prints goes to stderr.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Protocol


class Talk(Protocol):
    """One conversation. A tool's message has no `tool_call_id`: it answers the first call of the turn before."""

    async def say(self, message: dict[str, Any], sampling: dict[str, Any]) -> None: ...


Begin = Callable[[dict[str, Any]], Talk]
"""From base_url, model, tools (OpenAI's form, or null) and model_folder to a conversation."""


def drive(load: Callable[[], Begin], *packages: str) -> None:
    """Until stdin ends. `load` imports the peer."""
    with os.fdopen(os.dup(1), "w", buffering=1) as told:
        os.dup2(2, 1)
        try:
            begin = load()
        except Exception as error:
            print(json.dumps(_failure(error)), file=told)
            return
        print(json.dumps({"packages": {name: version(name) for name in packages}}), file=told)
        with asyncio.Runner() as runner:
            _answer_lines(begin, runner, told)


def _answer_lines(begin: Begin, runner: asyncio.Runner, told: Any) -> None:
    talk: Talk | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if "begin" in asked:
                talk = runner.run(_begun(begin, asked["begin"]))
                answer: dict[str, Any] = {}
            else:
                answer = _timed_turn(talk, asked, runner)
        except Exception as error:
            answer = _failure(error)
        print(json.dumps(answer), file=told)


async def _begun(begin: Begin, conversation: dict[str, Any]) -> Talk:
    """In the event loop, where some clients want to be made."""
    gc.collect()  # what the conversation before left behind is not this one's
    return begin(conversation)


def _timed_turn(talk: Any, asked: dict[str, Any], runner: asyncio.Runner) -> dict[str, Any]:
    """CPU of this process in user and system mode, and time that went by, from the message to the answer."""
    wall, cpu = time.perf_counter(), time.process_time()
    runner.run(talk.say(asked["say"], asked["sampling"]))
    return {"cpu_ms": (time.process_time() - cpu) * 1000, "wall_ms": (time.perf_counter() - wall) * 1000}


def _failure(error: BaseException) -> dict[str, str]:
    """The error's words, and its cause's where it has none of its own."""
    cause = error.__cause__ or error.__context__
    if not str(error) and cause is not None:
        return {"error": f"{type(error).__name__} from {type(cause).__name__}: {cause}"}
    return {"error": f"{type(error).__name__}: {error}"}


def first(calls: list[Any] | None) -> Any:
    """The call that a tool's message answers. Raises `LookupError` where the client found none."""
    if not calls:
        raise LookupError("the client found no tool call in the answer")
    return calls[0]


def split_sampling(sampling: dict[str, Any]) -> dict[str, Any]:
    """The same arguments as OpenAI's package takes them: what it does not know goes into `extra_body`."""
    known = {"max_tokens", "temperature"}
    return {
        **{name: value for name, value in sampling.items() if name in known},
        "extra_body": {name: value for name, value in sampling.items() if name not in known},
    }
