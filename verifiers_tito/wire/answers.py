"""The server's answers as typed structs: decoded in one pass, with no object that nobody reads.

Of a token's log-probability entry only the number is kept; the token's text, bytes and alternatives stay in
the body. Fields we do not name are skipped, so that a newer server does not break us.
"""

from __future__ import annotations

import msgspec


class FunctionAnswer(msgspec.Struct):
    name: str
    arguments: str = ""


class ToolCallAnswer(msgspec.Struct):
    id: str
    function: FunctionAnswer


class MessageAnswer(msgspec.Struct):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallAnswer] | None = None


class TokenLogprob(msgspec.Struct, gc=False):
    logprob: float


class LogprobsAnswer(msgspec.Struct):
    content: list[TokenLogprob] | None = None


class ChoiceAnswer(msgspec.Struct):
    message: MessageAnswer
    index: int = 0
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    token_ids: list[int] | None = None
    logprobs: LogprobsAnswer | None = None


class PromptTokensDetails(msgspec.Struct):
    cached_tokens: int | None = None


class CompletionTokensDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class UsageAnswer(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int | None = 0
    total_tokens: int = 0
    prompt_tokens_details: PromptTokensDetails | None = None
    completion_tokens_details: CompletionTokensDetails | None = None


class ChatAnswer(msgspec.Struct):
    """A chat completion. `prompt_token_ids` and `token_ids` are there when `return_token_ids` was asked for."""

    id: str
    choices: list[ChoiceAnswer]
    model: str = ""
    created: int = 0
    prompt_token_ids: list[int] | None = None
    usage: UsageAnswer | None = None


class TokenizeAnswer(msgspec.Struct):
    """Answer of `/tokenize`. `token_strs` are the vocabulary's own spellings, one per id, when asked for."""

    tokens: list[int]
    count: int = 0
    max_model_len: int = 0
    token_strs: list[str] | None = None


class ErrorDetail(msgspec.Struct):
    message: str = ""
    param: str | None = None


class ErrorAnswer(msgspec.Struct):
    """vLLM's error body; its 404 for an unknown route and 405 are `{"detail": ...}` instead."""

    error: ErrorDetail | None = None
    detail: str | None = None
