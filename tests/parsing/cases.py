"""Answers to parse: for each pair of vLLM's parsers some that a model writes, and seeded mutations of them."""

# ruff: noqa: RUF001  (DeepSeek writes its marks with a full-width bar)

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from tests.parsing.vllm_parsers import Asked

SEED = 20
TOOLS = (
    {
        "name": "get_weather",
        "description": "The weather.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer"},
                "exact": {"type": ["boolean", "null"]},
                "limits": {"type": "array", "items": {"type": "number"}},
            },
        },
    },
    {"name": "f", "description": "Nothing.", "parameters": {"type": "object", "properties": {}}},
)
NAMED = {"type": "function", "function": {"name": "f"}}
REQUESTS = tuple(
    Asked(tools=tools, tool_choice=choice, thinking=thinking)
    for tools, choice in ((TOOLS, None), (TOOLS, "none"), (TOOLS, "required"), (TOOLS, NAMED), ((), None))
    for thinking in (None, True, False)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Answers in one syntax, and the pieces that mutations put in. `family` lends its tokenizer."""

    name: str
    family: str
    parsers: tuple[tuple[str | None, str | None], ...]
    texts: tuple[str, ...]
    pieces: tuple[str, ...]

    def truncated(self) -> Iterator[str]:
        """Every beginning of every answer."""
        for text in self.texts:
            yield from (text[:length] for length in range(len(text) + 1))

    def mutated(self, count: int) -> Iterator[str]:
        random = Random(SEED)
        pieces = (*self.pieces, "\n", " ", "text", "<think>", "</think>", "é")
        for number in range(count):
            if number % 3 == 0:
                yield "".join(random.choice(pieces) for _ in range(random.randint(1, 14)))
                continue
            text = random.choice(self.texts)
            for _ in range(random.randint(1, 3)):
                begin = random.randint(0, len(text))
                end = min(len(text), begin + random.randint(0, 20))
                put_in = random.choice(("", random.choice(pieces), text[begin:end]))
                text = text[:begin] + put_in + text[random.choice((begin, end)) :]
            yield text


QWEN_XML = Answers(
    name="qwen_xml",
    family="qwen3_5_think",
    parsers=(("qwen3", "qwen3_coder"), (None, "qwen3_coder"), ("deepseek_r1", "qwen3_coder"), ("qwen3", None)),
    texts=(
        "Thought.\n</think>\n\nHi.\n\n<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n"
        "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=f>\n</function>\n"
        "</tool_call> behind",
    ),
    pieces=(
        *("<tool_call>", "</tool_call>", "<function=get_weather>", "<function=f>", "<function=", "</function>", ">"),
        *("<parameter=city>", "<parameter=days>", "<parameter=limits>", "</parameter>", "3", '["1", 2]', '"name": "z"'),
    ),
)
NEMOTRON = Answers(
    name="nemotron",
    family="nemotron_3_nano",
    parsers=(("nemotron_v3", "qwen3_coder"),),
    texts=QWEN_XML.texts,
    pieces=QWEN_XML.pieces,
)
HERMES = Answers(
    name="hermes",
    family="qwen3",
    parsers=(("qwen3", "hermes"), (None, "hermes"), ("deepseek_r1", "hermes")),
    texts=(
        '<think>\nThought.\n</think>\n\nHi.\n<tool_call>\n{"name": "f", "arguments": {"x": "é", "y": true}}\n'
        '</tool_call>\n<tool_call>\n{"name": "get_weather", "arguments": {}}\n</tool_call> behind',
        '<tool_call>{"name": "f", "arguments": {"x": "</tool_call>"}}</tool_call>',
    ),
    pieces=(
        *("<tool_call>", "</tool_call>", "{", "}", "True", '{"name": "f"}', '{"name": 3, "arguments": {}}'),
        *('{"name": "f", "arguments": {}}', '{"name": "f", "arguments": "x"}'),
    ),
)
GLM = Answers(
    name="glm",
    family="glm4moe",
    parsers=(("glm45", "glm45"), (None, "glm45")),
    texts=(
        "\n<think>Thought.</think>\nHi.\n<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n"
        "<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>\n<tool_call>f\n</tool_call>",
    ),
    pieces=(
        *("<tool_call>", "</tool_call>", "get_weather", "f", "other", "<arg_key>", "</arg_key>", "<arg_value>"),
        *("</arg_value>", "city", "days", "3", '["1", 2]'),
    ),
)
KIMI = Answers(
    name="kimi",
    family="qwen3",
    parsers=(("kimi_k2", "kimi_k2"), (None, "kimi_k2")),
    texts=(
        "Thought.</think>Hi.<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0"
        '<|tool_call_argument_begin|>{"city": "Paris", "days": "3"}<|tool_call_end|><|tool_call_begin|>functions.f:1'
        "<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
    ),
    pieces=(
        *("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|tool_call_begin|>", "<|tool_call_end|>"),
        *("<|tool_call_argument_begin|>", "functions.f:0", "bad", '{"days": "3"}', '{"name": "x"}', "{", "}"),
    ),
)
MINIMAX = Answers(
    name="minimax",
    family="qwen3",
    parsers=(("minimax_m2", "minimax_m2"), (None, "minimax_m2")),
    texts=(
        'Thought.\n</think>\n\nHi.\n<minimax:tool_call>\n<invoke name="get_weather">\n<parameter name="city">Paris'
        '</parameter>\n<parameter name="days">3</parameter>\n</invoke>\n<invoke name="f">\n</invoke>\n'
        "</minimax:tool_call>",
    ),
    pieces=(
        *("<minimax:tool_call>", "</minimax:tool_call>", '<invoke name="f">', "<invoke name='f'>", "<invoke name=f>"),
        *("</invoke>", '<parameter name="city">', "<parameter name='days'>", "<parameter name=limits>", "</parameter>"),
        *('"', ">", "3"),
    ),
)
LLAMA = Answers(
    name="llama",
    family="llama3_1",
    parsers=((None, "llama3_json"),),
    texts=('<|python_tag|>{"name": "f", "parameters": {"x": "é"}}; {"name": "get_weather", "arguments": {}}',),
    pieces=('{"name": "f", "parameters": {}}', '{"name": "f"}', "; ", "{", "}", '{"name": 1, "parameters": {}}'),
)
PYTHONIC = Answers(
    name="pythonic",
    family="llama3_1",
    parsers=((None, "pythonic"),),
    texts=(
        "[get_weather(city='Paris', days=-3), f(), g.h(x=[1, {'k': None, 'j': true}], y=(1, 2))]",
        '[{"name": "f", "parameters": {"x": 1}}]',
    ),
    pieces=("[", "]", "f(a=1)", "f()", ", ", "g.h(x='y')", "f(1)", "_f(a=2)", "f(b={1,2})", "f(c=x)", "f(d=f'hi')"),
)
DEEPSEEK_V3 = Answers(
    name="deepseek_v3",
    family="deepseekv3",
    parsers=(("deepseek_r1", "deepseek_v3"), (None, "deepseek_v3")),
    texts=(
        "Thought.\n</think>\n\nHi.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n"
        '{"city": "Paris"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{}\n```'
        "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    ),
    pieces=(
        *("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"),
        *("<｜tool▁sep｜>", "function", "f", "\n```json\n", "\n```", "{}"),
    ),
)
DEEPSEEK_V31 = Answers(
    name="deepseek_v31",
    family="deepseekv3",
    parsers=(("deepseek_v3", "deepseek_v31"),),
    texts=(
        'Thought.</think>Hi.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris"}'
        "<｜tool▁call▁end｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    ),
    pieces=DEEPSEEK_V3.pieces,
)
HARMONY = Answers(
    name="harmony",
    family="gptoss",
    parsers=(("openai_gptoss", "openai"),),
    texts=(
        "<|channel|>analysis<|message|>Thought é.<|end|><|start|>assistant<|channel|>commentary<|message|>Hi.<|end|>"
        '<|start|>assistant to=functions.f<|channel|>commentary json<|message|>{"x": "é"}<|call|>',
        "<|channel|>analysis<|message|>Thought.<|end|><|start|>assistant<|channel|>final<|message|>Answer.<|return|>",
        '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"x": 1<|call|>',
    ),
    pieces=(),
)
GEMMA = Answers(
    name="gemma",
    family="gemma4_v5",
    parsers=(("gemma4", "gemma4"), (None, "gemma4"), ("gemma4", None)),
    texts=(
        '<|channel>thought\nThought.\n<channel|>Hi.<|tool_call>call:get_weather{city:<|"|>Pa:ris, {é}<|"|>,days:3,'
        'exact:true,limits:[1,2.5],more:{a:{b:<|"|>c<|"|>},d:[[1],[<|"|>e<|"|>,{f:null}]]}}<tool_call|>'
        "<|tool_call>call:f{}<tool_call|> behind",
        "thought\nThought.<channel|>Hi.<|tool_call>:f(days:3)<tool_call|>",
    ),
    pieces=(
        *(
            "<|tool_call>",
            "<tool_call|>",
            "<|channel>",
            "<channel|>",
            "thought\n",
            "call:",
            ":",
            "{",
            "}",
            "[",
            "]",
            ",",
        ),
        *(
            '<|"|>',
            '<|"',
            "f",
            "get_weather",
            "days:3",
            "1.",
            "(",
            ")",
            '"name": "z"',
            '{"name": "f", "arguments": {}}',
        ),
    ),
)
MISTRAL = Answers(
    name="mistral",
    family="mistral_v13",
    parsers=(("mistral", "mistral"), (None, "mistral"), ("mistral", None)),
    texts=(
        '[THINK]Thought.\n[/THINK]Hi. [TOOL_CALLS]get_weather[ARGS]{"city": "Par{is}", "days":"3"}'
        "[TOOL_CALLS]f[ARGS]{}",
        'Hi.[TOOL_CALLS]f{"x": [1, "[TOOL_CALLS]"]} ',
    ),
    pieces=(
        *("[TOOL_CALLS]", "[ARGS]", "[THINK]", "[/THINK]", "get_weather", "f", "{", "}", '{"days": "3"}', '{"x":1} y'),
        *('"', "{}"),
    ),
)
MISTRAL_LISTS = Answers(
    name="mistral_lists",
    family="mistral_v7",
    parsers=((None, "mistral"),),
    texts=(
        'Hi.[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris", "days": "3"}, "id": "abcdefghi"}, '
        '{"name": "f", "arguments": {}}] behind',
        '[{"name": "f", "arguments": {"x": "é"}}]',
    ),
    pieces=(
        *("[TOOL_CALLS]", " ", "[", "]", "{", "}", '{"name": "f", "arguments": {}}', '{"name": "f"}', '"{}"', "3"),
        *('[{"name": 3, "arguments": "x"}]', "[TOOL_CALLS][", '{"arguments": null}'),
    ),
)
LFM2 = Answers(
    name="lfm2",
    family="lfm2_2_5",
    parsers=((None, "lfm2"), ("qwen3", "lfm2")),
    texts=(
        "<think>Thought.</think>Hi.<|tool_call_start|>[get_weather(city='Paris', days=-3), f(x={\"a\": true})]"
        "<|tool_call_end|> behind",
        "<|tool_call_start|>[f(from='it's late', month=07, note='two\nlines')]<|tool_call_end|>",
        "<|tool_call_start|> [f(a=\"x\", in=[1, 'y'])] <|tool_call_end|>[f(a=1)]<|tool_call_end|>said",
    ),
    pieces=(
        *("<|tool_call_start|>", "<|tool_call_end|>", "[", "]", "f(a=1)", "f()", ", ", "'", '"', "\\", "g.h(x='y')"),
        *("f(class=00)", "f(1)", "f(c=x)", "f(d=f'hi')", "a='b' c'", "007", "=", "(", ")", "f(a='\t')"),
    ),
)
MUSE = Answers(
    name="muse",
    family="muse_glimmer",
    parsers=(("muse_glimmer", "muse_glimmer"), (None, "muse_glimmer"), ("muse_glimmer", None)),
    texts=(
        " to=self<|message|>Thought.<|eom|><|start|>assistant to=get_weather<|message|><atem:function_calls>\n"
        '<atem:invoke name="get_weather">\n<atem:parameter name="city">Paris</atem:parameter>\n'
        '<atem:parameter name="days">3</atem:parameter>\n</atem:invoke>\n</atem:function_calls><|eom|><|start|>'
        'assistant to=f.f<|message|><atem:function_calls>\n<atem:invoke name="f.f">\n</atem:invoke>\n'
        "</atem:function_calls>",
        " to=self<|message|>One.<|eom|><|start|>assistant to=self<|message|>Two.<|eom|><|start|>assistant to=user"
        "<|message|>Hi.\n",
    ),
    pieces=(
        *(
            "<|start|>",
            "<|start|>assistant",
            "<|message|>",
            "<|eom|>",
            "<|eot|>",
            " to=self",
            " to=user",
            "to=f",
            " to=f.f",
        ),
        *(
            "<atem:function_calls>",
            "</atem:function_calls>",
            '<atem:invoke name="f">',
            "<atem:invoke>",
            "</atem:invoke>",
        ),
        *(
            '<atem:parameter name="days">',
            "</atem:parameter>",
            "3",
            '{"a": 1}',
            "<|start|>assistant to=self<|message|>",
        ),
    ),
)
ALL = (
    *(QWEN_XML, NEMOTRON, HERMES, GLM, KIMI, MINIMAX, LLAMA, PYTHONIC, DEEPSEEK_V3, DEEPSEEK_V31),
    *(GEMMA, MISTRAL, MISTRAL_LISTS, LFM2, MUSE),
)
