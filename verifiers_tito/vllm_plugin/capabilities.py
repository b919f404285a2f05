"""What the server behind our route is, as far as it can be found out: the answer of a GET on the route.

Flow: once, when the engine is up, from vLLM's arguments, its engine client and its chat handler. vLLM renames and
moves these between releases, so each value has the places where it may stand, and one that is nowhere is `None`: a
server must not fail to start because it cannot describe itself. It knows no HTTP.
"""

from __future__ import annotations

from typing import Any, TypeVar

from verifiers_tito.vllm_plugin.serving import vocabulary_size
from verifiers_tito.wire.answers import TokenRouteCapabilities
from verifiers_tito.wire.logprobs_form import LogprobsForm
from verifiers_tito.wire.package_version import package_version
from verifiers_tito.wire.prompt_digest import PromptEcho

ValueT = TypeVar("ValueT", bound="int | str")


def find_capabilities(*, vllm_version: str, chat: Any, engine_client: Any, args: Any) -> TokenRouteCapabilities:
    """Describes the server. `chat` is vLLM's chat handler, `args` its command line. Never raises."""
    places = {"chat": chat, "engine": engine_client, "args": args}
    return TokenRouteCapabilities(
        plugin_version=package_version(),
        vllm_version=vllm_version,
        model=_served_name(places),
        max_model_len=_first(int, places, "engine.model_config.max_model_len", "chat.model_config.max_model_len"),
        tool_call_parser=_tool_call_parser(places),
        reasoning_parser=_first(
            str,
            places,
            "args.structured_outputs_config.reasoning_parser",  # what vLLM parses with, also where a plugin chose it
            "args.reasoning_parser",
        ),
        logprobs_mode=_first(
            str,
            places,
            "engine.model_config.logprobs_mode",
            "chat.model_config.logprobs_mode",
            "args.logprobs_mode",
        ),
        prompt_echo=tuple(str(echo) for echo in PromptEcho),
        logprobs_form=tuple(str(form) for form in LogprobsForm),
        vocabulary_size=_vocabulary_size(places),
    )


def _vocabulary_size(places: dict[str, Any]) -> int | None:
    renderer = _found(places, "chat.online_renderer")
    try:
        return vocabulary_size(renderer)
    except Exception:  # programs of vLLM's, as below
        return None


def _served_name(places: dict[str, Any]) -> str | None:
    """The name that requests give as `model`: the first of several, which is the one that answers carry."""
    served = _first_item(_found(places, "chat.models.base_model_paths"))
    served_names = _found(places, "args.served_model_name")
    names = {
        "registered": getattr(served, "name", None),
        "listed": _first_item(served_names),
        "single": served_names,
        "path": _found(places, "args.model"),  # which vLLM serves under, unless told otherwise
    }
    return _first(str, names, *names)


def _tool_call_parser(places: dict[str, Any]) -> str | None:
    """The parser that runs: vLLM leaves it out without --enable-auto-tool-choice."""
    if _found(places, "args.enable_auto_tool_choice") is False:
        return None
    return _first(str, places, "args.tool_call_parser")


def _first(kind: type[ValueT], places: dict[str, Any], *paths: str) -> ValueT | None:
    """The first value of this type, empty texts aside."""
    values = (_found(places, path) for path in paths)
    return next((value for value in values if isinstance(value, kind) and value != ""), None)


def _found(places: dict[str, Any], path: str) -> Any:
    """What stands at a dotted path, `None` where a part is missing."""
    root, *names = path.split(".")
    value = places.get(root)
    for name in names:
        try:
            value = getattr(value, name, None)
        except Exception:  # a property is a program of vLLM's; whatever it raises, the value is not to be had
            return None
    return value


def _first_item(values: Any) -> Any:
    return values[0] if isinstance(values, list | tuple) and values else None
