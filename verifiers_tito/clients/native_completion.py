"""OpenAI's `ChatCompletion` over an answer that is already decoded.

`get_native_response` promises a `ChatCompletion`. Nobody on the rollout's way reads it, so its fields are made when
somebody does, and the log-probabilities, an object a token, when somebody reads those.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self, cast

import msgspec
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice, ChoiceLogprobs
from pydantic import BaseModel, PrivateAttr, SerializerFunctionWrapHandler, model_serializer

from verifiers_tito.errors import InvalidModelResponseError
from verifiers_tito.types import Served
from verifiers_tito.wire.answers import ChatAnswer, ChoiceAnswer, UsageAnswer


class LazyModel(BaseModel):
    """A model that leaves fields out, and makes them (`_make_fields`) when somebody reads one of these, or all."""

    def _make_fields(self) -> dict[str, Any]:
        raise NotImplementedError

    def _filled(self) -> Self:
        if self.__dict__.keys() < self.__pydantic_fields__.keys():
            self.__dict__.update({**self._make_fields(), **self.__dict__})
        return self

    def __getattr__(self, name: str) -> Any:
        if name in self.__pydantic_fields__:
            return self._filled().__dict__[name]
        return super().__getattr__(name)  # type: ignore[misc]

    def __eq__(self, other: object) -> bool:
        return BaseModel.__eq__(self._filled(), other._filled() if isinstance(other, LazyModel) else other)

    def __iter__(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        return BaseModel.__iter__(self._filled())

    def __repr_args__(self) -> Any:
        return BaseModel.__repr_args__(self._filled())

    @model_serializer(mode="wrap")
    def _with_all_fields(self, handler: SerializerFunctionWrapHandler) -> Any:
        return handler(self._whole())

    def _whole(self) -> Self:
        """With what its fields leave out, too: they are written as their declared classes are."""
        return self._filled()


class LazyChoice(LazyModel, Choice):
    """A choice whose `logprobs` are built from the body on first use."""

    _body: bytes = PrivateAttr(default=b"")
    _position: int = PrivateAttr(default=0)

    def _make_fields(self) -> dict[str, Any]:
        native = json.loads(self._body)["choices"][self._position]
        content = native.get("logprobs") or _spelled_out(native)
        return {"logprobs": None if content is None else ChoiceLogprobs.construct(**content)}


class NativeCompletion(LazyModel, ChatCompletion):
    """A `ChatCompletion` that also carries the decoded answer, the body it was decoded from and how it was served."""

    _answer: ChatAnswer = PrivateAttr()
    _served: Served = PrivateAttr()
    _notes: dict[str, Any] = PrivateAttr()
    _body: bytes | None = PrivateAttr()

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

    def _whole(self) -> Self:
        for choice in self.choices:
            cast(LazyChoice, choice)._filled()
        return self._filled()

    def _make_fields(self) -> dict[str, Any]:
        answer = self._answer
        body = self._body or msgspec.json.encode({"choices": answer.choices})
        choices = [_lazy_choice(body, position, choice) for position, choice in enumerate(answer.choices)]
        return {
            **{name: field.get_default() for name, field in ChatCompletion.model_fields.items()},
            **{"id": answer.id, "choices": choices, "created": answer.created, "model": answer.model},
            **{"object": "chat.completion", "usage": _usage(answer.usage) if answer.usage else None},
        }


def native_completion(body: bytes | None, answer: ChatAnswer, served: Served) -> NativeCompletion:
    """`answer` was decoded from `body`, or is all there is; the completion keeps both."""
    completion = NativeCompletion.__new__(NativeCompletion)
    parts = {
        "__pydantic_fields_set__": {"id", "choices", "created", "model", "object", "usage"},
        "__pydantic_extra__": {"prompt_token_ids": answer.prompt_token_ids},
        "__pydantic_private__": {"_answer": answer, "_served": served, "_notes": {}, "_body": body},
    }
    for name, value in parts.items():
        object.__setattr__(completion, name, value)
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
