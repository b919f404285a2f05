"""OpenAI's `ChatCompletion` over an answer that is already decoded.

`get_native_response` promises a `ChatCompletion`. Its per-token log-probability objects are many and nobody on the
rollout's way reads them, so they are made when somebody asks.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Self

import msgspec
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice, ChoiceLogprobs
from pydantic import PrivateAttr, SerializerFunctionWrapHandler, model_serializer

from verifiers_tito.errors import InvalidModelResponseError
from verifiers_tito.types import Served
from verifiers_tito.wire.answers import ChatAnswer, ChoiceAnswer, UsageAnswer


class LazyChoice(Choice):
    """A choice whose `logprobs` are built from the body on first use."""

    _body: bytes = PrivateAttr(default=b"")
    _position: int = PrivateAttr(default=0)

    def __getattr__(self, name: str) -> Any:
        if name != "logprobs":
            return super().__getattr__(name)  # type: ignore[misc]
        native = json.loads(self._body)["choices"][self._position]
        content = native.get("logprobs") or _spelled_out(native)
        logprobs = None if content is None else ChoiceLogprobs.construct(**content)
        self.__dict__["logprobs"] = logprobs
        return logprobs

    @model_serializer(mode="wrap")
    def _with_logprobs(self, handler: SerializerFunctionWrapHandler) -> Any:
        _ = self.logprobs
        return handler(self)


class NativeCompletion(ChatCompletion):
    """A `ChatCompletion` that also carries the decoded answer and how it was served."""

    _answer: ChatAnswer = PrivateAttr()
    _served: Served = PrivateAttr()

    @property
    def answer(self) -> ChatAnswer:
        return self._answer

    @property
    def served(self) -> Served:
        return self._served

    def note(self, **served: Any) -> Self:
        """Adds to how the turn was served: fields of `Served`."""
        self._served = replace(self._served, **served)
        return self

    def note_prompt(self, prompt_ids: list[int]) -> None:
        """The ids that were sent, where the server proved by their digest that it saw them."""
        self._answer.prompt_token_ids = prompt_ids
        setattr(self, "prompt_token_ids", prompt_ids)  # noqa: B010  a field that OpenAI's class does not declare


def native_completion(body: bytes, answer: ChatAnswer, served: Served) -> NativeCompletion:
    """`answer` was decoded from `body`; the completion keeps both."""
    completion = NativeCompletion.model_construct(
        id=answer.id,
        choices=[_lazy_choice(body, position, choice) for position, choice in enumerate(answer.choices)],
        created=answer.created,
        model=answer.model,
        object="chat.completion",
        usage=_usage(answer.usage) if answer.usage else None,
        prompt_token_ids=answer.prompt_token_ids,
    )
    completion._answer = answer
    completion._served = served
    return completion


def answer_of(completion: ChatCompletion) -> ChatAnswer:
    """The decoded answer behind a completion, also one that did not come from `native_completion`."""
    if isinstance(completion, NativeCompletion):
        return completion.answer
    try:
        return msgspec.convert(completion.model_dump(), ChatAnswer, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidModelResponseError(f"the completion cannot be read: {error}") from error


def _usage(usage: UsageAnswer) -> CompletionUsage:
    """vLLM may leave the number of sampled tokens out."""
    counts = {**msgspec.to_builtins(usage), "completion_tokens": usage.completion_tokens or 0}
    return CompletionUsage.model_validate(counts)


def _lazy_choice(body: bytes, position: int, answer: ChoiceAnswer) -> LazyChoice:
    message = ChatCompletionMessage.construct(role="assistant", **_set_fields(msgspec.to_builtins(answer.message)))
    choice = LazyChoice.model_construct(
        index=answer.index,
        finish_reason=answer.finish_reason,
        message=message,
        stop_reason=answer.stop_reason,
        token_ids=answer.token_ids,
    )
    del choice.__dict__["logprobs"]  # the field's default would keep __getattr__ from being asked
    choice._body, choice._position = body, position
    return choice


def _spelled_out(choice: dict[str, Any]) -> dict[str, Any] | None:
    """Plain numbers as OpenAI has them. The tokens are named by their ids, as vLLM does it on request."""
    logprobs = choice.get("completion_logprobs")
    if logprobs is None:
        return None
    pairs = zip(choice["token_ids"], logprobs, strict=False)
    return {"content": [{"token": f"token_id:{i}", "logprob": number, "top_logprobs": []} for i, number in pairs]}


def _set_fields(message: dict[str, Any]) -> dict[str, Any]:
    if message.get("tool_calls"):
        message["tool_calls"] = [{"type": "function", **call} for call in message["tool_calls"]]
    return {key: value for key, value in message.items() if value is not None or key == "content"}
