"""OpenAI's `ChatCompletion` over an answer that is already decoded.

`get_native_response` promises a `ChatCompletion`. Nobody on the rollout's way reads it, so it is put together without
pydantic's checks (msgspec's were made), and its log-probabilities, an object a token, are made when somebody asks.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any, Self, TypeVar

import msgspec
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionMessage, ChatCompletionMessageFunctionToolCall
from openai.types.chat.chat_completion import Choice, ChoiceLogprobs
from openai.types.chat.chat_completion_message_function_tool_call import Function
from openai.types.completion_usage import CompletionTokensDetails, PromptTokensDetails
from pydantic import BaseModel, PrivateAttr

from verifiers_tito.errors import InvalidModelResponseError
from verifiers_tito.types import Served
from verifiers_tito.wire.answers import ChatAnswer, ChoiceAnswer, MessageAnswer, ToolCallAnswer, UsageAnswer

ModelT = TypeVar("ModelT", bound=BaseModel)

_DICT: Any = BaseModel.__dict__["__dict__"]
"""The slot in which pydantic's models keep their fields."""


class LazyChoice(Choice):
    """A choice whose `logprobs` are built on first use, from the body, or from the answer where there is none.

    Whatever reads a model whole (a dump, also one of another model that holds this; `copy`, `==`, `pickle`, `vars`)
    asks for its `__dict__`, so that is where they are added.
    """

    _body: bytes | None = PrivateAttr()
    _answer: ChoiceAnswer = PrivateAttr()
    _position: int = PrivateAttr()

    @property
    def __dict__(self) -> dict[str, Any]:
        fields: dict[str, Any] = _DICT.__get__(self)
        if "logprobs" not in fields and self.__pydantic_private__:
            fields["logprobs"] = self._make_logprobs()
        return fields

    @__dict__.setter
    def __dict__(self, fields: dict[str, Any]) -> None:
        _DICT.__set__(self, fields)

    def __getattr__(self, name: str) -> Any:
        return self.__dict__[name] if name == "logprobs" else super().__getattr__(name)  # type: ignore[misc]

    def _make_logprobs(self) -> ChoiceLogprobs | None:
        body = self._body
        native = json.loads(body)["choices"][self._position] if body else msgspec.to_builtins(self._answer)
        content = native.get("logprobs") or _spelled_out(native)
        return None if content is None else ChoiceLogprobs.construct(**content)


class NativeCompletion(ChatCompletion):
    """A `ChatCompletion` that also carries the decoded answer and how it was served."""

    _answer: ChatAnswer = PrivateAttr()
    _served: Served = PrivateAttr()
    _notes: dict[str, Any] = PrivateAttr()

    @property
    def answer(self) -> ChatAnswer:
        return self._answer

    @property
    def served(self) -> Served:
        if self._notes:
            self._served, self._notes = replace(self._served, **self._notes), {}
        return self._served

    def note(self, **served: Any) -> Self:
        """Adds to how the turn was served: fields of `Served`."""
        self._notes.update(served)
        return self

    def note_prompt(self, prompt_ids: list[int]) -> None:
        """The ids that were sent, where the server proved by their digest that it saw them."""
        self._answer.prompt_token_ids = prompt_ids
        setattr(self, "prompt_token_ids", prompt_ids)  # noqa: B010  a field that OpenAI's class does not declare

    def __eq__(self, other: object) -> bool:
        """Of all that is in them; what was noted counts whether `served` was read since or not."""
        for one in (self, other):
            _ = one.served if isinstance(one, NativeCompletion) else None
        return super().__eq__(other)


def native_completion(body: bytes | None, answer: ChatAnswer, served: Served) -> NativeCompletion:
    """`answer` was decoded from `body`, or is all there is; the completion keeps both."""
    fields = {
        "id": answer.id,
        "choices": [_choice(body, position, choice) for position, choice in enumerate(answer.choices)],
        "created": answer.created,
        "model": answer.model,
        "object": "chat.completion",
        "usage": _usage(answer.usage) if answer.usage else None,
    }
    return _made(
        NativeCompletion,
        fields,
        extra={"prompt_token_ids": answer.prompt_token_ids},
        private={"_answer": answer, "_served": served, "_notes": {}},
    )


