"""Token ids in, token ids out: the client that keeps what the model sampled.

    turn 0        messages ──► /v1/chat/completions          (ids and log-probabilities come back)
    turn k > 0    earlier ids + bridge ──► /v1/chat/completions/tokens, or stock vLLM's own way (`RouteChoice`)
                  └─ by `generate` or `completions` the client parses the answer itself (`OwnReading`)
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

from verifiers_tito.clients.answer_checks import check_echo, check_vocabulary
from verifiers_tito.clients.control_text import ControlTextGuard
from verifiers_tito.clients.known_server import KnownServer
from verifiers_tito.clients.messages_in import GuardedPrompt, MessagesIn
from verifiers_tito.clients.native_completion import NativeCompletion
from verifiers_tito.clients.native_messages import NativePrompt, to_native_messages
from verifiers_tito.clients.openai_chat_completions_client import (
    OpenAIChatCompletionsClient,
    OpenAIChatMessages,
    OpenAIChatResponse,
    OpenAITool,
)
from verifiers_tito.clients.own_reading import OwnReading
from verifiers_tito.clients.prompt_runs import PromptRun
from verifiers_tito.clients.stitcher import AnyMessages, Stitcher, prefix_index
from verifiers_tito.clients.template_input import TemplateInput
from verifiers_tito.clients.tokenizer_choice import TokenizerChoice
from verifiers_tito.clients.turn import Turn
from verifiers_tito.clients.turn_ways import TurnWay, TurnWays
from verifiers_tito.errors import ConfigError, ModelError, OverlongPromptError
from verifiers_tito.stitching import Conversation, Fallback, Stitched, TemplateReport
from verifiers_tito.tokenization import ServerTokenizer
from verifiers_tito.transport import Server, ServerUnreachableError, with_base_url
from verifiers_tito.types import (
    ClientConfig,
    FallbackReason,
    Messages,
    Route,
    SamplingArgs,
    Served,
    State,
    StitchingConfig,
    WeightVersionSpan,
)
from verifiers_tito.wire import routes
from verifiers_tito.wire.answers import ChatAnswer
from verifiers_tito.wire.requests import binds_sampling, tokenize_body, with_token_ids


class TokenizeResponse(BaseModel):
    """vLLM's answer to `/tokenize`, for callers who post to it themselves through `token_client`."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = None


