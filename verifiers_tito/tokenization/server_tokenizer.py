"""A chat tokenizer that asks the server's `/tokenize`: no local files, and always the server's own template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from openai import AsyncOpenAI

from verifiers_tito.errors import InvalidModelResponseError
from verifiers_tito.tokenization.chat_tokenizer import Rendered, TemplateRefusedError
from verifiers_tito.transport import RequestRefusedError, RouteMissingError, decode, post
from verifiers_tito.wire import routes
from verifiers_tito.wire.answers import TokenizeAnswer
from verifiers_tito.wire.requests import tokenize_body


class ServerTokenizer:
    """One `/tokenize` call a rendering. `client` is rooted at the server, not at `/v1`."""

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client

    async def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        model: str,
        tools: Sequence[Mapping[str, Any]] | None,
        template_fields: Mapping[str, Any],
        add_generation_prompt: bool,
    ) -> Rendered:
        fields = {
            **template_fields,
            "add_generation_prompt": add_generation_prompt,
            "return_token_strs": True,
        }
        body = tokenize_body(model=model, messages=messages, tools=tools, fields=fields)
        try:
            answer = await self.tokenize(body)
        except RouteMissingError:
            raise
        except RequestRefusedError as error:
            raise TemplateRefusedError(str(error)) from error
        if answer.token_strs is None or len(answer.token_strs) != len(answer.tokens):
            raise InvalidModelResponseError(
                f"/tokenize answered {len(answer.tokens)} ids with "
                f"{len(answer.token_strs or [])} token_strs; one for each was asked for"
            )
        return Rendered(answer.tokens, answer.token_strs)

    async def tokenize(self, body: Mapping[str, Any]) -> TokenizeAnswer:
        """The raw call, for a body made by `wire.requests.tokenize_body`."""
        return decode(await post(self._client, routes.TOKENIZE, body), TokenizeAnswer, operation="POST /tokenize")
