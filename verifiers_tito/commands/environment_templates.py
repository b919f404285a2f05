"""What `tito init` writes: an environment of one turn, of several, or with a tool, and its test.

Each is whole and works as it is. `$name` is what the environment is called, `$module` its module, `$class_name` its
class.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from string import Template


class EnvironmentKind(StrEnum):
    """How a rollout goes."""

    SINGLE = "single"
    """One question, one answer."""
    MULTI = "multi"
    """The environment answers, until it is content or the turns are used up."""
    TOOL = "tool"
    """The model calls functions, and then answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentTemplate:
    """`tests` are the module's test functions; what stands before them is the same for every kind."""

    module: Template
    tests: Template

    def test_file(self) -> Template:
        return Template(_TEST_HEAD + self.tests.template)


_CALLED = '''\
    tito rollout $name                   plays it on a server (`--help` says which, and how much)
    python -m pytest test_$module.py     plays it on a fake server, without a model
"""

from __future__ import annotations

'''

_SINGLE = (
    '''\
"""$name: a question, and an answer of one word.

The reward is 1.0 where the word that is asked for stands in the answer. Questions are in `ROWS`; a
Hugging Face `Dataset` with the same columns does as well. Change the rows, then `right_answer`.

'''
    + _CALLED
    + '''\
import verifiers_tito as vf

SYSTEM_PROMPT = "Answer with one word and nothing else."
ROWS = [
    {"question": "What is the capital of France?", "answer": "Paris"},
    {"question": "What is the capital of Italy?", "answer": "Rome"},
    {"question": "What is the capital of Japan?", "answer": "Tokyo"},
]


def right_answer(completion: vf.Messages, answer: str) -> float:
    """Whether the last message names the answer."""
    return float(answer.lower() in vf.content_to_text(completion[-1].content).lower())


def load_environment() -> vf.Environment:
    return vf.SingleTurnEnv(
        dataset=vf.Environment.make_dataset(ROWS),
        system_prompt=SYSTEM_PROMPT,
        rubric=vf.Rubric(right_answer),
    )
'''
)

_MULTI = (
    '''\
"""$name: a question, and as many tries as there are turns.

The environment says that an answer is wrong, and ends the rollout when it is right. The reward is
1.0 for a first answer that is right, 0.5 for a second, and so on; 0.0 where none is. Change the
rows, then `env_response`, then `early_answer`.

'''
    + _CALLED
    + '''\
from typing import Any

import verifiers_tito as vf

SYSTEM_PROMPT = "Answer with one word and nothing else."
ROWS = [
    {"question": "What is the capital of France?", "answer": "Paris"},
    {"question": "What is the capital of Italy?", "answer": "Rome"},
    {"question": "What is the capital of Japan?", "answer": "Tokyo"},
]


class $class_name(vf.MultiTurnEnv):
    """Asks again until the answer is right."""

    async def env_response(self, messages: vf.Messages, state: vf.State, **kwargs: Any) -> vf.Messages:
        if is_right(messages[-1], state["answer"]):
            state["final_env_response"] = [vf.UserMessage(content="Right.")]
            return []
        return [vf.UserMessage(content="That is wrong. Try once more.")]


def is_right(message: Any, answer: str) -> bool:
    """Whether the message names the answer."""
    return answer.lower() in vf.content_to_text(message.content).lower()


def early_answer(completion: vf.Messages, answer: str) -> float:
    """One over the number of answers it took; 0.0 where none is right."""
    answers = [message for message in completion if message.role == "assistant"]
    tries = [number for number, message in enumerate(answers, 1) if is_right(message, answer)]
    return 1.0 / tries[0] if tries else 0.0


def load_environment(max_turns: int = 4) -> vf.Environment:
    return $class_name(
        dataset=vf.Environment.make_dataset(ROWS),
        system_prompt=SYSTEM_PROMPT,
        rubric=vf.Rubric(early_answer),
        max_turns=max_turns,
    )
'''
)

