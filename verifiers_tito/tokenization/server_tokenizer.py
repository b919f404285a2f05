"""A chat tokenizer that asks the server's `/tokenize`: no local files, and always the server's own template."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

from verifiers_tito.errors import InvalidModelResponseError
from verifiers_tito.tokenization.chat_tokenizer import TemplateRefusedError
from verifiers_tito.tokenization.control_strings import MARKUP
from verifiers_tito.tokenization.rendering import Control
from verifiers_tito.transport import Fleet, RequestRefusedError, RouteMissingError, Server, decode
from verifiers_tito.wire import routes
from verifiers_tito.wire.answers import TokenizeAnswer
from verifiers_tito.wire.requests import tokenize_body

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_MOST_REMEMBERED = 100_000
_CONTEXTS = 3
_WHITE_SPACE = str.maketrans({"Ġ": " ", "Ċ": "\n", "ĉ": "\t", "č": "\r", "▁": " "})


class ServerTokenizer:
    """One `/tokenize` call a rendering, to a server or to any of several that serve the same model.

    Control strings in contents are the server's to tokenize; here they can only be detected (`control_strings`).
    """

    def __init__(self, server: Server | Fleet) -> None:
        self._server = server
        self._is_control: dict[str, dict[str, bool]] = {}

    async def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        model: str,
        tools: Sequence[Mapping[str, Any]] | None,
        template_fields: Mapping[str, Any],
        add_generation_prompt: bool,
    ) -> ServerRendering:
        fields = {**template_fields, "add_generation_prompt": add_generation_prompt, "return_token_strs": True}
        try:
            answer = await self.tokenize(_body(messages, model=model, tools=tools, fields=fields))
        except RouteMissingError:
            raise
        except RequestRefusedError as error:
            raise TemplateRefusedError(str(error)) from error
        return ServerRendering(answer.tokens, _spellings(answer))

    async def ids(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        model: str,
        tools: Sequence[Mapping[str, Any]] | None,
        template_fields: Mapping[str, Any],
    ) -> list[int]:
        """The ids of a prompt, of which nobody needs the spelling."""
        return (await self.tokenize(_body(messages, model=model, tools=tools, fields=template_fields))).tokens

    async def control_strings(self, candidates: Sequence[str], *, model: str) -> set[str]:
        """Those of `candidates` that the server's tokenizer reads as one token each. Asks for new ones only."""
        known = self._is_control.setdefault(model, {})
        if len(known) > _MOST_REMEMBERED:
            known = self._is_control[model] = {}
        answers = {text: known[text] for text in candidates if text in known}
        new = sorted(set(candidates) - answers.keys())
        if new:
            fields = {"add_special_tokens": False, "return_token_strs": True}
            text = "".join(f"a{each}a .{each}. {each}\n" for each in new)
            answer = await self.tokenize(tokenize_body(model=model, messages=text, fields=fields))
            spellings = Counter(_spellings(answer))  # whatever stands around it, a control token stays whole
            answers |= {text: spellings[text] >= _CONTEXTS for text in new}
            known |= answers
        return {text for text in candidates if answers[text]}

    async def tokenize(self, body: Mapping[str, Any]) -> TokenizeAnswer:
        """The raw call, for a body made by `wire.requests.tokenize_body`."""
        return decode(await self._server.post(routes.TOKENIZE, body), TokenizeAnswer, operation="POST /tokenize")


class ServerRendering:
    """Ids (N,) and the vocabulary's spelling of each (N,).

    Spellings are good for finding ASCII marks, control tokens and white space; they are not the text otherwise (a
    byte-level vocabulary writes other characters for bytes).
    """

    def __init__(self, token_ids: list[int], token_texts: list[str]) -> None:
        if len(token_ids) != len(token_texts):
            raise ValueError(f"{len(token_ids)} ids but {len(token_texts)} spellings")
        self._ids = token_ids
        self._texts = [_readable(text) for text in token_texts]
        self._starts = [0, *accumulate(map(len, self._texts))]

    @cached_property
    def text(self) -> str:
        return "".join(self._texts)

    def next_control(self, start: int) -> Control | None:
        for index in range(bisect_left(self._starts, start), len(self._texts)):
            text = self._texts[index]
            if MARKUP.fullmatch(text):
                return Control(self._starts[index], self._starts[index] + len(text), text)
        return None

    def ids_from(self, start: int) -> list[int]:
        index = bisect_left(self._starts, start)
        if index == len(self._starts) or self._starts[index] != start:
            raise ValueError(f"no token begins at character {start}")
        return self._ids[index:]

    def neutralized_from(self, start: int) -> int:
        return 0

    def spellings_from(self, start: int) -> frozenset[str]:
        return frozenset(self._texts[bisect_left(self._starts, start) :])


def _body(
    messages: Sequence[Mapping[str, Any]],
    *,
    model: str,
    tools: Sequence[Mapping[str, Any]] | None,
    fields: Mapping[str, Any],
) -> dict[str, Any]:
    return tokenize_body(model=model, messages=list(map(_on_the_wire, messages)), tools=tools, fields=fields)


def _spellings(answer: TokenizeAnswer) -> list[str]:
    if answer.token_strs is None or len(answer.token_strs) != len(answer.tokens):
        raise InvalidModelResponseError(
            f"/tokenize answered {len(answer.tokens)} ids with "
            f"{len(answer.token_strs or [])} token_strs; one for each was asked for"
        )
    return answer.token_strs


def _readable(spelling: str) -> str:
    byte = _BYTE.fullmatch(spelling)
    return chr(int(byte[1], 16)) if byte else spelling.translate(_WHITE_SPACE)


def _on_the_wire(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Tool-call arguments are JSON texts on the wire."""
    if not message.get("tool_calls"):
        return message
    return {**message, "tool_calls": [_call_on_the_wire(call) for call in message["tool_calls"]]}


def _call_on_the_wire(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    arguments = function.get("arguments")
    if isinstance(arguments, Mapping):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return {**call, "function": {**function, "arguments": arguments}}
