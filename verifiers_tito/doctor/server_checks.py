"""A running server, looked at from outside: what it says of itself, how it behaves, and two turns of a conversation.

introduction ──► version, model, routes, capabilities          behaviour ──► what it does not say
/tokenize ──► local files compared, the template examined      two real turns ──► does token-in work
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from openai import AsyncOpenAI

from verifiers_tito.clients.template_input import TemplateInput
from verifiers_tito.doctor.advice import server_advice
from verifiers_tito.doctor.conversation import converse
from verifiers_tito.doctor.findings import (
    Agreement,
    Answer,
    ControlText,
    InjectionFinding,
    LogprobsFinding,
    ParserFinding,
    Report,
    RouteFinding,
    ServerFinding,
    TemplateFinding,
)
from verifiers_tito.doctor.introduction import Introduction, introduce
from verifiers_tito.doctor.local_checks import Local, check_local
from verifiers_tito.doctor.server_behaviour import (
    find_reasoning_parser,
    find_tool_call_parser,
    measure_logprobs,
    takes_ids_in_kv,
)
from verifiers_tito.doctor.template_checks import BY_SERVER, template_in_files, template_on_server
from verifiers_tito.errors import ConfigError
from verifiers_tito.transport import AUTHENTICATION_ERRORS, connect, with_base_url
from verifiers_tito.types import ClientConfig, ControlTextPolicy, Route
from verifiers_tito.wire import routes

TIMEOUT_SECONDS = 120.0
KV = f"{routes.CHAT}, ids"
ROUTES = (
    (routes.CHAT_TOKENS, "token ids in, messages out: this package's plugin"),
    (KV, "token ids in kv_transfer_params: stock vLLM from 0.27 on"),
    (routes.CHAT, "messages in, messages out"),
    (routes.TOKENIZE, "the server's own template and tokenizer"),
    ("/inference/v1/generate", "token ids in and out; not used"),
    ("/v1/completions", "text or token ids in, text out; not used"),
)


async def check_server(base_url: str, *, api_key: str | None, model: str | None, tokenizer: str | None) -> Report:
    """`base_url` ends in `/v1`. Raises an `Error` of one line where the server cannot be looked at."""
    config = ClientConfig(base_url=base_url, api_key=api_key, timeout=TIMEOUT_SECONDS, max_retries=0)
    try:
        async with connect(config) as provider:
            return await _look_at(provider, base_url, model=model, tokenizer=tokenizer)
    except AUTHENTICATION_ERRORS as error:
        raise ConfigError(
            f"the server at {base_url} refuses the key (status {error.status_code}); name the environment variable "
            "that holds it with --api-key-env"
        ) from error


async def _look_at(provider: AsyncOpenAI, base_url: str, *, model: str | None, tokenizer: str | None) -> Report:
    root_client = with_base_url(provider, base_url.removesuffix(routes.API_ROOT))
    told = await introduce(root_client, model=model)
    name, root = told.model.id, told.model.root or ""
    local = await check_local(root_client, model=name, root=root, given=tokenizer)
    template = await template_on_server(root_client, TemplateInput(model=name, tools=None, fields={}))
    if not template.is_examined and local.tokenizer is not None:
        template = (await asyncio.to_thread(template_in_files, local.tokenizer)).finding
    server = await _finding(provider, base_url, told, local, template)
    return Report(
        target=base_url,
        server=server,
        template=template,
        injection=_injection(server),
        advice=tuple(server_advice(server, template)),
    )


async def _finding(
    provider: AsyncOpenAI, base_url: str, told: Introduction, local: Local, template: TemplateFinding
) -> ServerFinding:
    conversation = await converse(provider, told.model.id, tokenizer=local.tokenizer)
    has_route = told.capabilities is not None or conversation.route == Route.CHAT_TOKENS
    takes_kv = conversation.route == Route.CHAT_KV or await takes_ids_in_kv(provider, told.model.id)
    answered = {
        routes.CHAT_TOKENS: has_route,
        KV: takes_kv,
        routes.CHAT: bool(conversation.first_turn),
        routes.TOKENIZE: template.is_examined and template.rendered_by == BY_SERVER,
    }
    return ServerFinding(
        base_url=base_url,
        vllm_version=told.vllm_version,
        plugin_version=(told.capabilities.plugin_version if told.capabilities else None) or "",
        model=told.model.id,
        models=told.model_names,
        root=told.model.root or "",
        max_model_len=told.model.max_model_len,
        routes=_routes(told.paths, answered=answered),
        later_turns=Route.CHAT_TOKENS if has_route else Route.CHAT_KV if takes_kv else Route.CHAT,
        token_route_problem="" if has_route else told.token_route_problem,
        prompt_echo=told.capabilities.prompt_echo if told.capabilities else (),
        tool_call_parser=await _tool_call_parser(provider, told),
        reasoning_parser=await _reasoning_parser(provider, told),
        logprobs=await _logprobs(provider, told),
        local=local.finding,
        conversation=conversation,
    )


def _routes(paths: frozenset[str] | None, *, answered: Mapping[str, bool]) -> tuple[RouteFinding, ...]:
    """What is listed, and what has answered, listed or not. Our route has to have answered."""

    def available(path: str) -> Answer:
        if answered.get(path):
            return Answer.YES
        if path in (routes.CHAT_TOKENS, KV):
            return Answer.NO
        if paths is None:
            return Answer.UNKNOWN
        return Answer.YES if path in paths else Answer.NO

    return tuple(RouteFinding(path=path, purpose=purpose, available=available(path)) for path, purpose in ROUTES)


async def _tool_call_parser(provider: AsyncOpenAI, told: Introduction) -> ParserFinding:
    if told.capabilities is None:
        return await find_tool_call_parser(provider, told.model.id)
    return _named(told.capabilities.tool_call_parser)


async def _reasoning_parser(provider: AsyncOpenAI, told: Introduction) -> ParserFinding:
    if told.capabilities is None:
        return await find_reasoning_parser(provider, told.model.id)
    return _named(told.capabilities.reasoning_parser)


def _named(parser: str | None) -> ParserFinding:
    return ParserFinding(is_set=Answer.YES if parser else Answer.NO, name=parser or "")


async def _logprobs(provider: AsyncOpenAI, told: Introduction) -> LogprobsFinding:
    if told.capabilities is None or told.capabilities.logprobs_mode is None:
        return await measure_logprobs(provider, told.model.id)
    return LogprobsFinding(mode=told.capabilities.logprobs_mode, detail="the server says so")


def _injection(server: ServerFinding) -> InjectionFinding:
    """Contents can be kept text where a proven local tokenizer makes the ids, and ids can be sent."""
    local, conversation, sends_ids = server.local, server.conversation, server.later_turns.is_token_in
    is_local = conversation.tokenizer == "local" if conversation.works else local.agreement is Agreement.AGREES
    if sends_ids and is_local:
        effect, detail = ControlText.STAYS_TEXT, f"the client tokenizes them itself, with the files at {local.place}"
    else:
        why = f"the local tokenizer: {local.agreement}" if sends_ids else "ids cannot be sent"
        effect, detail = ControlText.REFUSED, f"the server tokenizes them, and cannot tell them apart ({why})"
    return InjectionFinding(policy=ControlTextPolicy.TEXT, effect=effect, detail=detail)
