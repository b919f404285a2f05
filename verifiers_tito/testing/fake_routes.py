"""The fake's HTTP face: routes, key check, and the one place that every request and answer passes.

Flow: key -> route -> `_serve`: read, record, answer, or vLLM's error. What an answer says is made elsewhere.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from verifiers_tito.testing.fake_answers import completion_events, completion_json
from verifiers_tito.testing.fake_bodies import (
    TokenizeTextBody,
    detokenize_body,
    read_json,
    tokenize_body,
)
from verifiers_tito.testing.fake_chat import FakeChat, FakeModel, ServerOptions
from verifiers_tito.testing.fake_errors import RefusalError
from verifiers_tito.testing.fake_sampling import FakeSampling
from verifiers_tito.testing.fake_tokenizer import FakeTokenizer
from verifiers_tito.testing.fake_weights import FakeWeights
from verifiers_tito.testing.scripts import Script
from verifiers_tito.wire.answers import TokenRouteCapabilities
from verifiers_tito.wire.logprobs_form import LogprobsForm
from verifiers_tito.wire.package_version import package_version
from verifiers_tito.wire.prompt_digest import PromptEcho
from verifiers_tito.wire.routes import (
    ABORT,
    CHAT,
    CHAT_TOKENS,
    COMPLETIONS,
    GENERATE,
    HEALTH,
    LOAD_LORA_ADAPTER,
    MODELS,
    OPENAPI,
    TOKENIZE,
    VERSION,
)

FAKED_VERSION = "0.32.0"
_DETOKENIZE = "/detokenize"
_SAMPLING = (CHAT, CHAT_TOKENS, COMPLETIONS, GENERATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """A request as it arrived. The body is decoded JSON, None where there was none that can be decoded."""

    method: str
    path: str
    body: Any
    headers: dict[str, str]


class FakeApp:
    """The ASGI application of a fake. `requests` grows with every request that found a route and had the key."""

    def __init__(
        self,
        *,
        model: FakeModel,
        tokenizer: FakeTokenizer,
        chat: FakeChat,
        options: ServerOptions,
        api_key: str | None,
        token_route: bool,
        completions_route: bool,
        scale_out: bool,
        weight_updates: bool,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._chat = chat
        self._sampling = FakeSampling(chat, tokenizer)
        self._options = options
        self.requests: list[RecordedRequest] = []
        posts: dict[str, Callable[[Request, Any], Response]] = {
            CHAT: self._complete,
            TOKENIZE: self._tokenize,
            _DETOKENIZE: self._detokenize,
        }
        gets: dict[str, Callable[[Request, Any], Response]] = {
            HEALTH: lambda request, body: Response(),
            VERSION: lambda request, body: JSONResponse({"version": FAKED_VERSION}),
            MODELS: self._models,
        }
        if token_route:
            posts[CHAT_TOKENS] = self._complete
            gets[CHAT_TOKENS] = self._describe_token_route
        if completions_route:
            posts[COMPLETIONS] = self._sample
        if scale_out:
            posts[GENERATE] = self._sample
            posts[ABORT[0]] = _abort
        if weight_updates:
            weights = chat.weights
            posts |= {path: _answering(answer) for path, answer in weights.posts.items()}
            gets |= {path: _answering(answer) for path, answer in weights.gets.items()}
            posts[LOAD_LORA_ADAPTER] = lambda request, body: PlainTextResponse(weights.load_adapter(body))
        described = _description({"get": gets, "post": posts})  # which leaves itself out
        gets[OPENAPI] = lambda request, body: JSONResponse(described)
        self.asgi = Starlette(
            routes=[Route(path, self._serving(answer), methods=["POST"]) for path, answer in posts.items()]
            + [Route(path, self._serving(answer), methods=["GET"]) for path, answer in gets.items()],
            middleware=[] if api_key is None else [Middleware(_KeyCheck, api_key=api_key)],
            exception_handlers={HTTPException: _detail},
        )

    @property
    def weights(self) -> FakeWeights:
        return self._chat.weights

    def start_over(self, script: Script) -> None:
        self.requests.clear()
        self._chat.play(script)

    def _serving(self, answer: Callable[[Request, Any], Response]) -> Callable[[Request], Any]:
        async def serve(request: Request) -> Response:
            return await self._serve(request, answer)

        return serve

    async def _serve(self, request: Request, answer: Callable[[Request, Any], Response]) -> Response:
        """Every request and every answer passes here."""
        raw = await request.body()
        try:
            body = None
            if request.method == "POST":
                body = read_json(raw, content_type=request.headers.get("content-type", ""))
            self._record(request, body)
            if request.method == "POST" and request.url.path in _SAMPLING:
                await self._chat.weights.wait_until_running()
            return answer(request, body)
        except RefusalError as refusal:
            # A script that fails once fails again: OpenAI's package would try a 500 for a minute.
            headers = {"x-should-retry": "false"} if refusal.status == 500 else None
            return JSONResponse(refusal.body(), status_code=refusal.status, headers=headers)

    def _record(self, request: Request, body: Any) -> None:
        headers = {name: value for name, value in request.headers.items() if name != "authorization"}
        self.requests.append(RecordedRequest(method=request.method, path=request.url.path, body=body, headers=headers))

    def _complete(self, request: Request, body: Any) -> Response:
        answer = self._chat.answer(body, path=request.url.path, request_id=request.headers.get("x-request-id"))
        if answer.body.stream:
            return StreamingResponse(completion_events(answer, self._tokenizer), media_type="text/event-stream")
        return JSONResponse(completion_json(answer, self._tokenizer))

    def _sample(self, request: Request, body: Any) -> Response:
        answer = self._sampling.generate if request.url.path == GENERATE else self._sampling.complete
        return JSONResponse(answer(body, request_id=request.headers.get("x-request-id")))

    def _describe_token_route(self, request: Request, body: Any) -> Response:
        capabilities = TokenRouteCapabilities(
            plugin_version=package_version(),
            vllm_version=FAKED_VERSION,
            model=self._model.name,
            max_model_len=self._model.max_model_len,
            tool_call_parser=self._options.tool_call_parser,
            reasoning_parser=self._options.reasoning_parser,
            logprobs_mode="raw_logprobs",  # vLLM's default
            prompt_echo=tuple(str(echo) for echo in PromptEcho),
            logprobs_form=tuple(str(form) for form in LogprobsForm),
            vocabulary_size=self._tokenizer.vocabulary_size,
        )
        return JSONResponse(msgspec.to_builtins(capabilities))

    def _tokenize(self, request: Request, body: Any) -> Response:
        wanted = tokenize_body(body)
        self._chat.check_model(wanted.model)
        if isinstance(wanted, TokenizeTextBody):
            tokens = self._tokenizer.encode(wanted.prompt, add_special_tokens=wanted.add_special_tokens)
        else:
            tokens = self._chat.render(wanted)
        return JSONResponse(
            {
                "count": len(tokens),
                "max_model_len": self._model.max_model_len,
                "tokens": tokens,
                "token_strs": self._tokenizer.names(tokens) if wanted.return_token_strs else None,
            }
        )

    def _detokenize(self, request: Request, body: Any) -> Response:
        wanted = detokenize_body(body)
        self._chat.check_model(wanted.model)
        return JSONResponse({"prompt": self._tokenizer.decode(wanted.tokens)})

    def _models(self, request: Request, body: Any) -> Response:
        created = int(time.time())
        permission = {
            "id": f"modelperm-{secrets.token_hex(8)}",
            "object": "model_permission",
            "created": created,
            "allow_create_engine": False,
            "allow_sampling": True,
            "allow_logprobs": True,
            "allow_search_indices": False,
            "allow_view": True,
            "allow_fine_tuning": False,
            "organization": "*",
            "group": None,
            "is_blocking": False,
        }
        card = {
            "id": self._model.name,
            "object": "model",
            "created": created,
            "owned_by": "vllm",
            "root": str(self._model.folder) if self._options.names_files else None,
            "parent": None,
            "max_model_len": self._model.max_model_len,
            "permission": [permission],
        }
        adapters = self._chat.weights.adapters.items()
        beside = [
            {**card, "id": name, "root": path, "parent": self._model.name, "max_model_len": None}
            for name, path in adapters
        ]
        return JSONResponse({"object": "list", "data": [card, *beside]})


def _abort(request: Request, body: Any) -> Response:
    """Nothing is under way here that could be given up: an answer is made in one piece."""
    if body.get("request_ids") is None:
        raise RefusalError("Missing 'request_ids' in request body", type_="Bad Request")
    return Response()


def _answering(answer: Callable[[Any], dict[str, Any]]) -> Callable[[Request, Any], Response]:
    return lambda request, body: JSONResponse(answer(body))


def _description(paths_by_method: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    """The list of routes that FastAPI makes for vLLM, without their parameters."""
    paths: dict[str, dict[str, Any]] = {}
    for method, listed in paths_by_method.items():
        for path in listed:
            paths.setdefault(path, {})[method] = {}
    return {"openapi": "3.1.0", "info": {"title": "FastAPI", "version": "0.1.0"}, "paths": paths, "components": {}}


class _KeyCheck:
    """vLLM guards what begins so, whether it exists or not, and nothing else."""

    prefixes = ("/v1", "/v2", "/inference", "/cohere")

    def __init__(self, app: ASGIApp, api_key: str) -> None:
        self._app = app
        self._api_key = api_key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(self.prefixes) and not self._has_key(scope):
            await JSONResponse({"error": "Unauthorized"}, status_code=401)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _has_key(self, scope: Scope) -> bool:
        scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and secrets.compare_digest(key.encode(), self._api_key)


async def _detail(request: Request, exc: Exception) -> Response:
    """404 and 405 of the web framework do not have vLLM's error shape."""
    if not isinstance(exc, HTTPException):
        raise exc
    return JSONResponse({"detail": exc.detail}, status_code=exc.status_code, headers=exc.headers)
