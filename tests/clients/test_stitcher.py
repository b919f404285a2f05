"""The stitcher with a tokenizer of its own making: what is asked for how often, and what goes wrong how."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import verifiers_tito as vf
from verifiers_tito.clients.control_text import ControlTextGuard
from verifiers_tito.clients.stitcher import Stitcher
from verifiers_tito.clients.template_input import TemplateInput
from verifiers_tito.clients.tokenizer_choice import TokenizerChoice
from verifiers_tito.stitching import Fallback, Stitched
from verifiers_tito.tokenization import ServerRendering, ServerTokenizer, TemplateRefusedError
from verifiers_tito.transport import RouteMissingError, ServerUnreachableError
from verifiers_tito.types import Response, ResponseMessage, TurnTokens

END, NEWLINE, BEGIN = 100, 10, 99
QUESTION = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "a"}
NEXT = {"role": "user", "content": "n"}
PICTURE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}


class LittleChatML(ServerTokenizer):
    """Every content is one id. `failures` are raised first, one a call."""

    def __init__(self, failures: list[Exception] | None = None) -> None:
        self.calls = 0
        self.failures = failures or []

    async def render(self, messages: Any, *, add_generation_prompt: bool, **options: Any) -> ServerRendering:
        self.calls += 1
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        texts = [text for message in messages for text in ("<|begin|>", message["content"] or "", "<|end|>", "\n")]
        texts += ["<|begin|>"] if add_generation_prompt else []
        ids = {"<|begin|>": BEGIN, "<|end|>": END, "\n": NEWLINE}
        return ServerRendering([ids.get(text, len(text)) for text in texts], texts)


def stitcher_of(tokenizer: LittleChatML) -> Stitcher:
    config = vf.StitchingConfig(tokenizer="server", control_text=vf.ControlTextPolicy.PARSE)

    async def nowhere(model: str) -> None:
        return None

    choice = TokenizerChoice(tokenizer, config, find_root=nowhere)
    return Stitcher(choice, ControlTextGuard(tokenizer, config.control_text), config)


def template(**fields: Any) -> TemplateInput:
    return TemplateInput(model="m", tools=None, fields=fields)


def state_after_one_turn(**changes: Any) -> vf.State:
    tokens = {"prompt_ids": [1, 2], "completion_ids": [3, END]}
    return vf.State(trajectory=[{"prompt": [QUESTION], "completion": [ANSWER], "tokens": tokens, **changes}])


async def stitch(tokenizer: LittleChatML, state: vf.State, prompt: list[Any], **fields: Any) -> Stitched | Fallback:
    return await stitcher_of(tokenizer).stitch(state, prompt, template(**fields))


async def test_a_stitched_prompt_is_the_earlier_ids_and_the_bridge() -> None:
    state = state_after_one_turn()
    outcome = await stitch(LittleChatML(), state, [QUESTION, ANSWER, NEXT])
    assert isinstance(outcome, Stitched)
    assert outcome.token_ids == [1, 2, 3, END, NEWLINE, BEGIN, 1, END, NEWLINE, BEGIN]
    assert (outcome.reused_ids, outcome.bridged_ids, outcome.tokenizer) == (4, 6, "server")
    assert outcome.earlier_prompt_ids is state["trajectory"][0]["tokens"]["prompt_ids"]
    assert state["_cached_suffix_ids"] == [END, NEWLINE]


async def test_ids_that_max_seq_len_cut_from_the_step_are_still_in_the_prompt() -> None:
    tokens = TurnTokens(prompt_ids=[1, 2], completion_ids=[3, 4, END], completion_logprobs=[-1.0] * 3)
    message = ResponseMessage(content="a", tokens=tokens)
    cut = {"prompt_ids": [1, 2], "completion_ids": [3], "is_truncated": True}
    state = state_after_one_turn(tokens=cut, response=Response(id="r", created=0, model="m", message=message))
    outcome = await stitch(LittleChatML(), state, [QUESTION, ANSWER, NEXT])
    assert isinstance(outcome, Stitched)
    assert outcome.token_ids[:6] == [1, 2, 3, 4, END, NEWLINE]


@pytest.mark.parametrize(
    ("prompt", "fields", "reason"),
    [
        ([QUESTION, ANSWER, PICTURE], {}, vf.FallbackReason.MULTIMODAL),
        ([QUESTION, ANSWER, NEXT], {"continue_final_message": True}, vf.FallbackReason.PROMPT_FLAGS),
        ([QUESTION, ANSWER, NEXT], {"truncate_prompt_tokens": 5}, vf.FallbackReason.PROMPT_FLAGS),
        ([QUESTION, ANSWER], {}, vf.FallbackReason.NO_NEW_MESSAGES),
        ([NEXT, ANSWER, NEXT], {}, vf.FallbackReason.NO_PREFIX),
        ([QUESTION, ANSWER, NEXT, ANSWER, NEXT], {}, vf.FallbackReason.TAIL_NOT_LEGAL),
    ],
)
async def test_reasons_that_need_no_tokenizer(
    prompt: list[Any], fields: dict[str, Any], reason: vf.FallbackReason
) -> None:
    tokenizer = LittleChatML()
    assert await stitch(tokenizer, state_after_one_turn(), prompt, **fields) == Fallback(reason)
    assert tokenizer.calls == 0


async def test_a_picture_in_an_earlier_turn_keeps_the_rollout_on_messages() -> None:
    """Failure 30."""
    state = state_after_one_turn(prompt=[PICTURE])
    outcome = await stitch(LittleChatML(), state, [PICTURE, ANSWER, NEXT])
    assert outcome == Fallback(vf.FallbackReason.MULTIMODAL)


@pytest.mark.parametrize(
    ("stop_reason", "fields", "ended"),
    [(None, {}, True), (7, {}, True), (7, {"stop_token_ids": [7]}, False), ("x", {}, False)],
    ids=["end of sequence", "the model's own stop token", "a stop token of the request", "a stop string"],
)
async def test_only_a_token_of_the_model_s_own_ends_a_turn(
    stop_reason: Any, fields: dict[str, Any], ended: bool
) -> None:
    """Failures 6 and 7: an end that the model sampled stands for the close, whatever else stopped it does not."""
    tokens = TurnTokens(prompt_ids=[1, 2], completion_ids=[3, 7], completion_logprobs=[-1.0] * 2)
    message = ResponseMessage(content="a", tokens=tokens, finish_reason="stop")
    response = Response(id="r", created=0, model="m", message=message, stop_reason=stop_reason)
    outcome = await stitch(LittleChatML(), state_after_one_turn(response=response), [QUESTION, ANSWER, NEXT], **fields)
    assert isinstance(outcome, Stitched)
    assert outcome.token_ids[4:6] == ([NEWLINE, BEGIN] if ended else [END, NEWLINE])


async def test_rollouts_that_come_at_once_share_what_is_learnt_of_a_template() -> None:
    alone, crowded = LittleChatML(), LittleChatML()
    await stitch(alone, state_after_one_turn(), [QUESTION, ANSWER, NEXT])
    stitcher = stitcher_of(crowded)
    prompts = [[QUESTION, ANSWER, {"role": "user", "content": "n" * length}] for length in range(1, 9)]
    await asyncio.gather(*(stitcher.stitch(state_after_one_turn(), prompt, template()) for prompt in prompts))
    assert crowded.calls == alone.calls + 7


async def test_a_server_without_tokenize_is_asked_once() -> None:
    tokenizer = LittleChatML([RouteMissingError("404")])
    stitcher = stitcher_of(tokenizer)
    for _ in range(2):
        outcome = await stitcher.stitch(state_after_one_turn(), [QUESTION, ANSWER, NEXT], template())
        assert outcome == Fallback(vf.FallbackReason.TOKENIZE_MISSING, "404")
    assert tokenizer.calls == 1


async def test_a_refused_template_is_remembered_with_its_words() -> None:
    tokenizer = LittleChatML([TemplateRefusedError("roles must alternate")] * 3)
    stitcher = stitcher_of(tokenizer)
    for _ in range(2):
        outcome = await stitcher.stitch(state_after_one_turn(), [QUESTION, ANSWER, NEXT], template())
        assert outcome == Fallback(vf.FallbackReason.TEMPLATE_REFUSED, "roles must alternate")


async def test_a_connection_that_breaks_while_learning_is_raised_and_learning_starts_over() -> None:
    stitcher = stitcher_of(LittleChatML([ServerUnreachableError("gone")]))
    with pytest.raises(ServerUnreachableError):
        await stitcher.stitch(state_after_one_turn(), [QUESTION, ANSWER, NEXT], template())
    outcome = await stitcher.stitch(state_after_one_turn(), [QUESTION, ANSWER, NEXT], template())
    assert isinstance(outcome, Stitched)


async def test_one_rollout_s_cancellation_is_not_the_others() -> None:
    stitcher = stitcher_of(LittleChatML())
    tasks = [
        asyncio.create_task(stitcher.stitch(state_after_one_turn(), [QUESTION, ANSWER, NEXT], template()))
        for _ in range(3)
    ]
    await asyncio.sleep(0)
    tasks[0].cancel()
    first, *others = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert all(isinstance(outcome, Stitched) for outcome in others)


async def test_a_message_that_the_template_does_not_write_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    class Deaf(LittleChatML):
        """Writes nothing of tools."""

        async def render(self, messages: Any, **options: Any) -> ServerRendering:
            return await super().render([message for message in messages if message["role"] != "tool"], **options)

    stitcher = stitcher_of(Deaf())
    answer = {"role": "tool", "tool_call_id": "c", "content": "5"}
    for _ in range(2):
        outcome = await stitcher.stitch(state_after_one_turn(), [QUESTION, ANSWER, answer], template())
        assert isinstance(outcome, Stitched)
    assert [record.getMessage() for record in caplog.records if "does not write a tool message" in record.getMessage()]
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1


@pytest.mark.parametrize(("most", "closed"), [(2, True), (9, False), (None, True)])
async def test_a_turn_with_calls_that_was_cut_short_is_closed(most: int | None, closed: bool) -> None:
    """vLLM finishes it with `tool_calls` all the same: only its length tells that nothing ended it."""
    tokens = TurnTokens(prompt_ids=[1, 2], completion_ids=[3, 4], completion_logprobs=[-1.0] * 2)
    message = ResponseMessage(content="a", finish_reason="tool_calls", tokens=tokens)
    state = state_after_one_turn(response=Response(id="r", created=0, model="m", message=message))
    limit = {} if most is None else {"max_completion_tokens": most}
    outcome = await stitch(LittleChatML(), state, [QUESTION, ANSWER, NEXT], **limit)
    assert isinstance(outcome, Stitched)
    assert (outcome.token_ids[4] == END) is closed