def answer_of(completion: ChatCompletion) -> ChatAnswer:
    """The decoded answer behind a completion, also one that did not come from `native_completion`."""
    if isinstance(completion, NativeCompletion):
        return completion.answer
    try:
        return msgspec.convert(completion.model_dump(), ChatAnswer, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidModelResponseError(f"the completion cannot be read: {error}") from error


def _made(
    kind: type[ModelT],
    fields: dict[str, Any],
    *,
    extra: dict[str, Any] | None = None,
    private: dict[str, Any] | None = None,
) -> ModelT:
    """A model as `model_construct` makes it, for a fraction of the time. `extra` is what its class does not declare."""
    model = kind.__new__(kind)
    parts = {
        "__dict__": {**_defaults(kind), **fields},
        "__pydantic_fields_set__": set(fields),
        "__pydantic_extra__": extra or {},
        "__pydantic_private__": private,
    }
    for name, value in parts.items():
        object.__setattr__(model, name, value)
    return model


@cache
def _defaults(kind: type[BaseModel]) -> dict[str, Any]:
    """In the order in which they are declared, also of those that have none and are always given."""
    return {name: field.get_default() for name, field in kind.model_fields.items()}


def _choice(body: bytes | None, position: int, answer: ChoiceAnswer) -> LazyChoice:
    message = _message(answer.message)
    choice = _made(
        LazyChoice,
        {"index": answer.index, "finish_reason": answer.finish_reason, "message": message, "logprobs": None},
        extra={"stop_reason": answer.stop_reason, "token_ids": answer.token_ids},
        private={"_body": body, "_answer": answer, "_position": position},
    )
    del _DICT.__get__(choice)["logprobs"]
    return choice


def _message(answer: MessageAnswer) -> ChatCompletionMessage:
    fields: dict[str, Any] = {"role": "assistant", "content": answer.content}
    if answer.tool_calls is not None:
        fields["tool_calls"] = [_call(call) for call in answer.tool_calls]
    reasoning = {"reasoning": answer.reasoning, "reasoning_content": answer.reasoning_content}
    extra = {name: text for name, text in reasoning.items() if text is not None}
    return _made(ChatCompletionMessage, fields, extra=extra)


def _call(answer: ToolCallAnswer) -> ChatCompletionMessageFunctionToolCall:
    function = _made(Function, {"name": answer.function.name, "arguments": answer.function.arguments})
    return _made(ChatCompletionMessageFunctionToolCall, {"id": answer.id, "type": "function", "function": function})


def _usage(answer: UsageAnswer) -> CompletionUsage:
    """vLLM may leave the number of sampled tokens out."""
    prompt, completion = answer.prompt_tokens_details, answer.completion_tokens_details
    fields: dict[str, Any] = {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens or 0,
        "total_tokens": answer.total_tokens,
        "prompt_tokens_details": None,
        "completion_tokens_details": None,
    }
    if prompt is not None:
        fields["prompt_tokens_details"] = _made(PromptTokensDetails, {"cached_tokens": prompt.cached_tokens})
    if completion is not None:
        told = {"reasoning_tokens": completion.reasoning_tokens}
        fields["completion_tokens_details"] = _made(CompletionTokensDetails, told)
    return _made(CompletionUsage, fields)


def _spelled_out(choice: dict[str, Any]) -> dict[str, Any] | None:
    """Plain numbers as OpenAI has them. The tokens are named by their ids, as vLLM does it on request."""
    logprobs = choice.get("completion_logprobs")
    if logprobs is None:
        return None
    pairs = zip(choice["token_ids"], logprobs, strict=False)
    return {"content": [{"token": f"token_id:{i}", "logprob": number, "top_logprobs": []} for i, number in pairs]}
