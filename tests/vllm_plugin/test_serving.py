"""The plugin's handler on a handler of the shape that vLLM's has: what is refused, what reaches the engine.

`Chat`, `OnlineRenderer` and `Renderer` are small working versions of vLLM's three objects, so that these tests
need no vLLM. That the real ones behave so is what the contract tests on a real server show.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from verifiers_tito.vllm_plugin.answering import completion_body
from verifiers_tito.vllm_plugin.serving import (
    refused_field,
    tokens_handler,
    tokens_request_class,
    vocabulary_size,
)
from verifiers_tito.wire.prompt_digest import PromptDigest

CONTEXT_TOKENS = 64


class ChatRequest(BaseModel, extra="allow"):
    """As vLLM's: `messages` required, unknown fields kept."""

    field_names: ClassVar[set[str] | None] = None
    messages: list[dict[str, str]]
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    cache_salt: str | None = None
    echo: bool = False
    stream: bool = False
    use_beam_search: bool = False
    truncate_prompt_tokens: int | None = None
    kv_transfer_params: dict[str, Any] | None = None


TokensRequest = tokens_request_class(ChatRequest)


class ErrorResponse(BaseModel):
    error: dict[str, Any]


class ChatResponse(BaseModel):
    text: str = "hi"
    choices: list[Any] = []
    prompt_token_ids: list[int] | None = None


@dataclass
class Renderer:
    """Renders a chat to [0], which no test sends, and ids to themselves, minus `lost_tokens` of them."""

    tokenizer: Any
    lost_tokens: int = 0

    async def render_chat_async(self, conversations: list[Any], *_: Any, **__: Any) -> tuple[list[Any], list[Any]]:
        return conversations, [{"prompt_token_ids": [0]}]

    async def render_cmpl_async(
        self, prompts: list[dict[str, list[int]]], tok_params: Any, *, prompt_extras: dict[str, Any]
    ) -> list[dict[str, Any]]:
        (prompt,) = prompts
        ids = prompt["prompt_token_ids"]
        if len(ids) > CONTEXT_TOKENS:
            raise ValueError(f"maximum context length is {CONTEXT_TOKENS} tokens")
        await asyncio.sleep(0)  # lets another request in between
        return [{"prompt_token_ids": ids[: len(ids) - self.lost_tokens], **prompt_extras}]


@dataclass
class OnlineRenderer:
    renderer: Renderer
    model_config: Any
    use_harmony: bool = False
    adjusted: list[Any] = field(default_factory=list)

    async def render_chat(self, request: Any) -> Any:
        if self.use_harmony:
            return self._make_request_with_harmony(request, True)
        (conversation,), (engine_input,) = await self.renderer.render_chat_async(
            [request.messages], None, None, prompt_extras={"cache_salt": request.cache_salt}
        )
        self.adjusted.append(request)  # stands for the parsers' adjust_request
        return conversation, [engine_input]

    def _make_request_with_harmony(self, request: Any, should_include_tools: bool) -> Any:
        return request.messages, [{"prompt_token_ids": [0]}]


@dataclass
class Chat:
    online_renderer: OnlineRenderer
    known_model: str = "tiny"

    async def render_chat_request(self, request: Any) -> Any:
        if getattr(request, "model", self.known_model) != self.known_model:
            return ErrorResponse(error={"message": f"The model `{request.model}` does not exist.", "code": 404})
        return await self.online_renderer.render_chat(request)


def tokens_input(ids: list[int], *, cache_salt: str | None) -> dict[str, Any]:
    return {"prompt_token_ids": ids, "cache_salt": cache_salt}


def make_chat(*, lost_tokens: int = 0, use_harmony: bool = False) -> Chat:
    renderer = Renderer(tokenizer=SimpleNamespace(max_token_id=89), lost_tokens=lost_tokens)
    config = SimpleNamespace(get_vocab_size=lambda: 100)
    return Chat(OnlineRenderer(renderer, config, use_harmony=use_harmony))


