"""What a model of a family would have sampled for a shape's turn: its reasoning, its text, its calls, its end.

For us any ids do. The hand-written renderers read what was sampled (is the reasoning finished, which tools were
called), so that the turn has to be written as the family writes it. How calls are written is the template's to say.
"""

from __future__ import annotations

import json
from typing import Any

from tests.corpus.family import Family
from tests.corpus.reference import in_template_form
from tests.corpus.shape import Ending, Message, Shape, assistant, user
from tests.oracle.pairs import Pair, tokenizer_for, with_fixed_date
from verifiers_tito.types import first_difference

END_OF_THINK = "</think>"


def sampled_body(pair: Pair, shape: Shape, prompt_ids: list[int]) -> list[int]:
    """Ids of the turn without its end, sampled behind `prompt_ids`."""
    tokenizer = tokenizer_for(pair.family)
    calls = _calls(pair.corpus_family, tokenizer, shape.calls)
    prompt = tokenizer.decode(prompt_ids[-20:]).rstrip("\n")
    text = _in_channels(shape, calls) if pair.harmony else _in_one_piece(pair, shape, calls, prompt)
    return list(tokenizer.encode(text, add_special_tokens=False))


def _in_one_piece(pair: Pair, shape: Shape, calls: str, prompt: str) -> str:
    """Reasoning, content, calls. A prompt may have opened the reasoning, or closed it before it began."""
    reasoning = shape.assistant.get("reasoning_content") or ""
    if pair.thinks and not prompt.endswith(END_OF_THINK):
        opening = "" if prompt.endswith("<think>") else "<think>\n"
        reasoning = opening + reasoning + ("" if _stops_while_thinking(shape) else f"\n{END_OF_THINK}\n\n")
    return reasoning + "\n".join(part for part in (shape.assistant["content"], calls) if part)


def _in_channels(shape: Shape, calls: str) -> str:
    """gpt-oss' way: what is said beside a call is said in the channel of the reasoning."""
    content = shape.assistant["content"] or ""
    thoughts = [shape.assistant.get("reasoning_content"), content if calls else ""]
    thought = "\n".join(text for text in thoughts if text)
    analysis = f"<|channel|>analysis<|message|>{thought}" if thought else ""
    if _stops_while_thinking(shape):
        return analysis
    opening = f"{analysis}<|end|><|start|>assistant" if analysis else ""
    return opening + (calls or f"<|channel|>final<|message|>{content}")


def _stops_while_thinking(shape: Shape) -> bool:
    turn = shape.assistant
    return shape.ending is Ending.TRUNCATED and bool(turn.get("reasoning_content")) and not turn["content"]


def _calls(family: Family, tokenizer: Any, calls: list[dict[str, Any]]) -> str:
    """The calls as the template writes them behind a generation prompt, or as JSON where it writes no such calls."""
    if not calls:
        return ""
    ask, turn = user("x"), assistant("", tool_calls=calls)
    try:
        prompt = _ids(family, tokenizer, [ask], add_generation_prompt=True)
        whole = _ids(family, tokenizer, [ask, turn], add_generation_prompt=False)
    except Exception:  # a template that takes one call at a time raises whatever it likes
        return "\n".join(json.dumps(call["function"], ensure_ascii=False) for call in calls)
    begin = first_difference(prompt, whole)
    text = str(tokenizer.decode(whole[len(prompt) if begin is None else begin :]))
    if family.call_close:
        text = text[: text.rindex(family.call_close)]
    return text.rpartition(END_OF_THINK)[2].strip("\n")


def _ids(family: Family, tokenizer: Any, messages: list[Message], *, add_generation_prompt: bool) -> list[int]:
    text = tokenizer.apply_chat_template(
        in_template_form(family, messages),
        add_generation_prompt=add_generation_prompt,
        tokenize=False,
        **with_fixed_date({}),
    )
    return list(tokenizer.encode(text, add_special_tokens=False))
