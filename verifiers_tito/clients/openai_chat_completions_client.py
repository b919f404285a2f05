"""Messages in, a message out, through any OpenAI-compatible server."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam, ChatCompletionToolParam

from verifiers_tito.clients.answer_checks import check_not_aborted
from verifiers_tito.clients.client import Client
from verifiers_tito.clients.introduction import served_models
from verifiers_tito.clients.metrics import ClientMetrics, TurnCounts
from verifiers_tito.clients.native_completion import NativeCompletion, answer_of, native_completion
from verifiers_tito.clients.native_messages import to_native_message, to_native_messages, to_native_tool
from verifiers_tito.errors import EmptyModelResponseError, Error, InvalidModelResponseError
from verifiers_tito.transport import (
    AUTHENTICATION_ERRORS,
    Fleet,
    ModelNotServedError,
    RetryBudget,
    Server,
    Traffic,
    connect,
    decode,
    servers_of,
)
from verifiers_tito.types import (
    ClientConfig,
    FallbackReason,
    Messages,
    Response,
    ResponseMessage,
    Route,
    SamplingArgs,
    Served,
    Tool,
    ToolCall,
    TurnTokens,
    Usage,
)
from verifiers_tito.wire import routes
from verifiers_tito.wire.answers import ChatAnswer, ChoiceAnswer, UsageAnswer
from verifiers_tito.wire.requests import binds_sampling, chat_body, extra_headers, flatten_sampling_args
from verifiers_tito.wire.sampling_fields import unknown_names

OpenAIChatMessage = ChatCompletionMessageParam
OpenAIChatMessages = list[OpenAIChatMessage]
OpenAIChatResponse = ChatCompletion
OpenAITool = ChatCompletionToolParam

_FINISHES = ("stop", "length", "tool_calls")


class OpenAIChatCompletionsClient(Client[AsyncOpenAI, OpenAIChatMessages, OpenAIChatResponse, OpenAITool]):
    """Renders nothing and keeps nothing: every turn sends the whole conversation.

    Raises `OverlongPromptError`, `EmptyModelResponseError`, `InvalidModelResponseError`, other `ModelError`s with
    the server's words, and the provider's own authentication errors.
    """

    authentication_errors = AUTHENTICATION_ERRORS

    def __init__(self, client_or_config: AsyncOpenAI | ClientConfig) -> None:
        super().__init__(client_or_config)
        config = self.config or ClientConfig()
        self._traffic, self._counts = Traffic(), TurnCounts()
        self._told_unknown: set[str] = set()
        self.fleet = Fleet(
            servers_of(self.client, config, traffic=self._traffic),
            session_header=config.session_header,
            data_parallel_size=config.data_parallel_size,
        )

    def setup_client(self, config: ClientConfig) -> AsyncOpenAI:
        return connect(config)

    def metrics(self) -> ClientMetrics:
        """What was done so far, as numbers."""
        return self._counts.snapshot(self._traffic)

    async def close(self) -> None:
        await self.fleet.close()
        if self.config is not None:
            await self.client.close()

    async def to_native_prompt(self, messages: Messages) -> tuple[OpenAIChatMessages, dict[str, Any]]:
        return [cast(OpenAIChatMessage, to_native_message(message)) for message in messages], {}

    async def to_native_tool(self, tool: Tool) -> OpenAITool:
        return cast(OpenAITool, to_native_tool(tool))

    async def get_native_response(
        self,
        prompt: OpenAIChatMessages,
        model: str,
        sampling_args: SamplingArgs,
        tools: list[OpenAITool] | None = None,
        **kwargs: Any,
    ) -> OpenAIChatResponse:
        """One POST to `/chat/completions`. Takes `extra_headers`; other keywords are for subclasses."""
        fields = self.fields_of(sampling_args)
        body = chat_body(
            model=model,
            messages=to_native_messages(cast(Any, prompt)),
            tools=cast(list[dict[str, Any]] | None, tools),
            fields=fields,
        )
        state = kwargs.get("state") or {}
        served = Served(route=Route.CHAT, reason=FallbackReason.MESSAGES_ONLY, under_grammar=binds_sampling(fields))
        headers = self.headers_of(state, sampling_args, kwargs.get("extra_headers"))
        budget = self.retry_budget(state)

        async def complete(server: Server) -> NativeCompletion:
            return await self._complete(server, routes.CHAT, body, served=served, headers=headers, budget=budget)

        return await self._take_turn(state, budget, complete)

    async def raise_from_native_response(self, response: OpenAIChatResponse) -> None:
        with self._counts.counting_failures():
            self._refuse(response)

    async def from_native_response(self, response: OpenAIChatResponse) -> Response:
        answer = answer_of(response)
        served = response.served if isinstance(response, NativeCompletion) else None
        with self._counts.counting_failures():
            return to_response(answer, served or Served(route=Route.CHAT, reason=FallbackReason.MESSAGES_ONLY))

    def _refuse(self, response: OpenAIChatResponse) -> None:
        """Raises for an answer that is no completion."""
        choices = answer_of(response).choices
        if not choices:
            raise EmptyModelResponseError(f"the answer {response.id} holds no choice")
        if len(choices) > 1:
            raise InvalidModelResponseError(f"the answer holds {len(choices)} choices, a turn takes one")
        choice, message = choices[0], choices[0].message
        if choice.finish_reason not in _FINISHES:
            raise InvalidModelResponseError(
                f"the turn ended with finish_reason {choice.finish_reason!r}, which is no completion "
                f"(completions end with {', '.join(_FINISHES)})"
            )
        if not (message.content or message.tool_calls or _reasoning(choice) or choice.token_ids):
            raise EmptyModelResponseError("the answer holds no text, reasoning, tool call or token")

    def retry_budget(self, state: dict[str, Any]) -> RetryBudget:
        """The rollout's, kept in its state as `_retry_budget`."""
        if "_retry_budget" not in state:
            config = self.config or ClientConfig()
            state["_retry_budget"] = RetryBudget(left=config.max_retries_per_rollout)
        return cast(RetryBudget, state["_retry_budget"])

    def fields_of(self, sampling_args: Mapping[str, Any]) -> dict[str, Any]:
        """Sampling arguments as fields of a request. Says once of a name that no server is known to read it."""
        fields = flatten_sampling_args(sampling_args)
        for name in unknown_names(fields):
            if name not in self._told_unknown:
                self._told_unknown.add(name)
                self.logger.warning("servers pass over what they do not know, such as the sampling argument %s", name)
        return fields

    def headers_of(
        self, state: dict[str, Any], sampling_args: SamplingArgs, extra: dict[str, str] | None
    ) -> dict[str, str]:
        """Of all of a turn's requests: the rollout's mark for routers, then what the caller wants."""
        return {**self.fleet.headers_of(state), **extra_headers(sampling_args), **(extra or {})}

    async def _take_turn(
        self,
        state: dict[str, Any],
        budget: RetryBudget,
        complete: Callable[[Server], Awaitable[NativeCompletion]],
    ) -> NativeCompletion:
        """One turn on the rollout's server, or on the one that takes its place. It is counted."""
        used, started = budget.used, time.perf_counter()

        async def take(server: Server) -> NativeCompletion:
            with server.taking_a_turn():
                return await complete(server)

        with self._counts.counting_failures():
            completion = await self.fleet.run(take, choose=lambda: self.fleet.server_of(state), budget=budget)
        if budget.used > used:
            completion.note(retries=budget.used - used)
        self._count(completion, seconds=time.perf_counter() - started)
        return completion

    def _count(self, completion: NativeCompletion, *, seconds: float) -> None:
        usage = completion.answer.usage or UsageAnswer()
        if usage.prompt_tokens_details is not None:
            completion.note(cached_ids=usage.prompt_tokens_details.cached_tokens)
        self._counts.answered(
            completion.served,
            prompt_ids=usage.prompt_tokens,
            sampled_ids=usage.completion_tokens or 0,
            seconds=seconds,
        )

    async def _complete(
        self,
        server: Server,
        path: str,
        body: dict[str, Any],
        *,
        served: Served,
        headers: dict[str, str] | None,
        budget: RetryBudget | None = None,
    ) -> NativeCompletion:
        """A chat completion by one of the routes that answer with one."""
        answer_body = await self._send(server, path, body, headers=headers, budget=budget)
        answer = decode(answer_body, ChatAnswer, operation=f"POST {path}")
        return native_completion(answer_body, answer, served)

    async def _send(
        self,
        server: Server,
        path: str,
        body: dict[str, Any],
        *,
        headers: dict[str, str] | None,
        budget: RetryBudget | None,
    ) -> bytes:
        """What the server answers, unless it has aborted the turn."""
        try:
            return await server.post(path, body, headers=headers, budget=budget, check=check_not_aborted)
        except ModelNotServedError as error:
            raise ModelNotServedError(f"{error} {await _served_names(server)}") from error