def make_handler(chat: Chat) -> Any:
    return tokens_handler(chat, error_response=ErrorResponse, tokens_input=tokens_input, vllm_version="0.32.0")


async def render(body: dict[str, Any], *, chat: Chat | None = None) -> Any:
    return await make_handler(chat or make_chat()).render_chat_request(TokensRequest(**body))


@pytest.mark.parametrize("use_harmony", [False, True])
async def test_the_engine_gets_the_ids_as_sent_and_the_cache_salt(use_harmony: bool) -> None:
    chat = make_chat(use_harmony=use_harmony)

    conversation, engine_inputs = await render({"tokens": [5, 7, 99], "cache_salt": "salt"}, chat=chat)

    assert conversation == []
    assert engine_inputs == [{"prompt_token_ids": [5, 7, 99], "cache_salt": "salt"}]


async def test_the_parsers_still_get_to_adjust_the_request() -> None:
    chat = make_chat()

    await render({"tokens": [5]}, chat=chat)

    assert [request.tokens for request in chat.online_renderer.adjusted] == [[5]]


async def test_requests_at_the_same_time_keep_their_own_ids() -> None:
    handler = make_handler(make_chat())
    prompts = [[n, n + 1] for n in range(50)]

    rendered = await asyncio.gather(*(handler.render_chat_request(TokensRequest(tokens=prompt)) for prompt in prompts))

    assert [engine_inputs[0]["prompt_token_ids"] for _, engine_inputs in rendered] == prompts


async def test_the_chat_route_of_the_same_server_still_renders() -> None:
    chat = make_chat()
    make_handler(chat)

    _, engine_inputs = await chat.render_chat_request(ChatRequest(messages=[{"role": "user", "content": "hi"}]))

    assert engine_inputs == [{"prompt_token_ids": [0]}]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "tokens must be a non-empty list of token ids, got an empty list"),
        (None, "tokens must be a non-empty list of token ids, got NoneType"),
        ("12", "tokens must be a non-empty list of token ids, got str '12'"),
        ([1, True], "tokens[1] must be an integer token id, got bool True"),
        ([1, 2.0], "tokens[1] must be an integer token id, got float 2.0"),
        ([3, -1], "tokens[1] is negative: -1"),
        ([3, 100], "Token id 100 at tokens[1] is out of vocabulary (the model has ids 0 to 99)"),
    ],
)
async def test_bad_ids_are_a_bad_request_that_names_them(tokens: object, message: str) -> None:
    answer = await render({"tokens": tokens})

    assert answer.error == {"message": message, "type": "BadRequestError", "param": "tokens", "code": 400}


@pytest.mark.parametrize(("field", "value"), [("echo", True), ("truncate_prompt_tokens", 0), ("use_beam_search", True)])
async def test_a_field_that_cannot_go_with_given_ids_is_refused_by_name(field: str, value: object) -> None:
    answer = await render({"tokens": [1], field: value})

    assert (answer.error["code"], answer.error["param"]) == (400, field)
    assert field in answer.error["message"]


async def test_ids_given_a_second_way_are_refused() -> None:
    answer = await render({"tokens": [1], "kv_transfer_params": {"prompt_token_ids": [2]}})

    assert answer.error["param"] == "kv_transfer_params.prompt_token_ids"


def test_the_same_fields_at_their_defaults_are_taken() -> None:
    body = {"echo": False, "truncate_prompt_tokens": None, "use_beam_search": False, "kv_transfer_params": {}}

    assert refused_field(TokensRequest(tokens=[1], **body)) is None


async def body_after(body: dict[str, Any], *, chat: Chat | None = None, copied: bool = False) -> dict[str, Any]:
    """The completion that follows such a request, from a vLLM that echoes [1, 2, 3]."""
    request = TokensRequest(**body)
    seen = request.model_copy() if copied else request
    await make_handler(chat or make_chat()).render_chat_request(seen)
    return completion_body(ChatResponse(prompt_token_ids=[1, 2, 3]), request)


