"""The stitcher with a tokenizer that is scripted here: reasons, and what is asked for how often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import verifiers_tito as vf
from verifiers_tito.clients.stitcher import Stitcher, TemplateInput
from verifiers_tito.stitching import Fallback, Stitched
from verifiers_tito.tokenization import Rendered, TemplateRefusedError
from verifiers_tito.transport import RouteMissingError
from verifiers_tito.types import Response, ResponseMessage, TurnTokens

END, NEWLINE, BEGIN = 100, 10, 99
QUESTION = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "a"}
NEXT = {"role": "user", "content": "n"}
PICTURE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}


class ScriptedTokenizer:
    """A little ChatML: every content is one id; `fail` may raise instead."""

    def __init__(self, fail: Callable[[int], None] = lambda call: None) -> None:
        self.calls = 0
        self.fail = fail

    async def render(self, messages: Any, *, add_generation_prompt: bool, **options: Any) -> Rendered:
        self.calls += 1
        await asyncio.sleep(0)
        self.fail(self.calls)
        texts = [text for message in messages for text in ("<|begin|>", message["content"], "<|end|>", "\n")]
        texts += ["<|begin|>"] if add_generation_prompt else []
        ids = {"<|begin|>": BEGIN, "<|end|>": END, "\n": NEWLINE}
        return Rendered([ids.get(text, len(text)) for text in texts], texts)


def template(**fields: Any) -> TemplateInput:
    return TemplateInput(model="m", tools=None, fields=fields)


def state_after_one_turn(**changes: Any) -> vf.State:
    step = {
        "prompt": [QUESTION],
        "completion": [ANSWER],
        "tokens": {"prompt_ids": [1, 2], "completion_ids": [3, END]},
        **changes,
    }
    return vf.State(trajectory=[step])


async def stitch(
    tokenizer: ScriptedTokenizer, state: vf.State, prompt: list[Any], **fields: Any
) -> Stitched | Fallback:
    return await Stitcher(tokenizer).stitch(state, prompt, template(**fields))


async def test_a_stitched_prompt_is_the_earlier_ids_and_the_bridge() -> None:
    state = state_after_one_turn()
    outcome = await stitch(ScriptedTokenizer(), state, [QUESTION, ANSWER, NEXT])
    assert outcome == Stitched(token_ids=[1, 2, 3, END, NEWLINE, BEGIN, 1, END, NEWLINE, BEGIN], reused_ids=4)
    assert state["_cached_suffix_ids"] == [END, NEWLINE]


async def test_ids_that_max_seq_len_cut_from_the_step_are_still_in_the_prompt() -> None:
    tokens = TurnTokens(prompt_ids=[1, 2], completion_ids=[3, 4, END], completion_logprobs=[-1.0] * 3)
    message = ResponseMessage(content="a", tokens=tokens)
    cut = {"prompt_ids": [1, 2], "completion_ids": [3], "is_truncated": True}
    state = state_after_one_turn(tokens=cut, response=Response(id="r", created=0, model="m", message=message))
    outcome = await stitch(ScriptedTokenizer(), state, [QUESTION, ANSWER, NEXT])
    assert outcome.token_ids[:6] == [1, 2, 3, 4, END, NEWLINE]


@pytest.mark.parametrize(
    ("prompt", "fields", "reason"),
    [
        ([QUESTION, ANSWER, PICTURE], {}, vf.FallbackReason.MULTIMODAL),
        ([QUESTION, ANSWER, NEXT], {"continue_final_message": True}, vf.FallbackReason.PROMPT_FLAGS),
        ([QUESTION, ANSWER, NEXT], {"truncate_prompt_tokens": 5}, vf.FallbackReason.PROMPT_FLAGS),
        ([QUESTION, ANSWER], {}, vf.FallbackReason.NO_NEW_MESSAGES),
        ([NEXT, ANSWER, NEXT], {}, vf.FallbackReason.NO_PREFIX),
    ],
)
async def test_reasons_that_need_no_tokenizer(
    prompt: list[Any], fields: dict[str, Any], reason: vf.FallbackReason
) -> None:
    tokenizer = ScriptedTokenizer()
    assert await stitch(tokenizer, state_after_one_turn(), prompt, **fields) == Fallback(reason)
    assert tokenizer.calls == 0


async def test_a_picture_in_an_earlier_turn_keeps_the_rollout_on_messages() -> None:
    """Failure 30."""
    state = state_after_one_turn(prompt=[PICTURE])
    assert await stitch(ScriptedTokenizer(), state, [QUESTION]) == Fallback(vf.FallbackReason.MULTIMODAL)


@pytest.mark.parametrize("flags", [{"add_generation_prompt": True}, {"echo": False}, {"use_beam_search": False}])
async def test_flags_at_their_defaults_change_nothing(flags: dict[str, Any]) -> None:
    assert isinstance(
        await stitch(ScriptedTokenizer(), state_after_one_turn(), [QUESTION, ANSWER, NEXT], **flags), Stitched
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TemplateRefusedError("only monologues"), vf.FallbackReason.TEMPLATE_REFUSED),
        (RouteMissingError("404"), vf.FallbackReason.TOKENIZE_MISSING),
    ],
)
async def test_what_the_tokenizer_refuses_is_quoted_and_not_asked_again(
    error: Exception, reason: vf.FallbackReason
) -> None:
    def fail(call: int) -> None:
        raise error

    tokenizer = ScriptedTokenizer(fail)
    stitcher, prompt = Stitcher(tokenizer), [QUESTION, ANSWER, NEXT]
    for _ in range(3):
        outcome = await stitcher.stitch(state_after_one_turn(), prompt, template())
        assert outcome == Fallback(reason, str(error))
    assert tokenizer.calls == 1


async def test_a_refused_tail_does_not_condemn_the_template() -> None:
    def fail(call: int) -> None:
        if call == 2:
            raise TemplateRefusedError("not this one")

    stitcher, prompt = Stitcher(ScriptedTokenizer(fail)), [QUESTION, ANSWER, NEXT]
    assert isinstance(await stitcher.stitch(state_after_one_turn(), prompt, template()), Fallback)
    assert isinstance(await stitcher.stitch(state_after_one_turn(), prompt, template()), Stitched)


async def test_an_unprovable_template_is_a_reason() -> None:
    class Swallowing(ScriptedTokenizer):
        async def render(self, messages: Any, **options: Any) -> Rendered:
            return Rendered([1], ["nothing of it"])

    outcome = await stitch(Swallowing(), state_after_one_turn(), [QUESTION, ANSWER, NEXT])
    assert outcome.reason is vf.FallbackReason.TEMPLATE_UNPROVABLE
    assert "does not write the assistant's content" in outcome.detail


async def test_rollouts_that_ask_at_once_share_one_rendering_each() -> None:
    tokenizer = ScriptedTokenizer()
    stitcher, prompt = Stitcher(tokenizer), [QUESTION, ANSWER, NEXT]
    outcomes = await asyncio.gather(*(stitcher.stitch(state_after_one_turn(), prompt, template()) for _ in range(16)))
    assert all(isinstance(outcome, Stitched) for outcome in outcomes)
    assert tokenizer.calls == 2


async def test_one_rollout_s_edits_of_its_suffix_are_not_the_others_() -> None:
    stitcher, prompt = Stitcher(ScriptedTokenizer()), [QUESTION, ANSWER, NEXT]
    first, second = state_after_one_turn(), state_after_one_turn()
    await stitcher.stitch(first, prompt, template())
    first["_cached_suffix_ids"].append(7)
    assert isinstance(await stitcher.stitch(second, prompt, template()), Stitched)


async def test_a_suffix_that_the_state_brings_is_used() -> None:
    state = state_after_one_turn()
    state["_cached_suffix_ids"] = [END]
    tokenizer = ScriptedTokenizer()
    outcome = await stitch(tokenizer, state, [QUESTION, ANSWER, NEXT])
    assert tokenizer.calls == 1
    assert outcome.token_ids[:6] == [1, 2, 3, END, NEWLINE, BEGIN]
