"""vLLM's own chat handler, fed with the token ids of the request instead of a rendered conversation.

Flow: `TokensFields` on top of vLLM's request class; `tokens_handler` takes a shallow copy of vLLM's chat handler and
replaces one method on it, `render_chat_request`; that method runs vLLM's own, with a renderer that hands out the ids
it was given. Tool-choice checks, the parsers' `adjust_request`, length check, sampling, parsing and the answer stay
vLLM's; `verifiers_tito.vllm_plugin.answering` only changes how the answer shows the prompt and the log-probabilities.

It knows no HTTP, and of vLLM only what is reached through the handler: nothing here imports vLLM.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field, PrivateAttr, create_model, model_validator

from verifiers_tito.vllm_plugin.answering import Noted
from verifiers_tito.vllm_plugin.compat import KNOWN_VERSIONS
from verifiers_tito.wire.logprobs_form import LogprobsForm, check_logprobs_form
from verifiers_tito.wire.prompt_digest import PromptDigest, PromptEcho, check_prompt_echo
from verifiers_tito.wire.request_fields import RequestFieldError
from verifiers_tito.wire.routes import CHAT_TOKENS
from verifiers_tito.wire.token_ids import check_token_ids

# What only rendering reads. The prompt is there already, so these have no say; `messages` is not looked at.
_UNREAD = {"messages": [], "add_generation_prompt": True, "continue_final_message": False}

# What `tokens_handler` reaches through vLLM's handler.
_NEEDED = (
    "render_chat_request",
    "online_renderer.model_config.get_vocab_size",
    "online_renderer.renderer.tokenizer",
    "online_renderer.renderer.render_cmpl_async",
)

_REFUSED = {
    "echo": "no message is rendered that could be echoed",
    "truncate_prompt_tokens": "the prompt is exactly `tokens`; send fewer of them",
    "use_beam_search": "its beams are not tokens sampled from the policy",
}


class TokensFields(BaseModel):
    """What the body has beyond a chat completion's. Mixed in front of vLLM's `ChatCompletionRequest`."""

    # Any, because pydantic would take true and "7" for ids; `check_token_ids` says what an id is, and in which words.
    tokens: Any = Field(
        default=None,
        description="The prompt's token ids, used exactly as they are.",
        json_schema_extra={"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
    )
    messages: list[Any] = Field(default_factory=list, description="Ignored: the prompt is `tokens`.")
    # Any for the same reason: `check_prompt_echo` has the words.
    prompt_echo: Any = Field(
        default=None,
        description="How the answer shows the prompt: its ids, or a digest whose size does not depend on the prompt.",
        json_schema_extra={"enum": [str(echo) for echo in PromptEcho], "default": str(PromptEcho.IDS)},
    )
    logprobs_form: Any = Field(
        default=None,
        description="How the answer writes log-probabilities: an object a token, or an array of numbers.",
        json_schema_extra={"enum": [str(form) for form in LogprobsForm], "default": str(LogprobsForm.OBJECTS)},
    )
    _noted: Noted = PrivateAttr(default_factory=Noted)

    @model_validator(mode="before")
    @classmethod
    def _forget_what_is_for_rendering(cls, body: Any) -> Any:
        return {**body, **_UNREAD} if isinstance(body, dict) else body


def tokens_request_class(chat_request: type[Any]) -> type[Any]:
    """vLLM's request class plus `tokens`, with `messages` ignored."""
    request_class: Any = create_model("ChatCompletionTokensRequest", __base__=(TokensFields, chat_request))
    # vLLM caches the known field names on the class, and a subclass would read its parent's.
    request_class.field_names = None
    return request_class  # type: ignore[no-any-return]


