"""Messages in, a message out, through any OpenAI-compatible server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam, ChatCompletionToolParam

from verifiers_tito.clients.client import Client
from verifiers_tito.clients.native_completion import NativeCompletion, answer_of, native_completion
from verifiers_tito.clients.native_messages import to_native_message, to_native_messages, to_native_tool
from verifiers_tito.errors import EmptyModelResponseError, InvalidModelResponseError
from verifiers_tito.transport import AUTHENTICATION_ERRORS, RetryBudget, TurnAbortedError, connect, decode, post
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
from verifiers_tito.wire.requests import chat_body, extra_headers, flatten_sampling_args

OpenAIChatMessage = ChatCompletionMessageParam
OpenAIChatMessages = list[OpenAIChatMessage]
OpenAIChatResponse = ChatCompletion
OpenAITool = ChatCompletionToolParam

CHAT_PATH = routes.CHAT.removeprefix(routes.API_ROOT)
_FINISHES = ("stop", "length", "tool_calls")


class OpenAIChatCompletionsClient(Client[AsyncOpenAI, OpenAIChatMessages, OpenAIChatResponse, OpenAITool]):
    """Renders nothing and keeps nothing: every turn sends the whole conversation.

    Raises `OverlongPromptError`, `EmptyModelResponseError`, `InvalidModelResponseError`, other `ModelError`s with
    the server's words, and the provider's own authentication errors.
    """

    authentication_errors = AUTHENTICATION_ERRORS

    def setup_client(self, config: ClientConfig) -> AsyncOpenAI:
        return connect(config)

    async def close(self) -> None:
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
        body = chat_body(
            model=model,
            messages=to_native_messages(cast(Any, prompt)),
            tools=cast(list[dict[str, Any]] | None, tools),
            fields=flatten_sampling_args(sampling_args),
        )
        served = Served(route=Route.CHAT, reason=FallbackReason.MESSAGES_ONLY)
        headers = {**extra_headers(sampling_args), **(kwargs.get("extra_headers") or {})}
        budget = self.retry_budget(kwargs.get("state") or {})
        used = budget.used
        completion = await self._complete(CHAT_PATH, body, served=served, headers=headers, budget=budget)
        return with_retries(completion, budget.used - used)

    async def raise_from_native_response(self, response: OpenAIChatResponse) -> None:
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

    async def from_native_response(self, response: OpenAIChatResponse) -> Response:
        answer = answer_of(response)
        served = response.served if isinstance(response, NativeCompletion) else None
        return to_response(answer, served or Served(route=Route.CHAT, reason=FallbackReason.MESSAGES_ONLY))

    def retry_budget(self, state: dict[str, Any]) -> RetryBudget:
        """The rollout's, kept in its state as `_retry_budget`."""
        if "_retry_budget" not in state:
            config = self.config or ClientConfig()
            state["_retry_budget"] = RetryBudget(left=config.max_retries_per_rollout)
        return cast(RetryBudget, state["_retry_budget"])

    async def _complete(
        self,
        path: str,
        body: dict[str, Any],
        *,
        served: Served,
        headers: dict[str, str] | None,
        budget: RetryBudget | None = None,
    ) -> NativeCompletion:
        answer_body = await post(self.client, path, body, headers=headers, budget=budget, check=_check_not_aborted)
        answer = decode(answer_body, ChatAnswer, operation=f"POST {path}")
        return native_completion(answer_body, answer, served)


def _check_not_aborted(answer: bytes) -> None:
    """A turn that the server gave up is asked for again. A message may hold the word, too: then the answer is read."""
    if b'"abort"' not in answer:
        return
    if any(choice.finish_reason == "abort" for choice in decode(answer, ChatAnswer, operation="a turn").choices):
        raise TurnAbortedError(
            "the server aborted the turn (finish_reason 'abort'): it is being stopped, or somebody paused it"
        )


def with_retries(completion: NativeCompletion, retries: int) -> NativeCompletion:
    """Notes on `served` how many retries the turn took, on whatever route."""
    if retries:
        completion._served = replace(completion.served, retries=retries)
    return completion


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
    entries = (choice.logprobs.content if choice.logprobs else None) or []
    return TurnTokens(
        prompt_ids=answer.prompt_token_ids,
        completion_ids=choice.token_ids,
        completion_logprobs=[entry.logprob for entry in entries],
    )


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