async def _served_names(server: Server) -> str:
    """A sentence, for whoever asked for another model."""
    try:
        models = await served_models(server)
    except (Error, *AUTHENTICATION_ERRORS):
        return f"(what the server at {server.shown_url} serves, it does not say)"
    return f"The server at {server.shown_url} serves {', '.join(model.id for model in models) or 'no model'}."


def to_response(answer: ChatAnswer, served: Served) -> Response:
    """The first choice of `answer` as a `Response`; its ids are there if the server sent them."""
    choice = answer.choices[0]
    calls = choice.message.tool_calls or []
    message = ResponseMessage(
        content=choice.message.content,
        reasoning_content=_reasoning(choice),
        tool_calls=[ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments) for call in calls]
        or None,
        finish_reason=cast(Any, choice.finish_reason),
        is_truncated=choice.finish_reason == "length",
        tokens=_turn_tokens(answer, choice),
    )
    return Response(
        id=answer.id,
        created=answer.created,
        model=answer.model,
        message=message,
        usage=_usage(answer.usage),
        stop_reason=choice.stop_reason,
        served=served,
    )


def _reasoning(choice: ChoiceAnswer) -> str | None:
    return choice.message.reasoning if choice.message.reasoning is not None else choice.message.reasoning_content


def _turn_tokens(answer: ChatAnswer, choice: ChoiceAnswer) -> TurnTokens | None:
    """The turn's ids; None where the server sent none, an error where they do not fit to its counts or to the
    log-probabilities."""
    if answer.prompt_token_ids is None or choice.token_ids is None:
        return None
    counted = answer.usage.prompt_tokens if answer.usage else 0
    if counted and counted != len(answer.prompt_token_ids):
        raise InvalidModelResponseError(
            f"the answer echoes {len(answer.prompt_token_ids)} prompt ids and counts {counted} prompt tokens"
        )
    logprobs = choice.completion_logprobs
    if logprobs is None:
        logprobs = [entry.logprob for entry in (choice.logprobs.content if choice.logprobs else None) or ()]
    return TurnTokens(prompt_ids=answer.prompt_token_ids, completion_ids=choice.token_ids, completion_logprobs=logprobs)


def _usage(usage: UsageAnswer | None) -> Usage | None:
    if usage is None:
        return None
    details = usage.completion_tokens_details
    return Usage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens or 0,
        total_tokens=usage.total_tokens,
        reasoning_tokens=(details.reasoning_tokens if details else None) or 0,
    )
