"""Where the names that the plugin needs live in the installed vLLM.

vLLM moves its modules between releases (seen from 0.26 to 0.32). This is the only place that knows; it knows
neither routes nor requests. Nothing is imported before `load_vllm` is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from verifiers_tito.errors import ConfigError

KNOWN_VERSIONS = "0.26 to 0.32"

_API_UTILS = ("vllm.entrypoints.serve.utils.api_utils",)
_CHAT_PROTOCOL = ("vllm.entrypoints.openai.chat_completion.protocol",)
_ERROR_PROTOCOL = (
    "vllm.entrypoints.serve.engine.protocol",  # from 0.29
    "vllm.entrypoints.openai.engine.protocol",  # to 0.28
)
_SSE_KEEP_ALIVE = (
    "vllm.entrypoints.serve.utils.sse_keep_alive",  # from 0.30
    "vllm.entrypoints.openai.sse_keep_alive",  # 0.29
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VLLM:
    """The names the plugin takes from vLLM and from the FastAPI that comes with it."""

    version: str
    chat_request: type[Any]
    chat_response: type[Any]
    error_response: type[Any]
    tokens_input: Callable[..., Any]
    validate_json_request: Callable[..., Any]
    with_cancellation: Callable[..., Any]
    load_aware_call: Callable[..., Any]
    load_metrics_header: Callable[[str], Any]
    sse_keep_alive: Callable[[Any, float], Any]
    depends: Callable[..., Any]
    request: type[Any]
    json_response: type[Any]
    streaming_response: type[Any]
    detokenizer: Any
    """The module that makes text of sampled ids, None where there is no such module."""


def load_vllm() -> VLLM:
    """Imports vLLM's parts. Raises `ConfigError` when vLLM is not there, or lacks one of them."""
    version = _vllm_version()

    def find(name: str, modules: Sequence[str]) -> Any:
        return find_name(name, modules, vllm_version=version)

    return VLLM(
        version=version,
        chat_request=find("ChatCompletionRequest", _CHAT_PROTOCOL),
        chat_response=find("ChatCompletionResponse", _CHAT_PROTOCOL),
        error_response=find("ErrorResponse", _ERROR_PROTOCOL),
        tokens_input=find("tokens_input", ("vllm.inputs",)),
        validate_json_request=find("validate_json_request", _API_UTILS),
        with_cancellation=find("with_cancellation", _API_UTILS),
        load_aware_call=find("load_aware_call", _API_UTILS),
        load_metrics_header=find("metrics_header", ("vllm.entrypoints.serve.utils.orca_metrics",)),
        sse_keep_alive=_sse_keep_alive(),
        depends=find("Depends", ("fastapi",)),
        request=find("Request", ("fastapi",)),
        json_response=find("JSONResponse", ("fastapi.responses",)),
        streaming_response=find("StreamingResponse", ("fastapi.responses",)),
        detokenizer=_module("vllm.v1.engine.detokenizer"),
    )


def find_name(name: str, modules: Sequence[str], *, vllm_version: str) -> Any:
    """`name` from the first of `modules` that has it, else `ConfigError` with the version and the places."""
    for module in modules:
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ConfigError(
        f"vLLM {vllm_version} has no {name} in {' or '.join(modules)}: verifiers_tito's endpoint plugin is "
        f"made for vLLM {KNOWN_VERSIONS}. Install one of those, or start vLLM without verifiers_tito in "
        "VLLM_PLUGINS"
    )


def _vllm_version() -> str:
    try:
        module = import_module("vllm")
    except ImportError as exc:
        raise ConfigError(
            "verifiers_tito's endpoint plugin runs inside vLLM's server process, and vllm cannot be imported "
            f"here ({exc}). Install it with: pip install 'verifiers-tito[vllm]'"
        ) from exc
    return str(getattr(module, "__version__", "of unknown version"))


def _module(name: str) -> Any:
    """None where it cannot be imported."""
    try:
        return import_module(name)
    except ImportError:
        return None


def _sse_keep_alive() -> Callable[[Any, float], Any]:
    """vLLM's comment lines that keep an idle stream open; releases before 0.29 stream without."""
    modules = (_module(name) for name in _SSE_KEEP_ALIVE)
    found = next((module for module in modules if module is not None), None)
    return getattr(found, "with_sse_keep_alive", _without_keep_alive)


def _without_keep_alive(stream: Any, interval_seconds: float) -> Any:
    return stream