class OpenAIChatCompletionsTokenClient(OpenAIChatCompletionsClient):
    """A client of a vLLM server: best of one with our plugin, or of a stock one from 0.27 on. Older ones take ids on
    routes that parse nothing: there the client reads the answers itself, which needs the model's tokenizer files. Where
    no route is left a turn goes in as messages, and says so.

    `stitching` and `route` are the configuration's, unless given here. Writes these keys of the rollout's state:
    `_cached_suffix_ids`, the ids with which the template closes an assistant turn, `_prefix_index`, `_prompt_runs`,
    `_retry_budget` and `_server`.
    """

    def __init__(
        self,
        client_or_config: AsyncOpenAI | ClientConfig,
        *,
        stitching: StitchingConfig | None = None,
        route: Route | str | None = None,
    ) -> None:
        super().__init__(client_or_config)
        if self.config is not None:
            chosen = {"stitching": stitching or self.config.stitching, "route": route or self.config.route}
            self.config = self.config.model_copy(update=chosen)  # which makes another client that is like this one
            stitching, route = self.config.stitching, self.config.route
        config, wanted = stitching or StitchingConfig(), route
        self._known = {server: KnownServer(server, wanted=wanted) for server in self.fleet.servers}
        self._server = ServerTokenizer(self.fleet)
        guard = ControlTextGuard(self._server, config.control_text)
        self._tokenizers = TokenizerChoice(self._server, config, find_root=self._find_root)
        self._stitcher = Stitcher(self._tokenizers, guard, config)
        self._messages_in = MessagesIn(self._tokenizers, guard, config.control_text)
        self._ways = TurnWays(OwnReading(self._tokenizers))
        self._warned: set[FallbackReason] = set()

    @cached_property
    def token_client(self) -> AsyncOpenAI:
        """The provider's client rooted at the server instead of at `/v1`, where `/tokenize` is."""
        return with_base_url(self.client, self.fleet.servers[0].root_url)

    async def close(self) -> None:
        await self._tokenizers.close()
        for known in self._known.values():
            await known.close()
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
        fields = with_token_ids(self.fields_of(sampling_args))
        said = _messages_of(prompt)
        turn = Turn(
            state=state,
            said=said,
            read=prefix_index(state).read(said),
            template=_template_input(model, tools, fields),
            fields=fields,
            headers=self.headers_of(state, sampling_args, kwargs.get("extra_headers")),
            budget=self.retry_budget(state),
        )
        self._tokenizers.prepare(model)
        await self._tokenizers.require_named(model)

        async def complete(server: Server) -> NativeCompletion:
            return await self._complete_on(self._known[server], turn)

        return await self._take_turn(state, turn.budget, complete)

    async def _complete_on(self, known: KnownServer, turn: Turn) -> NativeCompletion:
        """The turn, with what the server says of itself."""
        known.ask()
        completion = await self._complete_turn(known, turn)
        told = await known.introduction()
        check_vocabulary(completion.answer, told.vocabulary_size)
        return completion.note(
            server_version=told.vllm_version,
            logprobs_mode=told.logprobs_mode,
            under_grammar=binds_sampling(turn.fields),
            weight_versions=_weight_versions(completion.answer),
        )

    async def _complete_turn(self, known: KnownServer, turn: Turn) -> NativeCompletion:
        if not turn.is_first or known.routes.wants_token_ids:
            known.routes.require_wanted(await known.introduction())
        way = None if turn.is_first else await self._ways.choose(known.routes, turn)
        if isinstance(way, Fallback):
            return await self._complete_from_messages(known, turn, self._told(way))
        outcome = await self._stitch(known, turn.state, turn.said, turn.template, read=turn.read)
        if isinstance(outcome, Stitched):
            completion = await self._complete_from_ids(
                known, turn, outcome.token_ids, _served(outcome, turn), earlier=outcome.earlier_prompt_ids, way=way
            )
            if not isinstance(completion, Fallback):
                return completion
            outcome = completion
        return await self._complete_from_messages(known, turn, outcome)

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
        template = _template_input(state["model"], oai_tools, self.fields_of(state.get("sampling_args") or {}))
        known = self._known[self.fleet.server_of(state)]
        outcome = await self._stitch(known, state, _messages_of(prompt_messages), template)
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
        template = _template_input(model, tools, self.fields_of(sampling_args or {}))
        return await self._stitcher.examine(template)

    async def _stitch(
        self,
        known: KnownServer,
        state: State,
        messages: AnyMessages,
        template: TemplateInput,
        *,
        read: Conversation | None = None,
    ) -> Stitched | Fallback:
        way = known.routes.current()
        if isinstance(way, Fallback) and state.get("trajectory"):
            return way
        outcome = await self._stitcher.stitch(state, messages, template, read=read)
        return self._told(outcome) if isinstance(outcome, Fallback) else outcome

    def _told(self, fallback: Fallback) -> Fallback:
        """The same; what nobody expects is said once. A missing route was told of when it was missed."""
        expected = (FallbackReason.FIRST_TURN, FallbackReason.THINKING_STRIPPED, FallbackReason.ROUTE_MISSING)
        if fallback.detail and fallback.reason not in (*expected, *self._warned):
            self._warned.add(fallback.reason)
            self.logger.warning("turns go in as messages: %s", fallback)
        return fallback

    async def _complete_from_ids(
        self,
        known: KnownServer,
        turn: Turn,
        token_ids: list[int],
        served: Served,
        *,
        earlier: list[int],
        way: TurnWay | Fallback | None = None,
    ) -> NativeCompletion | Fallback:
        """By the best route that the server takes, or why it takes none. `way` is the one that was chosen already."""
        room = await _room_behind(known, turn, len(token_ids))
        run = turn.runs.run(token_ids, earlier=earlier)
        way = way or await self._ways.choose(known.routes, turn)
        while isinstance(way, TurnWay):
            route = way.route
            body = way.body(turn, run, room=room)
            try:
                answer = await self._send(known.server, route.path, body, headers=turn.headers, budget=turn.budget)
                completion = way.read(answer, run, served)
                check_echo(run, completion.answer)
            except ModelError as error:
                known.rule_out(route, error)
                way = await self._ways.choose(known.routes, turn)
            else:
                known.routes.prove(route)
                completion.note_prompt(token_ids)
                return completion.note(route=route.route, prefix_digest=run.digest.hexdigest())
        return way

    async def _complete_from_messages(self, known: KnownServer, turn: Turn, fallback: Fallback) -> NativeCompletion:
        messages = to_native_messages(turn.said)
        route = known.routes.current()
        no_ids_because = str(route) if isinstance(route, Fallback) else ""
        guarded = await self._messages_in.guard(messages, turn.template, no_ids_because=no_ids_because)
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
                retokenized_ids=0 if turn.is_first else len(ids),
                tokenizer="local",
            )
            completion = await self._complete_from_ids(known, turn, ids, in_ids, earlier=[])
            if not isinstance(completion, Fallback):
                return completion
            guarded = await self._messages_in.guard(messages, turn.template, no_ids_because=str(completion))
        served = replace(served, control_strings=cast(int, guarded))
        completion = await self._complete(
            known.server, routes.CHAT, turn.body(messages), served=served, headers=turn.headers, budget=turn.budget
        )
        return _with_prompt_noted(completion, turn)

    async def _find_root(self, model: str) -> str | None:
        """Where a server says the model's files are."""
        there = next((server for server in self.fleet.servers if not server.is_out), self.fleet.servers[0])
        told = await self._known[there].introduction()
        if not told.models and not told.models_problem:
            raise ServerUnreachableError(f"the server at {there.shown_url} has not told which models it serves")
        served = told.model(model)
        return served.root if served else None


