"""The corpus itself: every family loads, what is declared of it is true, and the reference tells templates apart."""

from __future__ import annotations

from typing import Any

import pytest

from tests.corpus.bases import MISTRAL_V1, MISTRAL_V3, Base, base_tokenizer
from tests.corpus.families import BY_NAME, FAMILIES, load_family
from tests.corpus.family import Family, Origin
from tests.corpus.reference import (
    MARK,
    ReferenceOutcome,
    appended_ids,
    in_template_form,
    reference_bridge,
    sampled_ends,
)
from tests.corpus.sentencepiece_bpe import read_pieces
from tests.corpus.shape import Ending, Shape, assistant, user
from tests.corpus.shapes import SHAPES, make_shapes
from verifiers_tito.local.assets import QWEN3_TEMPLATE

pytestmark = pytest.mark.corpus

SEED = 1
SHAPES_BY_NAME = {shape.name: shape for shape in make_shapes(SEED)}
CALL = {"id": "abcdefgh1", "type": "function", "function": {"name": "run_code", "arguments": {"query": "x"}}}
TEXTS = ("Hello world", "a  b\n\n\tc", "日本語 and 👩‍👧 e\u0301", "def f(x):\n    return x**2", "3.14 123456", "x" * 99)

every_family = pytest.mark.parametrize("family", FAMILIES, ids=[family.name for family in FAMILIES])


def reference(family_name: str, shape_name: str) -> Any:
    return reference_bridge(BY_NAME[family_name], load_family(family_name), SHAPES_BY_NAME[shape_name])


def rendered(family: Family, *messages: dict[str, Any]) -> str:
    tokenizer = load_family(family.name)
    text = tokenizer.apply_chat_template(in_template_form(family, messages), add_generation_prompt=True, tokenize=False)
    return str(text)


def test_every_template_of_trl_that_is_no_training_template_has_a_family() -> None:
    published = {path.stem for path in QWEN3_TEMPLATE.path().parent.glob("*.jinja")}
    originals = {name for name in published if not name.endswith("_training")}
    assert originals == {family.template.name for family in FAMILIES if family.template.origin is Origin.TRL}


def test_there_are_enough_families_and_shapes() -> None:
    assert len(BY_NAME) == len(FAMILIES) >= 22
    assert len(SHAPES_BY_NAME) == len(SHAPES) >= 30
    assert {shape.ending for shape in SHAPES_BY_NAME.values()} == set(Ending)


@every_family
def test_a_family_loads_and_its_control_tokens_are_single_ids(family: Family) -> None:
    tokenizer = load_family(family.name)
    added = {token.content: token for token in tokenizer.added_tokens_decoder.values()}
    for text in family.tokenizer.added_texts():
        assert tokenizer.encode(text.text, add_special_tokens=False) == [tokenizer.convert_tokens_to_ids(text.text)]
        assert added[text.text].special is text.special, text.text
    assert tokenizer.eos_token in family.control_texts
    assert tokenizer.bos_token is None or tokenizer.bos_token in family.control_texts
    assert len(tokenizer.encode("x")) == (2 if family.tokenizer.writes_beginning else 1)


@pytest.mark.parametrize(
    ("family_name", "text", "token_id"),
    [
        ("qwen2_5", "<|im_end|>", 151_645),
        ("qwen3", "</think>", 151_668),
        ("qwen3_5_think", "<|im_end|>", 248_046),
        ("llama3_1", "<|eot_id|>", 128_009),
        ("gptoss", "<|call|>", 200_012),
        ("deepseekv3", "<｜tool▁calls▁begin｜>", 128_806),  # noqa: RUF001
        ("smollm2", "<|im_end|>", 2),
        ("mistral_v3", "[TOOL_CALLS]", 5),
        ("mistral_nemo", "[TOOL_CALLS]", 9),
        ("mistral_v13", "[ARGS]", 32),
    ],
)
def test_real_vocabularies_have_the_published_ids(family_name: str, text: str, token_id: int) -> None:
    assert load_family(family_name).convert_tokens_to_ids(text) == token_id


@pytest.mark.parametrize(("base", "model"), [(Base.LLAMA2_LIKE, MISTRAL_V1), (Base.MISTRAL_V3, MISTRAL_V3)])
def test_a_converted_sentencepiece_model_tokenizes_as_its_source(base: Base, model: Any) -> None:
    tokenizer, source = base_tokenizer(base), read_pieces(model.path())
    for text in TEXTS:
        assert tokenizer.encode(text, add_special_tokens=False).ids == source.encode(text)


@every_family
def test_a_template_writes_the_declared_close_between_two_turns(family: Family) -> None:
    text = rendered(family, user("Qzask"), assistant("Qzanswer"), user("Qzmore"))
    after = text[text.index("Qzanswer") + len("Qzanswer") :]
    assert after.startswith((family.lead + family.close,) if family.close else family.next_openers)
    assert "Qzmore" in after


@pytest.mark.parametrize("family", [family for family in FAMILIES if family.writes_calls], ids=lambda it: it.name)
def test_a_template_writes_the_declared_close_of_a_calling_turn(family: Family) -> None:
    text = rendered(family, user("Qzask"), assistant("", tool_calls=[CALL]), user("Qzmore"))
    called = text.index("run_code")
    before = text[called : text.index("Qzmore")]
    assert any(close in before for close in (family.call_close and (family.call_close,)) or family.next_openers)


