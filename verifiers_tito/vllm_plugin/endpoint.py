"""The plugin object that vLLM holds, and its route.

Flow: vLLM calls `plugin()`, then `attach_router(app)` while it builds the app, then `init_state(...)` once
the engine is up; from then on a POST is handed to the handler made in `verifiers_tito.vllm_plugin.serving`, and a
GET is answered with what `verifiers_tito.vllm_plugin.capabilities` found. Both lie under /v1, where vLLM's own key
guards them. It knows vLLM's classes only by the names in `compat.VLLM`, and nothing about token ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from verifiers_tito.vllm_plugin.answering import answering, completion_body
from verifiers_tito.vllm_plugin.capabilities import find_capabilities
from verifiers_tito.vllm_plugin.compat import VLLM, load_vllm
from verifiers_tito.vllm_plugin.prompt_tail import behind_the_tail, install, streamed_behind_the_tail
from verifiers_tito.vllm_plugin.serving import error_body, tokens_handler, tokens_request_class
from verifiers_tito.wire.answers import TokenRouteCapabilities
from verifiers_tito.wire.routes import CHAT_TOKENS

_STATE_NAME = "verifiers_tito_chat_tokens"
_LOAD_FORMAT_HEADER = "endpoint-load-metrics-format"


def plugin() -> ChatTokensPlugin:
    """The entry point. vLLM logs the `ConfigError` of an unknown version and serves without the route."""
    return ChatTokensPlugin(vllm=load_vllm())


class ChatTokensPlugin:
    """Adds POST and GET `/v1/chat/completions/tokens` to a server. Satisfies vLLM's `EndpointPlugin` protocol."""

    name = "verifiers_tito"
    required_tasks = ("generate",)

    def __init__(self, *, vllm: VLLM) -> None:
        self._vllm = vllm

    def attach_router(self, app: Any) -> None:
        """Adds the route, guarded and documented like the chat route, and its description."""
        error = {"model": self._vllm.error_response}
        responses = {
            200: {"content": {"text/event-stream": {}}},
            **dict.fromkeys((400, 404, 500, 501), error),
        }
        app.add_api_route(
            CHAT_TOKENS,
            _route(self._vllm),
            methods=["POST"],
            dependencies=[self._vllm.depends(self._vllm.validate_json_request)],
            responses=responses,
        )
        app.add_api_route(CHAT_TOKENS, _description(self._vllm), methods=["GET"], responses={501: error})

    async def init_state(self, engine_client: Any, state: Any, args: Any) -> None:
        """Prepares the handler. A server that cannot serve the route still starts, and the route says why."""
        setattr(state, _STATE_NAME, self._service(engine_client, state, args))

    def _service(self, engine_client: Any, state: Any, args: Any) -> _Service | _Unavailable:
        chat = getattr(state, "openai_serving_chat", None)
        if engine_client is None:
            return _Unavailable("this server only renders, it has no engine")
        if chat is None:
            return _Unavailable("the served model does not support chat completions")
        vllm = self._vllm
        try:
            handler = tokens_handler(
                chat, error_response=vllm.error_response, tokens_input=vllm.tokens_input, vllm_version=vllm.version
            )
        except TypeError as exc:
            return _Unavailable(str(exc))
        install(vllm.detokenizer)
        found = find_capabilities(vllm_version=vllm.version, chat=chat, engine_client=engine_client, args=args)
        return _Service(handler=handler, capabilities=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    """What the route works with from the server's start on."""

    handler: Any
    capabilities: TokenRouteCapabilities


class _Unavailable:
    """Stands where the service would, and says why there is none."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def http_answer(self, vllm: VLLM) -> Any:
        message = f"{CHAT_TOKENS} is not available: {self.reason}"
        body = error_body(message, param=None, type_="NotImplementedError", code=501)
        # OpenAI's package tries every 5xx again; there is nothing to wait for here.
        return vllm.json_response(content=body, status_code=501, headers={"x-should-retry": "false"})


def _route(vllm: VLLM) -> Any:
    """The route's function. Its annotations are values, because FastAPI reads the body's class from them."""

    async def create_chat_completion_from_tokens(request: Any, raw_request: Any) -> Any:
        service = _service_of(raw_request)
        if isinstance(service, _Unavailable):
            return service.http_answer(vllm)
        with behind_the_tail():
            answer = await answering(service.handler, request).create_chat_completion(request, raw_request)
        return _http_answer(vllm, answer, request=request, raw_request=raw_request)

    create_chat_completion_from_tokens.__annotations__ = {
        "request": tokens_request_class(vllm.chat_request),
        "raw_request": vllm.request,
    }
    return vllm.with_cancellation(vllm.load_aware_call(create_chat_completion_from_tokens))


def _description(vllm: VLLM) -> Any:
    """The function that describes the route: a client asks before its first turn what it may send."""

    async def get_token_route_capabilities(raw_request: Any) -> Any:
        service = _service_of(raw_request)
        if isinstance(service, _Unavailable):
            return service.http_answer(vllm)
        return vllm.json_response(content=msgspec.to_builtins(service.capabilities))

    get_token_route_capabilities.__annotations__ = {"raw_request": vllm.request}
    return get_token_route_capabilities


def _service_of(raw_request: Any) -> _Service | _Unavailable:
    service: _Service | _Unavailable = getattr(
        raw_request.app.state, _STATE_NAME, _Unavailable("the server is still starting")
    )
    return service


def _http_answer(vllm: VLLM, answer: Any, *, request: Any, raw_request: Any) -> Any:
    """What the chat route makes of its handler's answer: an error, a completion, or a stream of events."""
    if isinstance(answer, vllm.error_response):
        return vllm.json_response(content=answer.model_dump(), status_code=answer.error.code)
    if isinstance(answer, vllm.chat_response):
        headers = vllm.load_metrics_header(raw_request.headers.get(_LOAD_FORMAT_HEADER, ""))
        return vllm.json_response(content=completion_body(answer, request), headers=headers)
    arguments = getattr(raw_request.app.state, "args", None)
    interval_seconds = float(getattr(arguments, "sse_keep_alive_interval", 0))
    events = streamed_behind_the_tail(answer)
    return vllm.streaming_response(
        content=vllm.sse_keep_alive(events, interval_seconds), media_type="text/event-stream"
    )
