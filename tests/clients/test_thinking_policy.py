"""Failure 4: a template that strips thinking from the history, and what the policy makes of it."""

from __future__ import annotations

from typing import Any

import pytest

import verifiers_tito as vf
from tests.clients.turns import QUESTION, all_ids, config_of, fresh_state, go_on, say, take_turn
from tests.conftest import FakeMaker, locally

THOUGHT = "<think>\nfirst I think\n</think>\n\nfour"
CALL = '<tool_call>\n{"name": "add", "arguments": {}}\n</tool_call>'
TOOL = vf.Tool(name="add", description="Adds.", parameters={"type": "object", "properties": {}})
NEXT = vf.UserMessage(content="And 3+3?")


def following_the_template(fake: Any) -> dict[str, Any]:
    tokenizer = locally(fake).tokenizer
    return {"stitching": vf.StitchingConfig(tokenizer=tokenizer, thinking=vf.ThinkingPolicy.TEMPLATE)}


@pytest.mark.parametrize("parser", ["qwen3", None], ids=["parsed-reasoning", "thinking-in-the-content"])
async def test_by_default_sampled_thinking_stays(qwen3_fake: FakeMaker, parser: str | None) -> None:
    async with (
        qwen3_fake(say(THOUGHT), reasoning_parser=parser) as fake,
        vf.OpenAIChatCompletionsTokenClient(config_of(fake)) as client,
    ):
        state = fresh_state()
        await take_turn(client, state, [QUESTION])
        response = await go_on(client, state, NEXT)
        assert "first I think" in fake.tokenizer.decode(response.message.tokens.prompt_ids)
    assert response.served.label == "chat/tokens"
    assert vf.continuity(state).metrics()["tito/retokenized_ids"] == 0


@pytest.mark.parametrize("parser", ["qwen3", None], ids=["parsed-reasoning", "thinking-in-the-content"])
async def test_by_the_template_s_view_a_new_branch_begins_and_its_cost_is_told(
    qwen3_fake: FakeMaker, parser: str | None
) -> None:
    async with qwen3_fake(say(THOUGHT), reasoning_parser=parser) as fake:
        config = config_of(fake, **following_the_template(fake))
        async with vf.OpenAIChatCompletionsTokenClient(config) as client:
            state = fresh_state()
            await take_turn(client, state, [QUESTION])
            response = await go_on(client, state, NEXT)
            assert "first I think" not in fake.tokenizer.decode(response.message.tokens.prompt_ids)
    assert response.served.reason is vf.FallbackReason.THINKING_STRIPPED
    assert f"{len(all_ids(state['trajectory'][0]))} ids are left behind" in response.served.detail
    assert response.served.retokenized_ids == len(response.message.tokens.prompt_ids)


async def test_where_the_template_keeps_thinking_the_view_is_the_same_and_the_turn_is_stitched(
    qwen3_fake: FakeMaker,
) -> None:
    """Qwen3 keeps the thinking of the turns since the last user message, so a tool's answer changes nothing."""
    script = say(THOUGHT + CALL)
    async with qwen3_fake(script, reasoning_parser="qwen3", tool_call_parser="hermes") as fake:
        config = config_of(fake, **following_the_template(fake))
        async with vf.OpenAIChatCompletionsTokenClient(config) as client:
            state = fresh_state()
            calling = await take_turn(client, state, [QUESTION], tools=[TOOL])
            result = vf.ToolMessage(tool_call_id=calling.message.tool_calls[0].id, content="5")
            response = await go_on(client, state, result, tools=[TOOL])
            loose = await go_on(client, state, vf.ToolMessage(tool_call_id="another", content="5"), tools=[TOOL])
    assert response.served.label == "chat/tokens"
    assert loose.served.reason is vf.FallbackReason.THINKING_STRIPPED  # what the template sees of it was not proven


async def test_turns_without_thinking_are_stitched_under_either_policy(qwen3_fake: FakeMaker) -> None:
    async with qwen3_fake(say("four")) as fake:
        config = config_of(fake, **following_the_template(fake))
        async with vf.OpenAIChatCompletionsTokenClient(config) as client:
            state = fresh_state()
            await take_turn(client, state, [QUESTION])
            assert (await go_on(client, state, NEXT)).served.label == "chat/tokens"