@pytest.mark.parametrize("family", [family for family in FAMILIES if not family.writes_calls], ids=lambda it: it.name)
def test_a_template_declared_to_ignore_calls_does(family: Family) -> None:
    turns = (user("Qzask"), assistant("Qzanswer"), user("Qzmore"))
    calling = turns[1] | {"tool_calls": [CALL]}
    assert rendered(family, turns[0], calling, turns[2]) == rendered(family, *turns)


@every_family
def test_the_reference_has_an_answer_for_every_shape(family: Family) -> None:
    tokenizer = load_family(family.name)
    control_ids = {tokenizer.convert_tokens_to_ids(text) for text in family.control_texts}
    for shape in SHAPES_BY_NAME.values():
        found = reference_bridge(family, tokenizer, shape.with_control_string(family.control_string))
        bridged = found.outcome in (ReferenceOutcome.RENDERS, ReferenceOutcome.REPEATS)
        assert bool(found.bridge_ids) is bridged
        if not bridged:
            continue
        assert MARK not in found.bridge_text
        assert found.stands_alone is not bool(family.lead), shape.name
        written = [token_id for token_id in found.bridge_ids if token_id in control_ids]
        forged = shape.holds_control_strings
        assert len(written) > len(found.control_ids) if forged else written == list(found.control_ids), shape.name


@pytest.mark.parametrize(
    ("family_name", "shape_name", "outcome", "detail"),
    [
        ("gemma", "tool_result", ReferenceOutcome.RAISES, "must alternate"),
        ("gemma", "system_prompt_at_start", ReferenceOutcome.RAISES, "System role not supported"),
        ("llama3_1", "two_parallel_tool_results", ReferenceOutcome.RAISES, "single tool-calls"),
        ("mistral_v3", "content_and_tool_call", ReferenceOutcome.RAISES, "both content and tool calls"),
        ("qwen3_5_think", "system_and_user_in_mid_conversation", ReferenceOutcome.RAISES, "at the beginning"),
        ("deepseekv3", "system_and_user_in_mid_conversation", ReferenceOutcome.MOVES, "system"),
        ("cohere2", "system_and_user_in_mid_conversation", ReferenceOutcome.MOVES, "system"),
        ("cohere2", "tool_result", ReferenceOutcome.DROPS, "tool"),
        ("gptoss", "system_and_user_in_mid_conversation", ReferenceOutcome.DROPS, "system"),
        ("phi3", "tool_result_then_user", ReferenceOutcome.DROPS, "tool"),
        ("gptoss", "two_parallel_tool_results", ReferenceOutcome.HIDES_BODY, ""),
        ("mistral_v3", "system_prompt_at_start", ReferenceOutcome.REPEATS, "system"),
        ("mistral_v7", "tool_result_then_user", ReferenceOutcome.REPEATS, "tools"),
        ("glm4moe", "tool_result_then_user", ReferenceOutcome.RENDERS, ""),
        ("gemma4_v5", "two_parallel_tool_results", ReferenceOutcome.RENDERS, ""),
    ],
)
def test_the_reference_tells_what_a_template_does(
    family_name: str, shape_name: str, outcome: ReferenceOutcome, detail: str
) -> None:
    found = reference(family_name, shape_name)
    assert found.outcome is outcome
    assert detail in found.detail


def test_a_template_that_rewrites_the_beginning_is_noticed() -> None:
    assert reference("muse_glimmer", "system_and_user_in_mid_conversation").rewrites_history
    assert not reference("muse_glimmer", "user_follows_up").rewrites_history


def test_what_was_sampled_of_the_close_is_not_appended_again() -> None:
    gptoss, shape = BY_NAME["gptoss"], SHAPES_BY_NAME["alternative_end"]
    found = reference("gptoss", "alternative_end")
    assert sampled_ends(gptoss, shape) == ("<|return|>",)
    assert appended_ids(gptoss, found, "<|return|>") == found.bridge_ids[1:]
    assert appended_ids(gptoss, found, "") == found.bridge_ids
    assert sampled_ends(gptoss, SHAPES_BY_NAME["truncated_turn"]) == ("",)
    assert sampled_ends(gptoss, SHAPES_BY_NAME["tool_result"]) == ("<|call|>",)


def test_where_nothing_closes_a_turn_only_the_right_opener_counts_as_sampled() -> None:
    glm = BY_NAME["glm4moe"]
    found = reference("glm4moe", "tool_result")
    assert sampled_ends(glm, SHAPES_BY_NAME["tool_result"]) == ("<|observation|>",)
    assert appended_ids(glm, found, "<|observation|>") == found.bridge_ids[1:]
    assert appended_ids(glm, found, "<|user|>") == found.bridge_ids


@pytest.mark.parametrize("shape", SHAPES_BY_NAME.values(), ids=SHAPES_BY_NAME)
def test_a_shape_is_a_conversation_that_goes_on(shape: Shape) -> None:
    assert shape.assistant["role"] == "assistant"
    assert shape.tail
    assert shape.tail[-1]["role"] in ("user", "tool")
    asked = [call["id"] for message in (*shape.history, shape.assistant) for call in message.get("tool_calls", ())]
    answered = [message["tool_call_id"] for message in (*shape.history, *shape.tail) if message["role"] == "tool"]
    assert set(answered) <= set(asked)
    assert all(len(call_id) == 9 and call_id.isalnum() for call_id in asked)
    assert bool(shape.tools) or not asked


def test_shapes_are_the_same_for_the_same_seed_only() -> None:
    assert make_shapes(SEED) == make_shapes(SEED)
    assert make_shapes(SEED) != make_shapes(SEED + 1)