def tokens_handler(chat: Any, *, error_response: type[Any], tokens_input: Callable[..., Any], vllm_version: str) -> Any:
    """A handler like `chat` (vLLM's `OpenAIServingChat`) whose prompt is the request's `tokens`.

    `chat` itself stays as it is. Raises `TypeError` when `chat` is not shaped as the plugin expects.
    """
    for path in _NEEDED:
        _demand(chat, path, vllm_version=vllm_version)
    rendering = TokensRendering(chat=chat, error_response=error_response, tokens_input=tokens_input)
    handler = copy.copy(chat)
    handler.render_chat_request = rendering.render_chat_request
    return handler


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensRendering:
    """Stands in for `OpenAIServingChat.render_chat_request`: no template, no tokenizer, the ids as sent."""

    chat: Any
    error_response: type[Any]
    tokens_input: Callable[..., Any]

    async def render_chat_request(self, request: Any) -> Any:
        """`(conversation, engine inputs)` or an error answer, as the method it replaces.

        The last check is the plugin's promise: whatever vLLM did in between, nothing is generated from
        other ids.
        """
        refused = refused_field(request)
        if refused is not None:
            return self._error(f"{CHAT_TOKENS} does not take {refused}: {_reason(refused)}", param=refused)
        stream = bool(getattr(request, "stream", None))
        try:
            echo = check_prompt_echo(request.prompt_echo, stream=stream)
            check_logprobs_form(request.logprobs_form, request)
            vocabulary = vocabulary_size(self.chat.online_renderer)
            tokens = check_token_ids(request.tokens, vocabulary_size=vocabulary)
        except RequestFieldError as exc:
            return self._error(str(exc), param=exc.param)
        rendered = await self._chat_with(tokens).render_chat_request(request)
        if isinstance(rendered, self.error_response):
            return rendered
        prompts = [_prompt_ids(engine_input) for engine_input in rendered[1]]
        if prompts != [tokens]:
            return self._server_error(prompts, tokens=tokens)
        if echo is PromptEcho.DIGEST:
            request._noted.prompt_digest = PromptDigest().extend(prompts[0]).answer()
        return rendered

    def _chat_with(self, tokens: list[int]) -> Any:
        """A copy of vLLM's handler, for one request, that renders to `tokens`: two objects' attributes."""
        chat = copy.copy(self.chat)
        chat.online_renderer = copy.copy(chat.online_renderer)
        chat.online_renderer.renderer = _GivenTokensRenderer(chat.online_renderer.renderer, tokens)
        if getattr(chat.online_renderer, "use_harmony", False):
            # gpt-oss messages do not go through the renderer. Should vLLM rename this method, then the
            # comparison of ids answers 500.
            def render_harmony(request: Any, *_: Any, **__: Any) -> Any:
                return [], [self.tokens_input(list(tokens), cache_salt=request.cache_salt)]

            chat.online_renderer._make_request_with_harmony = render_harmony
        return chat

    def _server_error(self, prompts: list[list[int]], *, tokens: list[int]) -> Any:
        lengths = [len(prompt) for prompt in prompts]
        return self._error(
            f"vLLM made a prompt of {lengths} tokens that differs from the {len(tokens)} sent in tokens; "
            "nothing was generated. This is a fault of verifiers_tito's endpoint plugin with this vLLM",
            type_="InternalServerError",
            code=500,
        )

    def _error(self, message: str, *, param: str | None = None, type_: str = "BadRequestError", code: int = 400) -> Any:
        return self.error_response(**error_body(message, param=param, type_=type_, code=code))


class _GivenTokensRenderer:
    """vLLM's renderer, except that rendering a chat gives the engine's input for the ids given."""

    def __init__(self, renderer: Any, tokens: list[int]) -> None:
        self._renderer = renderer
        self._tokens = tokens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._renderer, name)

    async def render_chat_async(
        self, conversations: Any, chat_params: Any, tok_params: Any = None, **options: Any
    ) -> tuple[list[list[Any]], list[Any]]:
        """As /v1/completions does with a list of ids: length check and cache salt, no tokenizer."""
        prompt = {"prompt_token_ids": list(self._tokens)}  # a copy: the ids sent are compared with it later
        return [[]], list(await self._renderer.render_cmpl_async([prompt], tok_params, **options))


def refused_field(request: Any) -> str | None:
    """The first field of the body that cannot go with a given prompt, or `None`."""
    for field in _REFUSED:
        value = getattr(request, field, None)
        if value is not None and value is not False:
            return field
    transfer = getattr(request, "kv_transfer_params", None)
    if isinstance(transfer, dict) and "prompt_token_ids" in transfer:
        return "kv_transfer_params.prompt_token_ids"
    return None


def vocabulary_size(online_renderer: Any) -> int:
    """One more than the highest id that vLLM's engine accepts: the larger of the tokenizer's and the model's.

    They differ: Qwen models have more embeddings than their tokenizers have tokens, some multimodal models
    have fewer.
    """
    size = int(online_renderer.model_config.get_vocab_size())
    tokenizer = online_renderer.renderer.tokenizer
    return size if tokenizer is None else max(size, tokenizer.max_token_id + 1)


def error_body(message: str, *, param: str | None, type_: str, code: int) -> dict[str, Any]:
    """An error as vLLM's routes write it."""
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}


def _reason(field: str) -> str:
    return _REFUSED.get(field, "the prompt is already given in `tokens`")


def _prompt_ids(engine_input: Any) -> list[int]:
    return list(engine_input.get("prompt_token_ids") or ())


def _demand(root: Any, path: str, *, vllm_version: str) -> None:
    value = root
    for name in path.split("."):
        if not hasattr(value, name):
            raise TypeError(
                f"{type(root).__name__} of vLLM {vllm_version} has no {path}: verifiers_tito's endpoint "
                f"plugin is made for vLLM {KNOWN_VERSIONS}"
            )
        value = getattr(value, name)
