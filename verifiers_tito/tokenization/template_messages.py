"""Messages and tools as vLLM hands them to a chat template.

A template does not see what came over the wire: vLLM parses tool-call arguments into objects, gives reasoning under
two names, fills in a missing tool description and lets contents be strings or lists of parts, whichever form it
thinks the template wants. A local rendering is the server's only if it does the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any

from jinja2 import Environment, TemplateError, nodes

from verifiers_tito.types import content_to_text

_GENERATION_BLOCK = re.compile(r"{%-?\s*(?:end)?generation\s*-?%}")
"""A tag of transformers that plain Jinja does not know."""
NOT_FOR_TEMPLATES = frozenset(
    [
        "tokenize",
        "return_dict",
        "return_tensors",
        "return_assistant_tokens_mask",
        "tokenizer_kwargs",
        "padding",
        "truncation",
        "max_length",
        "conversation",
        "add_generation_prompt",
        "continue_final_message",
    ]
)
"""Template arguments that mean something to `apply_chat_template` itself; a request may not set them."""


class ContentForm(StrEnum):
    """The form in which a template gets a message's content."""

    STRING = "string"
    """vLLM's "string" format: always a string, "" where there is none."""
    PARTS = "parts"
    """vLLM's "openai" format: a list of parts, but for tool messages."""
    AS_GIVEN = "as given"
    """What the caller gave, unchanged, as `transformers` does it."""
    ALL_PARTS = "all parts"
    """The same, but every string as a list of one part: for templates that know nothing else."""


def to_template_messages(
    messages: Sequence[Mapping[str, Any]], *, form: ContentForm, knows_developer: bool
) -> list[dict[str, Any]]:
    """`messages` in OpenAI's shape as a template gets them. A template that has no developer role sees a system's."""
    if form is ContentForm.AS_GIVEN:
        return [dict(message) for message in messages]
    if form is ContentForm.ALL_PARTS:
        return [{**message, "content": _parts(message.get("content"))} for message in messages]
    made = [_template_message(message, form) for message in messages]
    if any(message["role"] == "developer" for message in made) and not knows_developer:
        for message in made:
            message["role"] = "system" if message["role"] == "developer" else message["role"]
        return _one_system_message(made)
    return made


def to_template_tools(tools: Sequence[Mapping[str, Any]] | None, *, form: ContentForm) -> list[Any] | None:
    """Function tools with vLLM's own fields in its order, a missing description or schema as null."""
    if form in (ContentForm.AS_GIVEN, ContentForm.ALL_PARTS):
        return None if tools is None else list(tools)
    if not tools:
        return None
    return [_template_tool(tool["function"]) for tool in tools]


@lru_cache(maxsize=64)
def goes_through_parts(chat_template: str) -> bool:
    """Whether a template has a loop over a message's content: `for part in message.content`, or over a macro's argument
    or a variable that holds one. vLLM looks for the same."""
    try:
        template = Environment(extensions=["jinja2.ext.loopcontrols"]).parse(_GENERATION_BLOCK.sub("", chat_template))
    except TemplateError:
        return False
    contents = {"content"} | {
        assigned.target.name
        for assigned in template.find_all(nodes.Assign)
        if isinstance(assigned.target, nodes.Name) and _is_content(assigned.node, set())
    }
    return any(_is_content(loop.iter, contents) for loop in template.find_all(nodes.For))


def _is_content(node: nodes.Expr | nodes.Node | None, names: set[str]) -> bool:
    while isinstance(node, nodes.Filter | nodes.Test):
        node = node.node
    if isinstance(node, nodes.Getattr):
        return node.attr == "content"
    if isinstance(node, nodes.Getitem):
        return isinstance(node.arg, nodes.Const) and node.arg.value == "content"
    return isinstance(node, nodes.Name) and node.name in names


def call_arguments(arguments: Any) -> Any:
    """Tool-call arguments as an object. What is no JSON object becomes an empty one, as in vLLM."""
    if isinstance(arguments, Mapping):
        return arguments
    try:
        parsed = json.loads(arguments or "{}")
    except json.JSONDecodeError:
        parsed = {}
    return parsed if isinstance(parsed, dict) else {}


def _template_tool(function: Mapping[str, Any]) -> dict[str, Any]:
    made = {name: function.get(name) for name in ("name", "description", "parameters")}
    if function.get("strict") is not None:
        made["strict"] = function["strict"]
    return {"type": "function", "function": made}


def _template_message(message: Mapping[str, Any], form: ContentForm) -> dict[str, Any]:
    role = message["role"]
    made: dict[str, Any] = {"role": role, "content": _content(message.get("content"), role, form)}
    if role == "assistant":
        if message.get("tool_calls"):
            made["tool_calls"] = [_template_call(call) for call in message["tool_calls"]]
        if message.get("reasoning") is not None:
            made["reasoning"] = made["reasoning_content"] = message["reasoning"]
    if role == "tool" and "tool_call_id" in message:
        made["tool_call_id"] = message["tool_call_id"]
    if isinstance(message.get("name"), str):
        made["name"] = message["name"]
    return made


def _template_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {**call, "function": {**function, "arguments": call_arguments(function.get("arguments"))}}


def _content(content: Any, role: str, form: ContentForm) -> Any:
    if form is ContentForm.STRING or role == "tool":
        return content if isinstance(content, str) else "\n".join(content_to_text([part]) for part in content or [])
    return _parts(content)


def _parts(content: Any) -> list[dict[str, Any]]:
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    return [dict(part.items()) for part in parts]


def _one_system_message(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """System messages of developers' making are merged into one at the front, where they are not one there already."""
    places = [place for place, message in enumerate(messages) if message["role"] == "system"]
    if places == [0]:
        return messages
    texts = [content_to_text(messages[place]["content"]) for place in places]
    rest = [message for message in messages if message["role"] != "system"]
    return [{"role": "system", "content": "\n\n".join(filter(None, texts))}, *rest]
