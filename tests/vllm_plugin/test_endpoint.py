"""The route around the handler: where it is attached, and what it answers when there is no handler.

The parts of vLLM and FastAPI are small working stand-ins; the real ones are behind the contract tests.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse

from verifiers_tito.vllm_plugin.compat import VLLM
from verifiers_tito.vllm_plugin.endpoint import ChatTokensPlugin
from verifiers_tito.vllm_plugin.prompt_tail import TailStream
from verifiers_tito.wire.answers import TokenRouteCapabilities
from verifiers_tito.wire.routes import CHAT_TOKENS


class ChatRequest(BaseModel):
    messages: list[dict[str, str]]


class ChatResponse(BaseModel):
    text: str
    choices: list[Any] = []
    prompt_token_ids: list[int] | None = None


class ErrorInfo(BaseModel):
    message: str
    code: int


class ErrorResponse(BaseModel):
    error: ErrorInfo


async def keep_alive(stream: AsyncIterator[str], interval_seconds: float) -> AsyncIterator[str]:
    async for event in stream:
        yield f"{event} every {interval_seconds}"


def make_plugin(detokenizer: Any = None) -> ChatTokensPlugin:
    vllm = VLLM(
        version="0.32.0",
        chat_request=ChatRequest,
        chat_response=ChatResponse,
        error_response=ErrorResponse,
        tokens_input=lambda ids, *, cache_salt: {"prompt_token_ids": ids},
        validate_json_request=lambda raw_request: None,
        with_cancellation=lambda function: function,
        load_aware_call=lambda function: function,
        load_metrics_header=lambda wanted: {"endpoint-load-metrics": wanted} if wanted else None,
        sse_keep_alive=keep_alive,
        depends=lambda dependency: dependency,
        request=Request,
        json_response=JSONResponse,
        streaming_response=StreamingResponse,
        detokenizer=detokenizer,
    )
    return ChatTokensPlugin(vllm=vllm)


@dataclass
class App:
    """Holds the routes that a plugin adds, by method, and calls them."""

    state: Any = field(default_factory=lambda: SimpleNamespace(args=SimpleNamespace(sse_keep_alive_interval=5)))
    routes: dict[str, Any] = field(default_factory=dict)

    def add_api_route(self, path: str, endpoint: Any, **options: Any) -> None:
        assert path == CHAT_TOKENS
        (method,) = options["methods"]
        self.routes[method] = SimpleNamespace(endpoint=endpoint, **options)

    @property
    def body_class(self) -> Any:
        return inspect.signature(self.routes["POST"].endpoint).parameters["request"].annotation

    async def post(self, **headers: str) -> Any:
        raw_request = SimpleNamespace(app=self, headers=headers)
        return await self.routes["POST"].endpoint(request=self.body_class(tokens=[1]), raw_request=raw_request)

    async def get(self) -> Any:
        return await self.routes["GET"].endpoint(raw_request=SimpleNamespace(app=self, headers={}))


@dataclass
class Chat:
    """A chat handler that always gives the same answer."""

    answer: Any
    online_renderer: Any = field(
        default_factory=lambda: SimpleNamespace(
            model_config=SimpleNamespace(get_vocab_size=lambda: 10),
            renderer=SimpleNamespace(tokenizer=None, render_cmpl_async=None),
        )
    )

    async def render_chat_request(self, request: Any) -> Any:
        raise NotImplementedError

    async def create_chat_completion(self, request: Any, raw_request: Any) -> Any:
        return self.answer


async def started_app(chat: Any, *, engine_client: Any = "an engine", detokenizer: Any = None) -> App:
    app = App()
    app.state.openai_serving_chat = chat
    plugin = make_plugin(detokenizer)
    plugin.attach_router(app)
    await plugin.init_state(engine_client, app.state, app.state.args)
    return app


def test_the_route_is_a_guarded_post_whose_body_is_a_chat_completion_with_tokens() -> None:
    app = App()
    make_plugin().attach_router(app)

    assert len(app.routes["POST"].dependencies) == 1
    assert issubclass(app.body_class, ChatRequest)
    assert app.body_class(tokens=[1, 2]).tokens == [1, 2]


@pytest.mark.parametrize("method", ["post", "get"])
async def test_before_the_engine_is_up_the_route_says_so(method: str) -> None:
    app = App()
    make_plugin().attach_router(app)

    answer = await getattr(app, method)()

    assert answer.status_code == 501
    assert "still starting" in json.loads(answer.body)["error"]["message"]


@pytest.mark.parametrize(
    ("chat", "engine_client", "reason"),
    [
        (Chat(answer=None), None, "has no engine"),
        (None, "an engine", "does not support chat completions"),
        (object(), "an engine", "object of vLLM 0.32.0 has no render_chat_request"),
    ],
)
@pytest.mark.parametrize("method", ["post", "get"])
async def test_a_server_that_cannot_serve_the_route_starts_and_says_why(
    method: str, chat: Any, engine_client: Any, reason: str
) -> None:
    app = await started_app(chat, engine_client=engine_client)

    answer = await getattr(app, method)()

    error = json.loads(answer.body)["error"]
    assert (answer.status_code, error["code"], error["type"]) == (501, 501, "NotImplementedError")
    assert error["message"].startswith(f"{CHAT_TOKENS} is not available: ")
    assert reason in error["message"]


async def test_the_chat_routes_own_handler_is_left_as_it_was() -> None:
    chat = Chat(answer=None)

    await started_app(chat)

    assert "render_chat_request" not in vars(chat)


class Detokenizer:
    """vLLM's module, as far as it makes a stream of text for a prompt of a thousand ids."""

    def __init__(self) -> None:
        self.tokenizers = SimpleNamespace(decoders=SimpleNamespace(DecodeStream=dict))

    def stream(self) -> Any:
        return self.tokenizers.decoders.DecodeStream(ids=[0] * 1000, skip_special_tokens=True)


