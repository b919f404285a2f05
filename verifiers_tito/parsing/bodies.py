"""How a call's header gives its name, and its body its arguments: one function per way of writing them.

They find what vLLM's regular expressions find, by one walk over the text: no pattern here goes back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from verifiers_tito.parsing.result import CallProblem

QWEN_PARAMETER = re.compile(r"<\s*+parameter\s*+=\s*+([^>]*+)>")
QWEN_VALUE_END = re.compile(r"<\s*+/\s*+parameter\s*+>|(?=<\s*+parameter\s*+=)")
MINIMAX_PARAMETER = re.compile(
    r"""<\s*+parameter\s++name\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^>\s]++))\s*+>""",
)
MINIMAX_VALUE_END = re.compile(r"<\s*+/\s*+parameter\s*+>|(?=<\s*+parameter\s++name\s*+=)")
KEY, VALUE_END = "<arg_key>", "</arg_value>"
KEY_TO_VALUE = re.compile(r"</arg_key>\s*+<arg_value>")
JSON = json.JSONDecoder()
KIMI_ID = re.compile(r".+:\d+")
NAME_IN_JSON = re.compile(r'"name"\s*+:\s*+"([^"]*+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What stands before a call's arguments: its name, and its id where the model writes one. An empty name is none."""

    name: str
    call_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadArguments:
    """Arguments as JSON text. `problem` where something of the body is not in them."""

    json_text: str
    problem: CallProblem | None = None


def plain_header(header: str) -> Header:
    return Header(name=header)


def stripped_header(header: str) -> Header:
    return Header(name=header.strip())


def kimi_header(header: str) -> Header:
    """`functions.NAME:NUMBER` is the call's id, and says its name."""
    match = KIMI_ID.match(header.strip())
    if not match:
        return Header(name="")
    call_id = match.group().strip()
    return Header(name=call_id.split(":")[0].removeprefix("functions."), call_id=call_id)


def json_arguments(body: str) -> ReadArguments:
    """The text as the model wrote it, JSON or not."""
    text = body.strip()
    return ReadArguments(json_text=text, problem=problem_of_json(text))


def leading_json_arguments(body: str) -> ReadArguments:
    """The JSON that the text begins with, as the model wrote it; text behind it is dropped."""
    text = body.strip()
    try:
        _, end = JSON.raw_decode(text)
    except (ValueError, RecursionError):
        return ReadArguments(json_text=text, problem=CallProblem.NO_JSON)
    problem = CallProblem.STRAY_TEXT if end < len(text) else problem_of_json(text)
    return ReadArguments(json_text=text[:end], problem=problem)


def qwen_arguments(body: str) -> ReadArguments:
    """`<parameter=NAME>` to the next `</parameter>` or parameter; one newline on each side belongs to the markup."""
    return _parameters(
        body, QWEN_PARAMETER, QWEN_VALUE_END, trim=lambda value: value.removeprefix("\n").removesuffix("\n")
    )


def minimax_arguments(body: str) -> ReadArguments:
    """As Qwen's, the name behind `name=` with or without quotes, and no white space dropped."""
    return _parameters(body, MINIMAX_PARAMETER, MINIMAX_VALUE_END, trim=str, strips_names=True)


def _parameters(
    body: str,
    opening: re.Pattern[str],
    closing: re.Pattern[str],
    *,
    trim: Callable[[str], str],
    strips_names: bool = False,
) -> ReadArguments:
    values: dict[str, str] = {}
    place, last_bracket, is_whole = 0, body.rfind(">") + 1, True
    while (opened := opening.search(body, place, last_bracket)) is not None:
        closed = closing.search(body, opened.end())
        if closed is None:
            break
        name = next((group for group in opened.groups() if group), "")
        name = name.strip() if strips_names else name
        if name or not strips_names:
            values[name] = trim(body[opened.end() : closed.start()])
        is_whole = is_whole and body[place : opened.start()].isspace() | (place == opened.start())
        place = closed.end()
    is_whole = is_whole and not body[place:].strip()
    return ReadArguments(json_text=to_json(values), problem=None if is_whole else CallProblem.STRAY_TEXT)


def glm_arguments(body: str) -> ReadArguments:
    """`<arg_key>KEY</arg_key><arg_value>VALUE</arg_value>`, white space between them, none dropped from values."""
    values: dict[str, str] = {}
    place, is_whole = 0, True
    while (begin := body.find(KEY, place)) >= 0:
        middle = KEY_TO_VALUE.search(body, begin + len(KEY))
        end = body.find(VALUE_END, middle.end()) if middle else -1
        if middle is None or end < 0:
            break
        values[body[begin + len(KEY) : middle.start()].strip()] = body[middle.end() : end]
        is_whole = is_whole and not body[place:begin].strip()
        place = end + len(VALUE_END)
    is_whole = is_whole and not body[place:].strip()
    return ReadArguments(json_text=to_json(values), problem=None if is_whole else CallProblem.STRAY_TEXT)


def name_in(body: str) -> str:
    """The name that vLLM finds in a body without a header."""
    match = NAME_IN_JSON.search(body)
    return match.group(1) if match else ""


def call_in_json(body: str) -> tuple[str, ReadArguments]:
    """Name and arguments of a call without a header, whose body is a whole call in JSON. An empty name is none."""
    call = _json_value(body)
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        return "", ReadArguments(json_text=body, problem=CallProblem.NO_NAME_OR_ARGUMENTS)
    arguments = next((call[key] for key in ("arguments", "parameters") if key in call), None)
    if arguments is None:
        arguments = {key: value for key, value in call.items() if key != "name"}
    return call["name"], ReadArguments(json_text=arguments if isinstance(arguments, str) else to_json(arguments))


def problem_of_json(text: str) -> CallProblem | None:
    """What keeps a text from being the JSON object that arguments are."""
    return None if isinstance(_json_value(text), dict) else CallProblem.NO_JSON


def to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _json_value(text: str) -> Any:
    """The value, or None where the text is no JSON (or is null)."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
