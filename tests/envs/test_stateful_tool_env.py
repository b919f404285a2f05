"""StatefulToolEnv: arguments that the model neither sees nor sends."""

from __future__ import annotations

import json
from typing import Any

import pytest

import verifiers_tito as vf
from tests.envs.tool_calls import calling


def append(word: str, words: list[str]) -> int:
    """Adds a word.

    Args:
        word: the word
        words: all of them
    """
    words.append(word)
    return len(words)


class WordsEnv(vf.StatefulToolEnv):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(dataset=[], **kwargs)
        self.add_tool(append, args_to_skip=["words"])

    def update_tool_args(
        self, tool_name: str, tool_args: dict[str, Any], messages: vf.Messages, state: vf.State, **kwargs: Any
    ) -> Any:
        state["seen"] = (tool_name, dict(tool_args), messages[-1].role, kwargs)
        return {**tool_args, "words": state["words"]}


async def answers(env: vf.ToolEnv, state: vf.State, *calls: tuple[str, Any], **kwargs: Any) -> list[Any]:
    return [message.content for message in await env.env_response(calling(*calls), state, **kwargs)]


async def test_hidden_arguments_are_added_from_the_state() -> None:
    env, state = WordsEnv(), vf.State(words=["a"])
    assert await answers(env, state, ("append", {"word": "b"}), extra=1) == ["2"]
    assert state["words"] == ["a", "b"]
    assert state["seen"] == ("append", {"word": "b"}, "assistant", {"extra": 1})


def test_the_model_does_not_see_them() -> None:
    env = WordsEnv()
    assert "words" not in json.dumps(env.tool_defs[0].parameters)
    assert env.skipped_args == {"append": ["words"]}
    assert env.tool_map == {"append": append}


async def test_what_the_model_sends_for_a_hidden_argument_is_not_let_through() -> None:
    env, state = WordsEnv(), vf.State(words=["a"])
    sent = {"word": "b", "words": ["mine"]}
    assert await answers(env, state, ("append", sent)) == [
        "append was not called: words: no such argument. It takes word"
    ]
    assert (state["words"], "seen" in state) == (["a"], False)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (("append", {"word": 3}), "append was not called: word: Input should be a valid string"),
        (("nothing", {}), "there is no tool 'nothing'; the tools are append"),
        (("append", "{"), "append was not called: its arguments are no JSON"),
    ],
)
async def test_only_calls_that_can_succeed_reach_update_tool_args(call: tuple[str, Any], told: str) -> None:
    state = vf.State(words=[])
    (answer,) = await answers(WordsEnv(), state, call)
    assert answer.startswith(told)
    assert "seen" not in state


async def test_calls_of_one_turn_see_what_the_ones_before_did() -> None:
    state = vf.State(words=[])
    calls = [("append", {"word": word}) for word in "abc"]
    assert await answers(WordsEnv(), state, *calls) == ["1", "2", "3"]
    assert state["words"] == ["a", "b", "c"]


async def test_update_tool_args_may_be_async() -> None:
    class Env(WordsEnv):
        async def update_tool_args(self, *arguments: Any, **kwargs: Any) -> Any:
            return super().update_tool_args(*arguments, **kwargs)

    assert await answers(Env(), vf.State(words=[]), ("append", {"word": "a"})) == ["1"]


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (None, TypeError, "update_tool_args returned NoneType; return the dict of all arguments"),
        ({"word": "a"}, vf.ConfigError, "words: Field required"),
        ({"word": "a", "words": 3}, vf.ConfigError, "words: Input should be a valid list"),
    ],
)
async def test_mistakes_of_update_tool_args_are_not_told_to_the_model(
    returned: Any, error: type[Exception], message: str
) -> None:
    class Env(WordsEnv):
        def update_tool_args(self, *arguments: Any, **kwargs: Any) -> Any:
            return returned

    for in_parallel in (True, False):
        with pytest.raises(error, match=message):
            await answers(Env(tools_in_parallel=in_parallel), vf.State(), ("append", {"word": "a"}))


async def test_an_environment_without_update_tool_args_is_told_so() -> None:
    env = vf.StatefulToolEnv(tools=[append], dataset=[])
    with pytest.raises(NotImplementedError, match="StatefulToolEnv must define update_tool_args"):
        await answers(env, vf.State(), ("append", {"word": "a", "words": []}))


def test_a_tool_is_removed_with_what_it_hid() -> None:
    env = WordsEnv()
    env.remove_tool(append)
    assert (env.tool_defs, env.skipped_args) == ([], {})