@pytest.mark.parametrize("answer", [ChatResponse(text="4"), KeyError("a fault of the engine's")])
async def test_only_within_the_handler_is_text_begun_behind_the_tail_of_a_prompt(answer: Any) -> None:
    detokenizer, within = Detokenizer(), []

    class Texts(Chat):
        async def create_chat_completion(self, request: Any, raw_request: Any) -> Any:
            within.append(type(detokenizer.stream()))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    app = await started_app(Texts(answer=answer), detokenizer=detokenizer)
    with suppress(KeyError):
        await app.post()

    assert within == [TailStream]
    assert type(detokenizer.stream()) is dict


async def test_the_text_of_a_streamed_answer_is_begun_behind_the_tail_too() -> None:
    detokenizer = Detokenizer()

    async def events() -> AsyncIterator[str]:
        yield type(detokenizer.stream()).__name__

    app = await started_app(Chat(answer=events()), detokenizer=detokenizer)
    answer = await app.post()

    assert [event async for event in answer.body_iterator] == ["TailStream every 5.0"]


async def test_a_server_without_the_route_keeps_its_detokenizer() -> None:
    detokenizer = Detokenizer()
    await started_app(None, detokenizer=detokenizer)
    assert detokenizer.tokenizers.decoders.DecodeStream is dict


async def test_an_error_of_the_handler_keeps_its_status() -> None:
    app = await started_app(Chat(answer=ErrorResponse(error=ErrorInfo(message="no such model", code=404))))

    answer = await app.post()

    assert answer.status_code == 404
    assert json.loads(answer.body)["error"]["message"] == "no such model"


async def test_a_completion_is_answered_with_the_load_header_that_was_asked_for() -> None:
    app = await started_app(Chat(answer=ChatResponse(text="hi")))

    answer = await app.post(**{"endpoint-load-metrics-format": "json"})

    assert json.loads(answer.body) == {"text": "hi", "choices": [], "prompt_token_ids": None}
    assert answer.headers["endpoint-load-metrics"] == "json"


async def test_a_get_tells_what_was_found_about_the_server() -> None:
    app = await started_app(Chat(answer=None))

    answer = await app.get()

    told = msgspec.json.decode(answer.body, type=TokenRouteCapabilities)
    assert (answer.status_code, told.vllm_version, told.prompt_echo) == (200, "0.32.0", ("ids", "digest"))
    assert told.logprobs_mode is None  # of which these stand-ins know nothing


async def test_a_stream_is_passed_on_event_by_event_with_the_servers_keep_alive() -> None:
    async def events() -> AsyncIterator[str]:
        yield "one"
        yield "two"

    app = await started_app(Chat(answer=events()))

    answer = await app.post()

    assert answer.media_type == "text/event-stream"
    assert [event async for event in answer.body_iterator] == ["one every 5.0", "two every 5.0"]