_TOOL = (
    '''\
"""$name: questions about letters, and a tool that counts them.

What the model sees of a tool is its name, its parameters with their types, and its docstring. The
reward is 1.0 where the number that is asked for stands in the answer; calls are counted as metrics.
Change the tools, then the rows, then `right_answer`. The server needs a parser of tool calls (`tito
doctor URL` says whether it has one).

'''
    + _CALLED
    + '''\
import verifiers_tito as vf

SYSTEM_PROMPT = "Use the tool, then answer with the number and nothing else."
ROWS = [
    {"question": "How many times does r stand in strawberry?", "answer": "3"},
    {"question": "How many times does s stand in possession?", "answer": "4"},
    {"question": "How many times does e stand in letter?", "answer": "2"},
]


def count_letter(word: str, letter: str) -> int:
    """Counts how many times a letter stands in a word.

    Args:
        word: the word, such as "apple"
        letter: one letter, such as "p"
    """
    return word.lower().count(letter.lower())


def right_answer(completion: vf.Messages, answer: str) -> float:
    """Whether the last message is the model's and holds the number."""
    last = completion[-1]
    return float(last.role == "assistant" and answer in vf.content_to_text(last.content))


def load_environment(max_turns: int = 4) -> vf.Environment:
    return vf.ToolEnv(
        tools=[count_letter],
        dataset=vf.Environment.make_dataset(ROWS),
        system_prompt=SYSTEM_PROMPT,
        rubric=vf.Rubric(right_answer),
        max_turns=max_turns,
    )
'''
)

_TEST_HEAD = '''\
"""$name on a fake vLLM: HTTP, tokenizer and chat template are real, the model's turns are written here."""

from __future__ import annotations

import asyncio
from functools import cache

import verifiers_tito as vf
from verifiers_tito.cli import ensure_model
from verifiers_tito.testing import FakeModel, FakeTokenizer, FakeVLLM, load_tokenizer, replies_by_turn

MODEL = "qwen3-tiny"


def play(*turns: str) -> vf.RolloutOutput:
    """What the first example comes to, when the model says this."""
    return asyncio.run(_play(turns))


async def _play(turns: tuple[str, ...]) -> vf.RolloutOutput:
    model, script = FakeModel(folder=ensure_model(MODEL)), replies_by_turn(turns)
    async with FakeVLLM(model, script=script, tool_call_parser="hermes", tokenizer=tokenizer()) as fake:
        config = vf.ClientConfig(base_url=fake.base_url, stitching=vf.StitchingConfig(tokenizer="server"))
        environment = vf.load_environment("$name")
        results = await environment.evaluate(config, model.name, num_examples=1, show_progress=False)
    output: vf.RolloutOutput = results["outputs"][0]
    return output


@cache
def tokenizer() -> FakeTokenizer:
    """Loaded once: that takes longer than a test."""
    return load_tokenizer(ensure_model(MODEL))


'''

_SINGLE_TESTS = """\
def test_the_right_answer_is_rewarded() -> None:
    output = play("Paris.")
    assert (output["error"], output["reward"]) == (None, 1.0)


def test_another_answer_is_not() -> None:
    output = play("London.")
    assert (output["error"], output["reward"]) == (None, 0.0)
"""

_MULTI_TESTS = """\
def test_a_first_answer_that_is_right_ends_the_rollout() -> None:
    output = play("Paris.")
    assert (output["error"], output["reward"]) == (None, 1.0)
    assert output["served"] == {"chat (first turn)": 1}


def test_later_turns_go_in_as_token_ids_and_earn_less() -> None:
    output = play("London.", "Paris.")
    assert (output["error"], output["reward"]) == (None, 0.5)
    assert output["served"] == {"chat (first turn)": 1, "chat/tokens": 1}


def test_the_rollout_ends_when_the_turns_are_used_up() -> None:
    output = play("London.", "Rome.", "Tokyo.", "Berlin.")
    assert (output["error"], output["reward"], output["stop_condition"]) == (None, 0.0, "max_turns_reached")
"""

_TOOL_TESTS = """\
CALL = '<tool_call>\\n{"name": "count_letter", "arguments": {"word": "strawberry", "letter": "r"}}\\n</tool_call>'


def test_the_tool_is_called_and_the_right_answer_is_rewarded() -> None:
    output = play(CALL, "It is 3.")
    assert (output["error"], output["reward"], output["count_letter_calls"]) == (None, 1.0, 1.0)
    assert output["served"] == {"chat (first turn)": 1, "chat/tokens": 1}


def test_another_answer_is_not_rewarded() -> None:
    output = play("It is 2.")
    assert (output["error"], output["reward"], output["count_letter_calls"]) == (None, 0.0, 0.0)
"""

TEMPLATES = {
    EnvironmentKind.SINGLE: EnvironmentTemplate(module=Template(_SINGLE), tests=Template(_SINGLE_TESTS)),
    EnvironmentKind.MULTI: EnvironmentTemplate(module=Template(_MULTI), tests=Template(_MULTI_TESTS)),
    EnvironmentKind.TOOL: EnvironmentTemplate(module=Template(_TOOL), tests=Template(_TOOL_TESTS)),
}
