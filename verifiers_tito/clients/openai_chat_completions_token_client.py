"""Token ids in, token ids out: the client that keeps what the model sampled.

    turn 0        messages ──► /v1/chat/completions          (ids and log-probabilities come back)
    turn k > 0    earlier ids + bridge ──► /v1/chat/completions/tokens
                  └─ or messages again, with the reason on `response.served`

Every answer echoes the prompt's ids. Those of a tokens-in turn are compared with the ids sent; a difference is an
error, because a trainer would otherwise learn from a prompt the model never saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, cast

from openai import AsyncOpenAI
from pydantic import BaseModel

from verifiers_tito.clients.native_completion import NativeCompletion
from verifiers_tito.clients.native_messages import to_native_messages
from verifiers_tito.clients.openai_chat_completions_client import (
    CHAT_PATH,
    OpenAIChatCompletionsClient,
    OpenAIChatMessages,
    OpenAIChatResponse,
    OpenAITool,
)
from verifiers_tito.clients.stitcher import Stitcher, TemplateInput
from verifiers_tito.errors import ConfigError, InvalidModelResponseError
from verifiers_tito.stitching import Fallback, Stitched
from verifiers_tito.tokenization import ServerTokenizer
from verifiers_tito.transport import RouteMissingError
from verifiers_tito.types import (
    ClientConfig,
    FallbackReason,
    Route,
    SamplingArgs,
    Served,
    State,
    first_difference,
)
from verifiers_tito.wire import routes
from verifiers_tito.wire.answers import ChatAnswer
from verifiers_tito.wire.requests import (
    chat_body,
    extra_headers,
    flatten_sampling_args,
    tokenize_body,
    tokens_body,
    with_token_ids,
)

TOKENS_PATH = routes.CHAT_TOKENS.removeprefix(routes.API_ROOT)


class TokenizeResponse(BaseModel):
    """vLLM's answer to `/tokenize`, for callers who post to it themselves through `token_client`."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = None


