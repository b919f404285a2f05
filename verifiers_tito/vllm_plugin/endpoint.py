"""The plugin object that vLLM holds, and its route.

Flow: vLLM calls `plugin()`, then `attach_router(app)` while it builds the app, then `init_state(...)` once
the engine is up; from then on the route hands each request to the handler made in
`verifiers_tito.vllm_plugin.serving`. It knows vLLM's classes only by the names in `compat.VLLM`, and nothing
about token ids.
"""

from __future__ import annotations

from typing import Any

from verifiers_tito.vllm_plugin.compat import VLLM, load_vllm
from verifiers_tito.vllm_plugin.serving import error_body, tokens_handler, tokens_request_class
from verifiers_tito.wire.routes import CHAT_TOKENS

_STATE_NAME = "verifiers_tito_chat_tokens"
_LOAD_FORMAT_HEADER = "endpoint-load-metrics-format"


def plugin() -> ChatTokensPlugin:
    """The entry point. vLLM logs the `ConfigError` of an unknown version and serves without the route."""
    return ChatTokensPlugin(vllm=load_vllm())


class ChatTokensPlugin:
    """Adds `POST /v1/chat/completions/tokens` to a server. Satisfies vLLM's `EndpointPlugin` protocol."""

    name = "verifiers_tito"
    required_tasks = ("generate",)

    def __init__(self, *, vllm: VLLM) -> None:
        self._vllm = vllm

    def attach_router(self, app: Any) -> None:
        """Adds the route, guarded and documented like the chat route."""
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

    async def init_state(self, engine_client: Any, state: Any, args: Any) -> None:
        """Prepares the handler. A server that cannot serve the route still starts, and the route says why."""
        setattr(state, _STATE_NAME, self._handler(engine_client, state))

    def _handler(self, engine_client: Any, state: Any) -> Any:
        chat = getattr(state, "openai_serving_chat", None)
        if engine_client is None:
            return _Unavailable("this server only renders, it has no engine")
        if chat is None:
            return _Unavailable("the served model does not support chat completions")
        try:
            return tokens_handler(
                chat,
                error_response=self._vllm.error_response,
                tokens_input=self._vllm.tokens_input,
                vllm_version=self._vllm.version,
            )
        except TypeError as exc:
            return _Unavailable(str(exc))


class _Unavailable:
    """Stands where the handler would, and says why there is none."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def _route(vllm: VLLM) -> Any:
    """The route's function. Its annotations are values, because FastAPI reads the body's class from them."""

    async def create_chat_completion_from_tokens(request: Any, raw_request: Any) -> Any:
        handler = getattr(raw_request.app.state, _STATE_NAME, _Unavailable("the server is still starting"))
        if isinstance(handler, _Unavailable):
            message = f"{CHAT_TOKENS} is not available: {handler.reason}"
            body = error_body(message, param=None, type_="NotImplementedError", code=501)
            # OpenAI's package tries every 5xx again; there is nothing to wait for here.
            return vllm.json_response(content=body, status_code=501, headers={"x-should-retry": "false"})
        answer = await handler.create_chat_completion(request, raw_request)
        return _http_answer(vllm, answer, raw_request)

    create_chat_completion_from_tokens.__annotations__ = {
        "request": tokens_request_class(vllm.chat_request),
        "raw_request": vllm.request,
    }
    return vllm.with_cancellation(vllm.load_aware_call(create_chat_completion_from_tokens))


def _http_answer(vllm: VLLM, answer: Any, raw_request: Any) -> Any:
    """What the chat route makes of its handler's answer: an error, a completion, or a stream of events."""
    if isinstance(answer, vllm.error_response):
        return vllm.json_response(content=answer.model_dump(), status_code=answer.error.code)
    if isinstance(answer, vllm.chat_response):
        headers = vllm.load_metrics_header(raw_request.headers.get(_LOAD_FORMAT_HEADER, ""))
        return vllm.json_response(content=answer.model_dump(), headers=headers)
    arguments = getattr(raw_request.app.state, "args", None)
    interval_seconds = float(getattr(arguments, "sse_keep_alive_interval", 0))
    return vllm.streaming_response(
        content=vllm.sse_keep_alive(answer, interval_seconds), media_type="text/event-stream"
    )
