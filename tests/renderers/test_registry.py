"""Renderers by name: the built-in ones, and those that users register."""

# ruff: noqa: RUF001  (DeepSeek writes its marks with a full-width bar)

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.renderers.made import KIMI, TALK, bare_tokenizer, renderer_of, text_of, tokenizer_of, trained_texts
from verifiers_tito import renderers
from verifiers_tito.errors import RendererError
from verifiers_tito.renderers import TemplateRenderer, get_renderer

DEEPSEEK = ("<｜begin▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<｜end▁of▁sentence｜>", "<think>", "</think>")
LLAMA = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
ASKED = [{"role": "user", "content": "Hello!"}]
NAME = "MyOrg/custom_format"


@pytest.fixture
def registered() -> Iterator[None]:
    renderers.register_renderer(NAME, lambda tokenizer, image_processor=None: TemplateRenderer(tokenizer))
    yield
    renderers.unregister_renderer(NAME)


def prompt_of(name: str, tokenizer: Any) -> str:
    renderer = get_renderer(name, tokenizer)
    return text_of(renderer, renderer.build_generation_prompt(ASKED))


@pytest.mark.parametrize(
    ("name", "family", "end"),
    [
        ("qwen3", "qwen3", "<|im_start|>assistant\n"),
        ("qwen3_disable_thinking", "qwen3", "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        ("qwen3_instruct", "qwen3_vl", "<|im_start|>assistant\n"),
        ("qwen3_5", "qwen3_5_think", "<|im_start|>assistant\n<think>\n"),
        ("qwen3_5_disable_thinking", "qwen3_5_think", "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        ("nemotron3", "nemotron_3_nano", "<|im_start|>assistant\n<think>\n"),
        ("nemotron3_disable_thinking", "nemotron_3_nano", "<|im_start|>assistant\n<think></think>"),
        ("llama3", "llama3_1", "<|start_header_id|>assistant<|end_header_id|>\n\n"),
        ("gpt_oss", "gptoss", "<|start|>assistant"),
    ],
)
def test_a_name_switches_thinking_in_the_tokenizer_s_own_template(name: str, family: str, end: str) -> None:
    prompt = prompt_of(name, tokenizer_of(family))
    assert prompt.endswith(f"{end}")
    assert prompt[: -len(end)].endswith(("<|im_end|>\n", "<|eot_id|>", "<|end|>"))


@pytest.mark.parametrize(
    ("name", "texts", "prompt"),
    [
        ("deepseekv3", DEEPSEEK, "<｜begin▁of▁sentence｜><｜User｜>Hello!<｜Assistant｜></think>"),
        ("deepseekv3_thinking", DEEPSEEK, "<｜begin▁of▁sentence｜><｜User｜>Hello!<｜Assistant｜><think>"),
        ("llama3", LLAMA, "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHello!<|eot_id|>"
         "<|start_header_id|>assistant<|end_header_id|>\n\n"),
        ("kimi_k26", KIMI, "<|im_system|>system<|im_middle|>You are Kimi, an AI assistant created by Moonshot AI."
         "<|im_end|><|im_user|>user<|im_middle|>Hello!<|im_end|><|im_assistant|>assistant<|im_middle|><think>"),
        ("kimi_k26_disable_thinking", KIMI, "<|im_system|>system<|im_middle|>You are Kimi, an AI assistant created by "
         "Moonshot AI.<|im_end|><|im_user|>user<|im_middle|>Hello!<|im_end|><|im_assistant|>assistant<|im_middle|>"
         "<think></think>"),
        ("role_colon", ("</s>",), "User: Hello!\n\nAssistant:"),
    ],
)  # fmt: skip
def test_a_name_brings_a_template_where_the_tokenizer_has_none(name: str, texts: tuple[str, ...], prompt: str) -> None:
    assert prompt_of(name, bare_tokenizer(*texts)) == prompt


@pytest.mark.parametrize(
    ("name", "texts", "turn"),
    [
        ("deepseekv3", DEEPSEEK, "So.<｜end▁of▁sentence｜>"),
        ("deepseekv3_thinking", DEEPSEEK, "Hm.</think>So.<｜end▁of▁sentence｜>"),
        ("kimi_k26", KIMI, "Hm.</think>So.<|im_end|>"),
        ("kimi_k26_disable_thinking", KIMI, "So.<|im_end|>"),
        ("llama3", LLAMA, "So.<|eot_id|>"),
    ],
)
def test_a_bundled_template_trains_and_reads_what_it_samples(name: str, texts: tuple[str, ...], turn: str) -> None:
    renderer = get_renderer(name, bare_tokenizer(*texts))
    message = {"role": "assistant", "content": "So.", "reasoning_content": "Hm."}
    assert trained_texts(renderer, renderer.build_supervised_example([*ASKED, message])) == [turn]
    read, termination = renderer.parse_response(renderer.tokenizer.encode(turn))
    assert termination.is_stop_sequence
    assert read == (message if "Hm." in turn else {"role": "assistant", "content": "So."})


def test_kimi_s_calls_and_results() -> None:
    call = {"id": "functions.f:0", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    talk = [
        *ASKED,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "functions.f:0", "name": "f", "content": "found"},
    ]
    renderer = get_renderer("kimi_k26", bare_tokenizer(*KIMI))
    text = text_of(renderer, renderer.build_generation_prompt(talk))
    assert (
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>"
        '{"x": 1}<|tool_call_end|><|tool_calls_section_end|><|im_end|>'
        "<|im_system|>f<|im_middle|>## Return of functions.f:0\nfound<|im_end|>" in text
    )
    model_input, weights = renderer.build_supervised_example(talk[:2])
    ids = [token_id for token_id, weight in zip(model_input.to_ints(), weights, strict=True) if weight]
    assert renderer.parse_response(ids)[0]["tool_calls"] == [call]


@pytest.mark.parametrize(
    ("name", "texts", "shown"),
    [
        ("llama3", LLAMA, "assistant<|end_header_id|>\n\n<|eot_id|>"),
        ("role_colon", ("</s>",), "Assistant: \n\n"),
        ("deepseekv3", DEEPSEEK, "</think><｜end▁of▁sentence｜>"),
        ("kimi_k26", KIMI, "<think></think><|im_end|>"),
    ],
)
def test_an_answer_without_a_content_is_written_as_an_empty_one(name: str, texts: tuple[str, ...], shown: str) -> None:
    renderer = get_renderer(name, bare_tokenizer(*texts))
    text = text_of(renderer, renderer.build_generation_prompt([*ASKED, {"role": "assistant", "content": None}, *ASKED]))
    assert shown in text
    assert "None" not in text


def test_deepseek_s_calls() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    renderer = get_renderer("deepseekv3", bare_tokenizer(*DEEPSEEK))
    talk = [*ASKED, {"role": "assistant", "content": None, "tool_calls": [call]}]
    (turn,) = trained_texts(renderer, renderer.build_supervised_example(talk))
    message, _ = renderer.parse_response(renderer.tokenizer.encode(turn))
    assert [read["function"] for read in message["tool_calls"]] == [call["function"]]


def test_role_colon_goes_before_a_template_that_the_tokenizer_has() -> None:
    assert prompt_of("role_colon", tokenizer_of("qwen3")) == "User: Hello!\n\nAssistant:"


def test_a_tokenizer_with_a_template_needs_no_name() -> None:
    renderer = get_renderer(tokenizer_of("qwen3"))
    assert renderer.build_generation_prompt(TALK) == renderer_of("qwen3").build_generation_prompt(TALK)


PROMISED = {
    **dict.fromkeys(("qwen3", "qwen3_instruct"), "qwen3_vl"),
    **dict.fromkeys(("qwen3_5", "qwen3_5_disable_thinking"), "qwen3_5_think"),
    **dict.fromkeys(("deepseekv3", "deepseekv3_thinking"), "deepseekv3"),
    **{"nemotron3": "nemotron_3_nano", "llama3": "llama3_1", "gpt_oss": "gptoss", "role_colon": "qwen3"},
    **dict.fromkeys(("kimi_k26", "kimi_k26_disable_thinking"), None),
}


@pytest.mark.parametrize("name", PROMISED)
def test_every_promised_name_makes_a_renderer_that_asks_and_knows_where_to_stop(name: str) -> None:
    family = PROMISED[name]
    tokenizer = tokenizer_of(family) if family else bare_tokenizer(*KIMI, end="<|im_end|>")
    if name == "deepseekv3":
        tokenizer = bare_tokenizer(*DEEPSEEK, end=DEEPSEEK[3])  # the families' template always thinks
    renderer = get_renderer(name, tokenizer)
    assert "Hello!" in text_of(renderer, renderer.build_generation_prompt(ASKED))
    assert renderer.get_stop_sequences()


@pytest.mark.usefixtures("registered")
def test_a_registered_name_is_used_until_it_is_unregistered() -> None:
    assert renderers.is_renderer_registered(NAME)
    assert renderers.get_registered_renderer_names() == [NAME]
    assert NAME in renderers.get_known_renderer_names()
    assert isinstance(get_renderer(NAME, tokenizer_of("qwen3")), TemplateRenderer)
    assert renderers.unregister_renderer(NAME)
    assert not renderers.unregister_renderer(NAME)
    with pytest.raises(RendererError, match=NAME):
        get_renderer(NAME, tokenizer_of("qwen3"))


@pytest.mark.usefixtures("registered")
def test_a_name_that_is_registered_again_stands_for_the_new_renderer() -> None:
    made = renderer_of("qwen3")
    renderers.register_renderer(NAME, lambda tokenizer, image_processor=None: made)
    assert renderers.get_registered_renderer_names() == [NAME]
    assert get_renderer(NAME, tokenizer_of("qwen3")) is made


class TestErrors:
    def test_an_unknown_name_lists_the_known_ones_and_is_a_value_error(self) -> None:
        with pytest.raises(
            ValueError, match=r"no renderer 'qwen9'; known: .*deepseekv3, .*role_colon; a tokenizer with"
        ):
            get_renderer("qwen9", tokenizer_of("qwen3"))

    def test_a_name_without_a_tokenizer(self) -> None:
        with pytest.raises(RendererError, match=r"needs a tokenizer too: get_renderer\('qwen3', tokenizer\)"):
            get_renderer("qwen3")

    def test_a_tokenizer_of_another_family(self) -> None:
        with pytest.raises(
            RendererError, match=r"'llama3' does not fit this tokenizer, .* lacks <\|start_header_id\|>"
        ):
            get_renderer("llama3", tokenizer_of("qwen3"))

    def test_a_family_s_tokenizer_without_a_template(self) -> None:
        with pytest.raises(RendererError, match="no chat template"):
            get_renderer("qwen3", bare_tokenizer("<|im_start|>", "<|im_end|>"))

    def test_a_name_without_thinking_for_a_template_that_always_thinks(self) -> None:
        with pytest.raises(
            RendererError, match=r"'deepseekv3' is for answers without reasoning, and .* always opens it"
        ):
            get_renderer("deepseekv3", tokenizer_of("deepseekv3"))

    @pytest.mark.parametrize(
        ("name", "texts"), [("llama3", LLAMA), ("role_colon", ("</s>",)), ("deepseekv3", DEEPSEEK)]
    )
    def test_a_bundled_template_that_shows_no_tools(self, name: str, texts: tuple[str, ...]) -> None:
        tools = [{"name": "f", "description": "", "parameters": {}}]
        with pytest.raises(RendererError, match=r"no tools.*; (give|describe)"):
            get_renderer(name, bare_tokenizer(*texts), tools=tools).build_generation_prompt(ASKED)

    @pytest.mark.parametrize(("name", "texts"), [("llama3", LLAMA), ("role_colon", ("</s>",))])
    def test_a_bundled_template_that_shows_no_calls(self, name: str, texts: tuple[str, ...]) -> None:
        call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        renderer = get_renderer(name, bare_tokenizer(*texts))
        with pytest.raises(RendererError, match=r"knows no calls; (give|write)"):
            renderer.build_generation_prompt([*ASKED, {"role": "assistant", "content": None, "tool_calls": [call]}])

    def test_a_built_in_name_is_not_for_registering(self) -> None:
        with pytest.raises(RendererError, match="'qwen3' is built in"):
            renderers.register_renderer("qwen3", lambda tokenizer, image_processor=None: TemplateRenderer(tokenizer))

    def test_a_factory_is_called(self) -> None:
        with pytest.raises(RendererError, match="takes a factory"):
            renderers.register_renderer(NAME, "qwen3")  # type: ignore[arg-type]