async def _room_behind(known: KnownServer, turn: Turn, count: int) -> int | None:
    """How many ids can follow a prompt of `count` ids; None where the server does not say. Raises where that is none:
    nothing is sent for that. The limit is asked for again first, since a server that was started anew may have another
    one."""
    model = turn.template.model
    limit = (await known.introduction()).max_model_len(model)
    if limit is not None and count >= limit:
        known.forget_introduction()
        limit = (await known.introduction()).max_model_len(model)
    if limit is not None and count >= limit:
        raise OverlongPromptError(
            f"the prompt has {count} ids and {model} takes {limit}, of which one has to be sampled; nothing was sent"
        )
    return None if limit is None else limit - count


def _messages_of(prompt: OpenAIChatMessages) -> AnyMessages:
    said: Any = prompt
    return said.messages if isinstance(said, NativePrompt) else cast(AnyMessages, said)


def _template_input(model: str, tools: list[OpenAITool] | None, fields: Mapping[str, Any]) -> TemplateInput:
    return TemplateInput(model=model, tools=cast(list[dict[str, Any]] | None, tools or None), fields=fields)


def _served(stitched: Stitched, turn: Turn) -> Served:
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


def _with_prompt_noted(completion: NativeCompletion, turn: Turn) -> NativeCompletion:
    """Keeps the prompt the server made of messages: the next turn continues it."""
    prompt_ids = completion.answer.prompt_token_ids
    if not prompt_ids:
        return completion
    run = turn.runs.keep(PromptRun.of(prompt_ids))
    return completion.note(
        prefix_digest=run.digest.hexdigest(), retokenized_ids=0 if turn.is_first else len(prompt_ids)
    )


def _weight_versions(answer: ChatAnswer) -> tuple[WeightVersionSpan, ...]:
    spans = (answer.choices[0].weight_versions or ()) if answer.choices else ()
    return tuple(WeightVersionSpan(version=span.version, start=span.start, end=span.end) for span in spans)
