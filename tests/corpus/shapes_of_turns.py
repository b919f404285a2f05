"""Shapes that differ in who speaks when, how the sampled turn is made, and how it ends."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from tests.corpus.shape import (
    Ending,
    Shape,
    ShapeMaker,
    answered,
    assistant,
    called,
    calling,
    plain,
    questions,
    registrar,
    system,
    tool_round,
    tools,
    user,
    words,
)

MAKERS: list[ShapeMaker] = []
maker = registrar(MAKERS)


@maker
def user_follows_up(random: Random) -> Shape:
    return plain(random)


@maker
def one_word_each(random: Random) -> Shape:
    return Shape(history=[user("a")], assistant=assistant("b"), tail=[user("c")])


@maker
def system_prompt_at_start(random: Random) -> Shape:
    history = [system(words(random)), user(words(random))]
    return Shape(history=history, assistant=assistant(words(random)), tail=[user(words(random))])


@maker
def system_prompt_and_tools(random: Random) -> Shape:
    shape = answered(random)
    return replace(shape, history=[system(words(random)), *shape.history])


@maker
def tools_but_no_call(random: Random) -> Shape:
    history = [system(words(random)), user(words(random))]
    return Shape(
        history=history,
        assistant=assistant(words(random)),
        tail=[user(words(random))],
        tools=tools(),
    )


@maker
def long_history(random: Random) -> Shape:
    return replace(plain(random), history=[*questions(random, 8), user(words(random))])


@maker
def very_long_history_with_system_prompt(random: Random) -> Shape:
    history = [system(words(random, 60)), *questions(random, 30), user(words(random))]
    return replace(plain(random), history=history)


@maker
def two_user_messages(random: Random) -> Shape:
    return plain(random, user(words(random)), user(words(random)))


@maker
def system_and_user_in_mid_conversation(random: Random) -> Shape:
    return plain(random, system(words(random)), user(words(random)))


@maker
def system_and_user_after_a_system_prompt(random: Random) -> Shape:
    shape = plain(random, system(words(random)), user(words(random)))
    return replace(shape, history=[system(words(random)), *shape.history])


@maker
def tool_result(random: Random) -> Shape:
    return answered(random)


@maker
def two_parallel_tool_results(random: Random) -> Shape:
    return answered(random, count=2)


@maker
def three_parallel_tool_results(random: Random) -> Shape:
    return answered(random, count=3)


@maker
def tool_result_then_user(random: Random) -> Shape:
    return answered(random, after=user(words(random)))


@maker
def two_tool_results_then_user(random: Random) -> Shape:
    return answered(random, count=2, after=user(words(random)))


@maker
def third_tool_round(random: Random) -> Shape:
    shape = answered(random)
    return replace(shape, history=[*shape.history, *tool_round(random), *tool_round(random, 2)])


@maker
def plain_turn_after_a_tool_round(random: Random) -> Shape:
    shape = plain(random)
    return replace(shape, history=[*shape.history, *tool_round(random)], tools=tools())


@maker
def tool_round_after_an_earlier_question(random: Random) -> Shape:
    shape = answered(random)
    earlier = [user(words(random)), *tool_round(random), assistant(words(random)), user(words(random))]
    return replace(shape, history=earlier)


@maker
def content_and_tool_call(random: Random) -> Shape:
    asking = calling(random, content=words(random))
    return called(random, asking)


@maker
def content_of_none_beside_a_tool_call(random: Random) -> Shape:
    return called(random, calling(random, content=None))


@maker
def content_and_two_tool_calls_then_user(random: Random) -> Shape:
    asking = calling(random, count=2, content=words(random))
    return called(random, asking, user(words(random)))


@maker
def user_after_an_unanswered_tool_call(random: Random) -> Shape:
    return Shape(
        history=[user(words(random))],
        assistant=calling(random),
        tail=[user(words(random))],
        tools=tools(),
    )


@maker
def reasoning(random: Random) -> Shape:
    shape = plain(random)
    return replace(shape, assistant=assistant(words(random), reasoning_content=words(random)))


@maker
def reasoning_and_tool_call(random: Random) -> Shape:
    asking = calling(random, reasoning_content=f"{words(random)}\n")
    return called(random, asking)


@maker
def reasoning_inside_the_content(random: Random) -> Shape:
    body = f"<think>\n{words(random)}\n</think>\n\n{words(random)}"
    return plain(random, body=body)


@maker
def end_of_reasoning_inside_the_content(random: Random) -> Shape:
    return plain(random, body=f"{words(random)}\n</think>\n\n{words(random)}")


@maker
def reasoning_in_the_history(random: Random) -> Shape:
    earlier = assistant(words(random), reasoning_content=words(random))
    shape = plain(random)
    return replace(shape, history=[user(words(random)), earlier, user(words(random))])


@maker
def thinking_on(random: Random) -> Shape:
    return replace(plain(random), template_kwargs={"enable_thinking": True})


@maker
def thinking_off(random: Random) -> Shape:
    return replace(plain(random), template_kwargs={"enable_thinking": False})


@maker
def thinking_off_and_tool_result(random: Random) -> Shape:
    return replace(answered(random), template_kwargs={"enable_thinking": False})


@maker
def thinking_on_and_tool_result(random: Random) -> Shape:
    return replace(answered(random), template_kwargs={"enable_thinking": True})


@maker
def truncated_turn(random: Random) -> Shape:
    return plain(random, ending=Ending.TRUNCATED)


@maker
def turn_truncated_in_white_space(random: Random) -> Shape:
    return plain(random, body=f"{words(random)} \n\n", ending=Ending.TRUNCATED)


@maker
def turn_truncated_in_its_reasoning(random: Random) -> Shape:
    shape = plain(random, ending=Ending.TRUNCATED)
    return replace(shape, assistant=assistant("", reasoning_content=words(random)))


@maker
def call_truncated_before_its_close(random: Random) -> Shape:
    return replace(answered(random), ending=Ending.TRUNCATED)


@maker
def stop_string_turn(random: Random) -> Shape:
    return plain(random, body=f"{words(random)} STOP", ending=Ending.STOP_STRING)


@maker
def stop_string_before_a_tool_result(random: Random) -> Shape:
    return replace(answered(random), ending=Ending.STOP_STRING)


@maker
def body_ends_in_white_space(random: Random) -> Shape:
    return plain(random, body=f"{words(random)}  \n\n")


@maker
def body_begins_with_white_space(random: Random) -> Shape:
    return plain(random, body=f"\n\n {words(random)}")


@maker
def empty_body(random: Random) -> Shape:
    return plain(random, body=None)


@maker
def alternative_end(random: Random) -> Shape:
    return plain(random, ending=Ending.ALTERNATIVE)


@maker
def alternative_end_of_a_call(random: Random) -> Shape:
    return replace(answered(random), ending=Ending.ALTERNATIVE)