class OpenAIChatCompletionsTokenClient(OpenAIChatCompletionsClient):
    """A client of a vLLM server with our plugin. On a server without it every turn goes in as messages, and says so.

    Writes these keys of the rollout's state: `_cached_suffix_ids`, the ids with which the template closes an
    assistant turn, and `_prefix_index`.
    """

    def __init__(self, client_or_config: AsyncOpenAI | ClientConfig) -> None:
        super().__init__(client_or_config)
        self._missing_route: Fallback | None = None
        self._warned: set[str] = set()

    @cached_property
    def token_client(self) -> AsyncOpenAI:
        """The provider's client rooted at the server instead of at `/v1`, where `/tokenize` is."""
        root = str(self.client.base_url).rstrip("/").removesuffix(routes.API_ROOT)
        return self.client.with_options(base_url=root)

    @cached_property
    def _tokenizer(self) -> ServerTokenizer:
        return ServerTokenizer(self.token_client)

    @cached_property
    def _stitcher(self) -> Stitcher:
        return Stitcher(self._tokenizer)

    async def get_native_response(
        self,
        prompt: OpenAIChatMessages,
        model: str,
        sampling_args: SamplingArgs,
        tools: list[OpenAITool] | None = None,
        **kwargs: Any,
    ) -> OpenAIChatResponse:
        """One turn, as ids where they can be derived. Needs `state` (keyword), the rollout's state.

        `max_tokens` is renamed to `max_completion_tokens`; log-probabilities and ids are always asked for.
        """
        state = kwargs.get("state")
        if state is None:
            raise ConfigError("get_native_response needs state=..., the rollout's state, to look back at its turns")
        headers = {**extra_headers(sampling_args), **(kwargs.get("extra_headers") or {})}
        fields = with_token_ids(flatten_sampling_args(sampling_args))
        template = _template_input(model, tools, fields)
        messages = to_native_messages(cast(Any, prompt))
        body = chat_body(model=model, messages=messages, tools=template.tools, fields=fields)
        if self._missing_route is not None and state.get("trajectory"):
            outcome: Stitched | Fallback = self._missing_route
        else:
            outcome = await self._stitch(state, messages, template)
        if isinstance(outcome, Stitched):
            try:
                return await self._complete_from_ids(body, outcome, template, headers)
            except RouteMissingError as error:
                outcome = self._remember_missing_route(error)
        served = Served(route=Route.CHAT, reason=outcome.reason, detail=outcome.detail, template_key=template.key)
        completion = await self._complete(CHAT_PATH, body, served=served, headers=headers)
        return _with_cached_ids(completion)

    async def get_prompt_ids(
        self,
        state: State,
        prompt_messages: OpenAIChatMessages,
        oai_tools: list[OpenAITool] | None,
    ) -> list[int] | None:
        """The prompt in ids, or None where it has to go in as messages.

        Model and template arguments are those of `state["model"]` and `state["sampling_args"]`.
        """
        if not state.get("model"):
            raise ConfigError('get_prompt_ids needs state["model"], the name of the served model')
        template = _template_input(state["model"], oai_tools, flatten_sampling_args(state.get("sampling_args") or {}))
        outcome = await self._stitch(state, to_native_messages(cast(Any, prompt_messages)), template)
        return outcome.token_ids if isinstance(outcome, Stitched) else None

    async def tokenize(
        self,
        messages: str | OpenAIChatMessages,
        tools: list[OpenAITool] | None,
        model: str,
        extra_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> list[int]:
        """Ids of a text, or of a conversation as the server's chat template renders it (with a generation prompt).

        `extra_kwargs` are fields of vLLM's `/tokenize`, such as `add_generation_prompt`.
        """
        body = tokenize_body(
            model=model,
            messages=messages if isinstance(messages, str) else to_native_messages(cast(Any, messages)),
            tools=cast(Any, tools),
            fields={**(extra_kwargs or {}), **kwargs},
        )
        return (await self._tokenizer.tokenize(body)).tokens

    async def _stitch(
        self, state: State, messages: list[dict[str, Any]], template: TemplateInput
    ) -> Stitched | Fallback:
        outcome = await self._stitcher.stitch(state, messages, template)
        if isinstance(outcome, Fallback) and outcome.detail and str(outcome) not in self._warned:
            self._warned.add(str(outcome))
            self.logger.warning("turns go in as messages: %s", outcome)
        return outcome

    async def _complete_from_ids(
        self,
        body: dict[str, Any],
        stitched: Stitched,
        template: TemplateInput,
        headers: dict[str, str],
    ) -> NativeCompletion:
        served = Served(
            route=Route.CHAT_TOKENS,
            reused_ids=stitched.reused_ids,
            bridged_ids=stitched.bridged_ids,
            template_key=template.key,
        )
        body = tokens_body(body, stitched.token_ids)
        completion = await self._complete(TOKENS_PATH, body, served=served, headers=headers)
        check_echo(stitched.token_ids, completion.answer)
        return _with_cached_ids(completion)

    def _remember_missing_route(self, error: RouteMissingError) -> Fallback:
        """Later turns do not ask again; a new client does."""
        if self._missing_route is None:
            self.logger.warning(
                "%s; turns go in as messages, and their histories are tokenized anew. Start vLLM with "
                "VLLM_PLUGINS=verifiers_tito (or `tito serve`) to send token ids.",
                error,
            )
        self._missing_route = Fallback(FallbackReason.ROUTE_MISSING, str(error))
        return self._missing_route


def check_echo(sent: list[int], answer: ChatAnswer) -> None:
    """Raises unless the server says that it saw exactly the ids sent."""
    echoed = answer.prompt_token_ids
    if echoed is None:
        raise InvalidModelResponseError(
            f"the server did not echo the {len(sent)} prompt ids it was sent, so the turn cannot be trusted; "
            "is its tokens route the one of verifiers_tito?"
        )
    position = first_difference(sent, echoed)
    if position is not None:
        raise InvalidModelResponseError(
            f"the server saw another prompt than it was sent: {len(sent)} ids sent, {len(echoed)} echoed, parting at "
            f"index {position} (sent {sent[position : position + 5]}, echoed {echoed[position : position + 5]})"
        )


def _template_input(model: str, tools: list[OpenAITool] | None, fields: Mapping[str, Any]) -> TemplateInput:
    return TemplateInput(model=model, tools=cast(list[dict[str, Any]] | None, tools), fields=fields)


def _with_cached_ids(completion: NativeCompletion) -> NativeCompletion:
    """Notes on `served` what the server found in its prefix cache, where it says so."""
    details = completion.answer.usage.prompt_tokens_details if completion.answer.usage else None
    if details is not None:
        completion._served = replace(completion.served, cached_ids=details.cached_tokens)
    return completion
