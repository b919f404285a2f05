"""What vLLM's own parsers make of a finished answer, run without an engine.

The parser is composed and called as the chat route does it, and the message put together by the same rules.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from verifiers_tito.parsing import ParsedText, parse_request


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A message as far as parsers make it. Calls are names and arguments; their ids are random."""

    reasoning: str | None
    content: str | None
    calls: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, parsed: ParsedText) -> Read:
        calls = tuple((call.name, call.arguments) for call in parsed.tool_calls)
        return cls(reasoning=parsed.reasoning, content=parsed.content, calls=calls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of a request concerns parsers, as a client sends it. `thinking` goes to the template under both names."""

    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: str | Mapping[str, Any] | None = None
    thinking: bool | None = None

    def request(self, special_texts: frozenset[str] = frozenset()) -> Any:
        return parse_request(self.tools, self.tool_choice, thinking=self.thinking, special_texts=special_texts)

    @property
    def template_kwargs(self) -> dict[str, bool]:
        return {} if self.thinking is None else {"thinking": self.thinking, "enable_thinking": self.thinking}


def read_by_vllm(
    text: str, token_ids: Sequence[int], *, tokenizer: Any, reasoning: str | None, calls: str | None, asked: Asked
) -> Read:
    """The message's parts. `text` is what vLLM's detokenizer gave, without the token that stopped it."""
    request = chat_request(asked)
    parser = _parser(tokenizer, reasoning, calls, request=request, asked=asked)
    found = parser.parse(text, request, enable_auto_tools=calls is not None, model_output_token_ids=token_ids)
    thought, content, tool_calls = found
    forced = request.tool_choice not in (None, "none", "auto")
    if request.tool_choice in (None, "none") or calls is None:
        tool_calls = tool_calls if forced else []
    return Read(
        reasoning=thought,
        content=(content or "") if forced else content,
        calls=tuple((call.name, call.arguments) for call in tool_calls or []),
    )


def skips_special(*, tokenizer: Any, reasoning: str | None, calls: str | None, asked: Asked) -> bool:
    """Whether vLLM's detokenizer is told to leave special tokens out."""
    request = chat_request(asked)
    parser = parser_class(reasoning, calls)(tokenizer, request.tools, chat_template_kwargs=asked.template_kwargs)
    return bool(parser.adjust_request(request).skip_special_tokens)


def chat_request(asked: Asked) -> Any:
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest  # noqa: PLC0415  seconds

    fields: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], "model": "m"}
    if asked.tools:
        fields["tools"] = [{"type": "function", "function": dict(tool)} for tool in asked.tools]
        if asked.tool_choice is not None:
            fields["tool_choice"] = asked.tool_choice
    if asked.template_kwargs:
        fields["chat_template_kwargs"] = asked.template_kwargs
    return ChatCompletionRequest.model_validate(fields)


def _parser(tokenizer: Any, reasoning: str | None, calls: str | None, *, request: Any, asked: Asked) -> Any:
    """One parser per kind of request: building one takes longer than a hundred answers do."""
    parsers, kind = _latest_parsers(tokenizer, reasoning, calls), repr(asked)
    if kind not in parsers:
        parsers[kind] = parser_class(reasoning, calls)(
            tokenizer, request.tools, chat_template_kwargs=asked.template_kwargs
        )
    return parsers[kind]


@lru_cache(maxsize=1)
def _latest_parsers(tokenizer: Any, reasoning: str | None, calls: str | None) -> dict[str, Any]:
    """Those of the pair that is looked at: all pairs' are gigabytes."""
    return {}


@cache
def parser_class(reasoning: str | None, calls: str | None) -> Any:
    from vllm.parser import ParserManager  # noqa: PLC0415  seconds

    logging.getLogger("vllm").setLevel(logging.CRITICAL)  # every broken call is a traceback there
    harmony = calls == "openai" or reasoning == "openai_gptoss"
    return ParserManager.get_parser(
        tool_parser_name=calls,
        reasoning_parser_name=reasoning,
        enable_auto_tools=calls is not None,
        is_harmony=harmony,
    )
