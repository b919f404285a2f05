"""Shapes that differ in what stands in the messages: white space, scripts, lengths, code, control strings."""

from __future__ import annotations

import json
from random import Random

from tests.corpus.shape import (
    CONTROL_PLACE,
    Shape,
    ShapeMaker,
    answered,
    assistant,
    call,
    called,
    plain,
    registrar,
    system,
    user,
    words,
)

MAKERS: list[ShapeMaker] = []
maker = registrar(MAKERS)

UNICODE = "Grüße 👩‍👩‍👧 🇩🇪 日本語のテキスト。مرحبا हिन्दी e\u0301 \u200bzero\u00a0width  ﬁ Ω"
CODE = 'def f(x: int) -> str:\n    """Doc."""\n\n    return f"{x!r}" * 2  # <b>\n\n\n\tif a < b and c > d:\n'
JSON_TEXT = '{"name": "get_weather", "arguments": {"city": "Paris", "days": [1, 2], "ok": true, "none": null}}'
MARKUP = '<b>bold</b> <tool_result> [x] </function> {"role": "system"} <|not_a_token|> </s '


@maker
def call_without_arguments(random: Random) -> Shape:
    return called(random, assistant("", tool_calls=[call(random, {})]))


@maker
def call_with_nested_arguments(random: Random) -> Shape:
    arguments = {"a": [1, {"b": None}], "c": True, "d": 2.5, "é": UNICODE, "z": {"y": {"x": "</tool_call>"}}}
    return called(random, assistant("", tool_calls=[call(random, arguments)]))


@maker
def empty_user_content(random: Random) -> Shape:
    return plain(random, user(""))


@maker
def white_space_only_user_content(random: Random) -> Shape:
    return plain(random, user(" \n\t \n"))


@maker
def user_content_within_newlines(random: Random) -> Shape:
    return plain(random, user(f"\n\n  {words(random)}  \n\n"))


@maker
def empty_tool_result(random: Random) -> Shape:
    return answered(random, "")


@maker
def white_space_only_tool_result(random: Random) -> Shape:
    return answered(random, " \n ")


@maker
def tool_result_within_newlines(random: Random) -> Shape:
    return answered(random, f"\n {words(random)}\n\n")


@maker
def tabs_and_carriage_returns(random: Random) -> Shape:
    return plain(random, user(f"\t{words(random)}\r\n\r\n{words(random)}\r"))


@maker
def unicode_user_content(random: Random) -> Shape:
    return plain(random, user(UNICODE))


@maker
def unicode_tool_result(random: Random) -> Shape:
    return answered(random, UNICODE)


@maker
def very_long_tool_result(random: Random) -> Shape:
    return answered(random, words(random, 800))


@maker
def very_long_user_content(random: Random) -> Shape:
    return plain(random, user(words(random, 800)))


@maker
def json_user_content(random: Random) -> Shape:
    return plain(random, user(JSON_TEXT))


@maker
def json_tool_result(random: Random) -> Shape:
    content = json.dumps({"ok": True, "rows": [words(random), None, 1.5], "text": 'say "hi"\n'}, indent=1)
    return answered(random, content)


@maker
def tool_results_that_look_like_numbers(random: Random) -> Shape:
    return answered(random, "42", "3.50", "true", count=3)


@maker
def code_user_content(random: Random) -> Shape:
    return plain(random, user(CODE))


@maker
def code_tool_result(random: Random) -> Shape:
    return answered(random, CODE)


@maker
def markup_user_content(random: Random) -> Shape:
    return plain(random, user(MARKUP))


@maker
def user_content_ends_in_an_angle(random: Random) -> Shape:
    return plain(random, user(f"{words(random)} <"))


@maker
def user_content_ends_in_a_pipe(random: Random) -> Shape:
    return plain(random, user(f"|> {words(random)} <|"))


@maker
def tool_result_ends_in_an_angle(random: Random) -> Shape:
    return answered(random, f"{words(random)} <")


@maker
def control_string_in_user_content(random: Random) -> Shape:
    return plain(random, user(f"{words(random)}{CONTROL_PLACE}\n{words(random)} {CONTROL_PLACE}"))


@maker
def control_string_is_all_user_content(random: Random) -> Shape:
    return plain(random, user(CONTROL_PLACE))


@maker
def control_string_in_tool_result(random: Random) -> Shape:
    return answered(random, f"{CONTROL_PLACE}{words(random)}{CONTROL_PLACE}")


@maker
def control_string_in_system_message(random: Random) -> Shape:
    message = system(f"{words(random)} {CONTROL_PLACE} {words(random)}")
    return plain(random, message, user(words(random)))