@pytest.mark.parametrize("use_harmony", [False, True])
async def test_a_digest_of_the_engines_ids_stands_where_the_ids_would(use_harmony: bool) -> None:
    body = await body_after({"tokens": [1, 2, 3], "prompt_echo": "digest"}, chat=make_chat(use_harmony=use_harmony))

    digest = {"count": 3, "blake2b": PromptDigest().extend([1, 2, 3]).hexdigest()}
    assert body == {"text": "hi", "choices": [], "prompt_token_ids": None, "prompt_digest": digest}


@pytest.mark.parametrize("echo", [{}, {"prompt_echo": "ids"}, {"prompt_echo": None}])
async def test_unless_asked_otherwise_the_answer_is_vllms_own(echo: dict[str, Any]) -> None:
    assert await body_after({"tokens": [1, 2, 3], **echo}) == {
        "text": "hi",
        "choices": [],
        "prompt_token_ids": [1, 2, 3],
    }


async def test_where_vllm_renders_a_copy_of_the_request_the_digest_is_there_all_the_same() -> None:
    body = await body_after({"tokens": [1, 2, 3], "prompt_echo": "digest"}, copied=True)

    assert body["prompt_digest"]["count"] == 3


async def test_without_a_prompt_there_is_no_digest_of_it() -> None:
    body = await body_after({"tokens": [1, 2, 3], "prompt_echo": "digest"}, chat=make_chat(lost_tokens=1))

    assert "prompt_digest" not in body


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"prompt_echo": "both"}, 'prompt_echo must be "ids" or "digest", got \'both\''),
        ({"prompt_echo": ["ids"]}, 'prompt_echo must be "ids" or "digest", got [\'ids\']'),
        ({"prompt_echo": "digest", "stream": True}, 'prompt_echo "digest" cannot be streamed'),
    ],
)
async def test_an_echo_that_cannot_be_given_is_a_bad_request_that_names_the_field(
    fields: dict[str, Any], message: str
) -> None:
    answer = await render({"tokens": [1], **fields})

    error = {**answer.error, "message": answer.error["message"].partition(":")[0]}
    assert error == {"message": message, "type": "BadRequestError", "param": "prompt_echo", "code": 400}


@pytest.mark.parametrize("messages", [[], None, "junk", [{"role": "user", "content": ["not text"]}]])
async def test_messages_are_not_looked_at(messages: object) -> None:
    request = TokensRequest(tokens=[1], messages=messages, add_generation_prompt=False)

    assert request.messages == []
    assert request.add_generation_prompt  # else vLLM would take the answer's role from the last message


async def test_vllms_own_refusal_is_passed_on() -> None:
    answer = await render({"tokens": [1], "model": "other"})

    assert answer.error["code"] == 404


async def test_a_prompt_that_does_not_fit_fails_in_vllms_own_words() -> None:
    with pytest.raises(ValueError, match="maximum context length is 64 tokens"):
        await render({"tokens": [1] * (CONTEXT_TOKENS + 1)})


async def test_other_ids_than_sent_are_a_server_error_and_nothing_is_generated() -> None:
    answer = await render({"tokens": [1, 2, 3]}, chat=make_chat(lost_tokens=1))

    assert answer.error["code"] == 500
    assert "[2] tokens that differs from the 3 sent" in answer.error["message"]


def test_the_vocabulary_is_the_larger_of_the_models_and_the_tokenizers() -> None:
    online_renderer = make_chat().online_renderer
    assert vocabulary_size(online_renderer) == 100

    online_renderer.renderer.tokenizer = SimpleNamespace(max_token_id=119)
    assert vocabulary_size(online_renderer) == 120

    online_renderer.renderer.tokenizer = None
    assert vocabulary_size(online_renderer) == 100


def test_a_handler_of_another_shape_is_named_with_the_version() -> None:
    with pytest.raises(TypeError, match=r"vLLM 0\.32\.0 has no render_chat_request"):
        tokens_handler(object(), error_response=ErrorResponse, tokens_input=tokens_input, vllm_version="0.32.0")
