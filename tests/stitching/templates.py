"""Small chat templates in Qwen 3's control tokens, each with one habit, and what it takes to try them out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from verifiers_tito.stitching import Junction, RenderRequest, TemplateBook, TemplateBridge
from verifiers_tito.tokenization import LocalRendering, LocalTokenizer

GO_ON = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
TURN = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
CALLS = "{% for call in m.tool_calls %}<tool_call>{{ call.function.arguments | tojson }}</tool_call>{% endfor %}"


def each(turn: str, *, before: str = "", after: str = GO_ON) -> str:
    """A template that writes `turn` for every message `m`."""
    return before + "{% for m in messages %}" + turn + "{% endfor %}" + after


CHATML = each(TURN)
CALLING = each("<|im_start|>{{ m.role }}\n{{ m.content or '' }}" + CALLS + "<|im_end|>\n")
CALLS_END_OTHERWISE = each(
    "<|im_start|>{{ m.role }}\n{{ m.content or '' }}" + CALLS + "{{ '<|fim_pad|>' if m.tool_calls else '<|im_end|>' }}"
)
CONTENT_AFTER_RESULTS = each(
    "{% if m.tool_calls %}<|im_start|>assistant\n"
    + CALLS
    + "<|im_end|>{% elif m.role == 'tool' %}<tool_response>{{ m.content }}</tool_response>"
    "{% if messages[loop.index0 - 1].content %}{{ messages[loop.index0 - 1].content }}{% endif %}"
    "{% else %}" + TURN + "{% endif %}"
)
CLOSELESS = each(
    "{{ {'user': '<|fim_prefix|>', 'tool': '<|fim_suffix|>', 'assistant': '<|fim_middle|>'}[m.role] }}{{ m.content }}",
    after="{% if add_generation_prompt %}<|fim_middle|>{% endif %}",
)
CLOSELESS_WITH_LINE_BREAKS = each(
    "{{ '\n' if not loop.first }}"
    "{{ {'user': '<|fim_prefix|>', 'tool': '<|fim_suffix|>', 'assistant': '<|fim_middle|>'}[m.role] }}{{ m.content }}",
    after="{% if add_generation_prompt %}{{ '\n' }}<|fim_middle|>{% endif %}",
)
CLOSELESS_CALLS_WITH_LINE_BREAKS = each(
    "{{ '\n' if not loop.first }}"
    "{{ {'user': '<|fim_prefix|>', 'tool': '<|fim_suffix|>', 'assistant': '<|fim_middle|>'}[m.role] }}"
    "{{ m.content or '' }}" + CALLS,
    after="{% if add_generation_prompt %}{{ '\n' }}<|fim_middle|>{% endif %}",
)
OTHER_FINAL_CLOSE = each(
    "<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{{ '<|endoftext|>' if loop.last and not add_generation_prompt else '<|im_end|>' }}"
)
TWO_CLOSING_TOKENS = each("<|im_start|>{{ m.role }}\n{{ m.content }}<|quad_end|><|im_end|>\n")
BLANK_BEFORE_CLOSE = each("<|im_start|>{{ m.role }}\n{{ m.content }} <|im_end|>\n")
REFUSES_TOOLS = each("{% if m.role == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}" + TURN)
REFUSES_ASSISTANTS = each("{% if m.role == 'assistant' %}{{ raise_exception('only questions') }}{% endif %}" + TURN)
SYSTEM_TO_THE_FRONT = each(
    "{% if m.role != 'system' %}" + TURN + "{% endif %}",
    before="{% for m in messages if m.role == 'system' %}" + TURN + "{% endfor %}",
)
COUNTS_TURNS = each("<|im_start|>{{ m.role }} {{ loop.index }}\n{{ m.content }}<|im_end|>\n")
KNOWS_THE_FIRST_RESULT = each(
    "{% if m.role == 'tool' and not seen.result %}<tool_response>{% set seen.result = true %}{% endif %}" + TURN,
    before="{% set seen = namespace(result=false) %}",
)
RESULTS_STAND_WITH_THEIR_CALLS = each(
    "{% if m.role != 'tool' %}<|im_start|>{{ m.role }}\n{{ m.content or '' }}" + CALLS + "<|im_end|>"
    "{% for call in m.tool_calls %}{% for r in messages if r.role == 'tool' and r.tool_call_id == call.id %}"
    "<tool_response>{{ r.content }}</tool_response>{% endfor %}{% endfor %}{% endif %}"
)
SYSTEM_TO_THE_FRONT_AND_ONE_ROUND_OF_TOOLS = (
    "{% if messages | selectattr('role', 'eq', 'tool') | list | length > 1 %}{{ raise_exception('once') }}{% endif %}"
    + SYSTEM_TO_THE_FRONT
)
LONG_ONES_HAVE_THEIR_SYSTEM_IN_FRONT = each(
    "{% if m.role != 'system' or messages | length < 6 %}" + TURN + "{% endif %}",
    before="{% if messages | length >= 6 %}{% for m in messages if m.role == 'system' %}"
    + TURN
    + "{% endfor %}{% endif %}",
)
CLOSELESS_AND_NUMBERED = each(
    "{{ {'user': '<|fim_prefix|>', 'tool': '<|fim_suffix|>', 'assistant': '<|fim_middle|>'}[m.role] }}"
    "{{ loop.index }}{{ m.content }}",
    after="{% if add_generation_prompt %}<|fim_middle|>{% endif %}",
)
COUNTS_AND_BEGINS_WITH_A_USER = (
    "{% if messages[0].role != 'user' %}{{ raise_exception('a user begins') }}{% endif %}"
    + each("<|im_start|>{{ m.role }} {{ loop.index }}\n{{ m.content }}<|im_end|>\n")
)
ALTERNATES = each(
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('take turns') }}{% endif %}"
    "<|im_start|>{{ m.role }}\n{{ m.content or '' }}" + CALLS + "<|im_end|>\n"
)
DROPS_TOOLS = each("{% if m.role != 'tool' %}" + TURN + "{% endif %}")
REPEATS_THE_SYSTEM_PROMPT = each(
    "{% if m.role != 'system' %}<|im_start|>{{ m.role }}\n"
    "{% if loop.last and messages[0].role == 'system' %}[{{ messages[0].content }}] {% endif %}"
    "{{ m.content }}<|im_end|>\n{% endif %}"
)
REPEATS_ALL_SYSTEM_PROMPTS = each(
    "{% if m.role != 'system' %}<|im_start|>{{ m.role }}\n"
    "{% if loop.last %}{% for s in messages if s.role == 'system' %}[{{ s.content }}] {% endfor %}{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endif %}"
)
STRIPS_REASONING = each(
    "<|im_start|>{{ m.role }}\n"
    "{% if m.reasoning_content and loop.last %}<think>{{ m.reasoning_content }}</think>{% endif %}"
    "{{ m.content }}<|im_end|>\n"
)
PLAIN_TEXT = each(
    "{{ m.role | capitalize }}: {{ m.content }}\n", after="{% if add_generation_prompt %}Assistant:{% endif %}"
)

QUESTION = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "a"}


def calls(*ids: str, content: str | None = None) -> dict[str, Any]:
    """A turn that calls `f` once for each of `ids`."""
    made = [{"id": each, "type": "function", "function": {"name": "f", "arguments": '{"n": 1}'}} for each in ids]
    return {"role": "assistant", "content": content, "tool_calls": made}


class Trial:
    """One template with an empty book. `rendered` is how many conversations were rendered so far."""

    def __init__(self, tokenizer: Any, template: str) -> None:
        self.local = LocalTokenizer(tokenizer, chat_template=template)
        self.book = TemplateBook()
        self.bridge = TemplateBridge(self.book, self._render)
        self.rendered = 0

    def junction(self, history: Sequence[Any], after: Any, *tail: Any) -> Junction:
        return Junction.between(list(history), after, list(tail))

    def text(self, *tail: Any, after: Any = ANSWER, history: Sequence[Any] = (QUESTION,), sampled: str = "a") -> str:
        """What follows `sampled`, as text; the reason where it cannot be told."""
        outcome = self.bridge.extend([], self.local.encode(sampled), self.junction(history, after, *tail))
        if not hasattr(outcome, "token_ids"):
            return str(outcome)
        return self.local.decode(outcome.token_ids[outcome.reused_ids :])

    def _render(self, request: RenderRequest) -> LocalRendering:
        self.rendered += 1
        return self.local.render_now(request.messages, add_generation_prompt=request.add_generation_prompt)
