"""Token ids in, token ids out: the client that keeps what the model sampled.

    turn 0        messages ──► /v1/chat/completions          (ids and log-probabilities come back)
    turn k > 0    earlier ids + bridge ──► /v1/chat/completions/tokens, or stock vLLM's own way (`RouteChoice`)
                  └─ or messages again, with the reason on `response.served`

Every answer echoes the prompt's ids. Those of a tokens-in turn are compared with the ids sent; a difference is an
error, because a trainer would otherwise learn from a prompt the model never saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

from openai import AsyncOpenAI
from pydantic import BaseModel

from verifiers_tito.clients.control_text import ControlTextGuard
from verifiers_tito.clients.messages_in import GuardedPrompt, MessagesIn
from verifiers_tito.clients.native_completion import NativeCompletion
from verifiers_tito.clients.native_messages import NativePrompt, to_native_messages
from verifiers_tito.clients.openai_chat_completions_client import (
    CHAT_PATH,
    OpenAIChatCompletionsClient,
    OpenAIChatMessages,
    OpenAIChatResponse,
    OpenAITool,
    with_retries,
)
from verifiers_tito.clients.prompt_runs import PromptRun, PromptRuns
from verifiers_tito.clients.route_choice import RouteChoice
from verifiers_tito.clients.stitcher import AnyMessages, Stitcher, prefix_index
from verifiers_tito.clients.template_input import TemplateInput
from verifiers_tito.clients.tokenizer_choice import TokenizerChoice
from verifiers_tito.errors import ConfigError, InvalidModelResponseError, ModelError
from verifiers_tito.stitching import Conversation, Fallback, Stitched, TemplateReport
from verifiers_tito.tokenization import ServerTokenizer
from verifiers_tito.transport import (
    AUTHENTICATION_ERRORS,
    RetryBudget,
    ServerUnreachableError,
    decode,
    get,
    with_base_url,
)
from verifiers_tito.types import (
    ClientConfig,
    FallbackReason,
    Messages,
    Route,
    SamplingArgs,
    Served,
    State,
    StitchingConfig,
    first_difference,
)
from verifiers_tito.wire import routes
from verifiers_tito.wire.answers import ChatAnswer, ModelsAnswer
from verifiers_tito.wire.requests import (
    chat_body,
    extra_headers,
    flatten_sampling_args,
    tokenize_body,
    with_token_ids,
)
from verifiers_tito.wire.token_routes import TokenRoute


class TokenizeResponse(BaseModel):
    """vLLM's answer to `/tokenize`, for callers who post to it themselves through `token_client`."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """What one turn was asked for."""

    state: State
    said: AnyMessages
    template: TemplateInput
    fields: dict[str, Any]
    headers: dict[str, str]
    read: Conversation
    budget: RetryBudget

    def body(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        template = self.template
        return chat_body(model=template.model, messages=messages, tools=template.tools, fields=self.fields)

    @property
    def runs(self) -> PromptRuns:
        runs: PromptRuns = self.state.setdefault("_prompt_runs", PromptRuns())
        return runs


class OpenAIChatCompletionsTokenClient(OpenAIChatCompletionsClient):
    """A client of a vLLM server: one with our plugin, or a stock one from 0.27 on. On others every turn goes in as
    messages, and says so.

    `stitching` and `route` are the configuration's, unless given here. Writes these keys of the rollout's state:
    `_cached_suffix_ids`, the ids with which the template closes an assistant turn, `_prefix_index`, `_prompt_runs` and
    `_retry_budget`.
    """

    def __init__(
        self,
        client_or_config: AsyncOpenAI | ClientConfig,
        *,
        stitching: StitchingConfig | None = None,
        route: Route | str | None = None,
    ) -> None:
        super().__init__(client_or_config)
        config = stitching or (self.config.stitching if self.config else StitchingConfig())
        self._server = ServerTokenizer(self.token_client)
        guard = ControlTextGuard(self._server, config.control_text)
        self._tokenizers = TokenizerChoice(self._server, config, find_root=self._find_root)
        self._stitcher = Stitcher(self._tokenizers, guard, config)
        self._messages_in = MessagesIn(self._tokenizers, guard, config.control_text)
        self._routes = RouteChoice(route or (self.config.route if self.config else None))
        self._warned: set[FallbackReason] = set()

    @cached_property
    def token_client(self) -> AsyncOpenAI:
        """The provider's client rooted at the server instead of at `/v1`, where `/tokenize` is."""
        root = str(self.client.base_url).rstrip("/").removesuffix(routes.API_ROOT)
        return with_base_url(self.client, root)

    async def close(self) -> None:
        await self._tokenizers.close()
        await super().close()

    async def to_native_prompt(self, messages: Messages) -> tuple[OpenAIChatMessages, dict[str, Any]]:
        return cast(OpenAIChatMessages, NativePrompt(messages)), {}

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
        fields = with_token_ids(flatten_sampling_args(sampling_args))
        said = _messages_of(prompt)
        turn = _Turn(
            state=state,
            said=said,
            template=_template_input(model, tools, fields),
            fields=fields,
            headers={**extra_headers(sampling_args), **(kwargs.get("extra_headers") or {})},
            read=prefix_index(state).read(said),
            budget=self.retry_budget(state),
        )
        self._tokenizers.prepare(model)
        before = replace(turn.budget)
        try:
            completion = await self._complete_turn(turn)
        except ServerUnreachableError:
            self._routes.start_over()
            raise
        if turn.budget.outages > before.outages:
            self._routes.start_over()
        return with_retries(completion, turn.budget.used - before.used)

    async def _complete_turn(self, turn: _Turn) -> NativeCompletion:
        outcome = await self._stitch(turn.state, turn.said, turn.template, read=turn.read)
        if isinstance(outcome, Stitched):
            served = _served(outcome, turn)
            completion = await self._complete_from_ids(
                turn, outcome.token_ids, served, earlier=outcome.earlier_prompt_ids
            )
            if not isinstance(completion, Fallback):
                return completion
            outcome = completion
        return await self._complete_from_messages(turn, outcome)

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
        outcome = await self._stitch(state, _messages_of(prompt_messages), template)
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
        return (await self._server.tokenize(body)).tokens

    async def prove_template(
        self, model: str, tools: list[OpenAITool] | None = None, sampling_args: SamplingArgs | None = None
    ) -> TemplateReport:
        """Which conversations will be stitched on this server, found out before a run: some thirty calls of
        `/tokenize`, which turns to come need not make again (or none, where local files have been proven right)."""
        template = _template_input(model, tools, flatten_sampling_args(sampling_args or {}))
        return await self._stitcher.examine(template)

    async def _stitch(
        self, state: State, messages: AnyMessages, template: TemplateInput, *, read: Conversation | None = None
    ) -> Stitched | Fallback:
        way = self._routes.current()
        if isinstance(way, Fallback) and state.get("trajectory"):
            return way
        outcome = await self._stitcher.stitch(state, messages, template, read=read)
        expected = (FallbackReason.FIRST_TURN, FallbackReason.THINKING_STRIPPED)
        if isinstance(outcome, Fallback) and outcome.detail and outcome.reason not in (*expected, *self._warned):
            self._warned.add(outcome.reason)
            self.logger.warning("turns go in as messages: %s", outcome)
        return outcome

    async def _complete_from_ids(
        self, turn: _Turn, token_ids: list[int], served: Served, *, earlier: list[int]
    ) -> NativeCompletion | Fallback:
        """By the best route that the server takes, or why it takes none."""
        run = turn.runs.run(token_ids, earlier=earlier)
        while isinstance(way := self._routes.current(), TokenRoute):
            served = replace(served, route=way.route, prefix_digest=run.digest.hexdigest())
            body = way.body(turn.body([]), run.wire_form)
            try:
                completion = await self._complete(
                    way.path, body, served=served, headers=turn.headers, budget=turn.budget
                )
                check_echo(run, completion.answer)
            except ModelError as error:
                self._routes.rule_out(way, error)
                continue
            self._routes.prove(way)
            completion.note_prompt(token_ids)
            return _with_cached_ids(completion)
        return way

    async def _complete_from_messages(self, turn: _Turn, fallback: Fallback) -> NativeCompletion:
        messages = to_native_messages(turn.said)
        guarded = await self._messages_in.guard(messages, turn.template, no_ids_because=self._routes.problem)
        served = Served(
            route=Route.CHAT,
            reason=fallback.reason,
            detail=fallback.detail,
            template_key=turn.template.key,
            messages_digest=turn.read.digest.hex(),
        )
        if isinstance(guarded, GuardedPrompt):
            ids = guarded.token_ids
            in_ids = replace(
                served,
                route=Route.CHAT_TOKENS,
                neutralized=guarded.neutralized,
                retokenized_ids=len(ids) if turn.state.get("trajectory") else 0,
                tokenizer="local",
            )
            completion = await self._complete_from_ids(turn, ids, in_ids, earlier=[])
            if not isinstance(completion, Fallback):
                return completion
            guarded = await self._messages_in.guard(messages, turn.template, no_ids_because=self._routes.problem)
        served = replace(served, control_strings=cast(int, guarded))
        completion = await self._complete(
            CHAT_PATH, turn.body(messages), served=served, headers=turn.headers, budget=turn.budget
        )
        return _with_cached_ids(_with_prompt_noted(completion, turn))

    async def _find_root(self, model: str) -> str | None:
        """Where the server says the model's files are."""
        try:
            answer = await get(self.token_client, routes.MODELS)
        except AUTHENTICATION_ERRORS:
            return None  # the turn itself will say so
        models = decode(answer, ModelsAnswer, operation=f"GET {routes.MODELS}").data
        return next((served.root for served in models if served.id == model), None)


def check_echo(sent: PromptRun, answer: ChatAnswer) -> None:
    """Raises unless the server says that it saw exactly the ids sent: by their digest, or by echoing them."""
    echoed, digest = answer.prompt_token_ids, answer.prompt_digest
    if digest is not None:
        if digest != sent.digest.answer():
            raise InvalidModelResponseError(
                f"the server saw another prompt than it was sent: {sent.digest.count} ids with digest "
                f"{sent.digest.hexdigest()} sent, {digest.count} with {digest.blake2b} seen"
            )
        return
    if echoed is None:
        raise InvalidModelResponseError(
            f"the server did not echo the {len(sent.token_ids)} prompt ids it was sent, so the turn cannot be trusted; "
            "is its tokens route the one of verifiers_tito?"
        )
    position = first_difference(sent.token_ids, echoed)
    if position is not None:
        raise InvalidModelResponseError(
            f"the server saw another prompt than it was sent: {len(sent.token_ids)} ids sent, {len(echoed)} echoed, "
            f"parting at index {position} (sent {sent.token_ids[position : position + 5]}, echoed "
            f"{echoed[position : position + 5]})"
        )


def _messages_of(prompt: OpenAIChatMessages) -> AnyMessages:
    said: Any = prompt
    return said.messages if isinstance(said, NativePrompt) else cast(AnyMessages, said)


def _template_input(model: str, tools: list[OpenAITool] | None, fields: Mapping[str, Any]) -> TemplateInput:
    return TemplateInput(model=model, tools=cast(list[dict[str, Any]] | None, tools or None), fields=fields)


def _served(stitched: Stitched, turn: _Turn) -> Served:
    return Served(
        route=Route.CHAT_TOKENS,
        reused_ids=stitched.reused_ids,
        bridged_ids=stitched.bridged_ids,
        neutralized=stitched.neutralized,
        control_strings=stitched.control_strings,
        tokenizer=stitched.tokenizer,
        template_key=turn.template.key,
        messages_digest=turn.read.digest.hex(),
    )


def _with_prompt_noted(completion: NativeCompletion, turn: _Turn) -> NativeCompletion:
    """Keeps the prompt the server made of messages: the next turn continues it."""
    prompt_ids = completion.answer.prompt_token_ids
    if prompt_ids:
        run = turn.runs.keep(PromptRun.of(prompt_ids))
        completion._served = replace(
            completion.served,
            prefix_digest=run.digest.hexdigest(),
            retokenized_ids=len(prompt_ids) if turn.state.get("trajectory") else 0,
        )
    return completion


def _with_cached_ids(completion: NativeCompletion) -> NativeCompletion:
    """Notes on `served` what the server found in its prefix cache, where it says so."""
    details = completion.answer.usage.prompt_tokens_details if completion.answer.usage else None
    if details is not None:
        completion._served = replace(completion.served, cached_ids=details.cached_tokens)
    return completion
