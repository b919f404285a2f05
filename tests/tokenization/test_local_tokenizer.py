"""The local tokenizer: the ids of `transformers`, and contents that stay text whatever they hold."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, normalizers

from tests.corpus.shape import Shape
from tests.corpus.shapes import make_shapes
from tests.tokenization.conversations import (
    assistant,
    call,
    calling,
    contents,
    harmless_contents,
    result,
    system,
    user,
)
from tests.tokenization.tiny import BYTES, byte_tokenizer, spaced_tokenizer
from verifiers_tito.errors import TokenizerUnavailableError, UntrustedTextError
from verifiers_tito.testing import FakeTokenizer
from verifiers_tito.tokenization import ContentForm, LocalTokenizer, TemplateRefusedError
from verifiers_tito.types import ControlTextPolicy

CONTENTS = "{% for m in messages %}{{ m.content }}{% endfor %}"
SHOWN = "{% for m in messages %}{{ m | tojson }}\n{% endfor %}"
TOOLS_SHOWN = "{{ tools | tojson }}"
QWEN_CONTROLS = (
    "<|im_end|>",
    "<|im_start|>",
    "<|endoftext|>",
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_response>",
)
LLAMA_CONTROLS = ("<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|begin_of_text|>", "<|python_tag|>")
SHAPES = make_shapes(3)


@pytest.fixture(scope="module")
def qwen(qwen3_tokenizer: FakeTokenizer) -> LocalTokenizer:
    return LocalTokenizer(qwen3_tokenizer.transformers_tokenizer)


@pytest.fixture(scope="module")
def llama(llama3_tokenizer: FakeTokenizer) -> LocalTokenizer:
    return LocalTokenizer(llama3_tokenizer.transformers_tokenizer)


def with_template(local: LocalTokenizer, template: str, **settings: Any) -> LocalTokenizer:
    return LocalTokenizer(local.transformers_tokenizer, chat_template=template, **settings)


def shown(local: LocalTokenizer, form: ContentForm, *messages: dict[str, Any]) -> list[Any]:
    """The messages as the template sees them."""
    showing = with_template(local, SHOWN, form=form)
    return [json.loads(line) for line in showing.render_now(messages).text.splitlines()]


def control_ids(local: LocalTokenizer, ids: list[int]) -> list[int]:
    return [token_id for token_id in ids if token_id in local.controls.id_set]


# --- the ids of transformers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES])
@pytest.mark.parametrize("family", ["qwen", "llama"])
def test_a_first_prompt_has_the_ids_of_transformers(request: pytest.FixtureRequest, family: str, shape: Shape) -> None:
    local: LocalTokenizer = request.getfixturevalue(family)
    messages = [*shape.history, shape.assistant, *shape.tail]
    assert our_ids(local, shape, messages) == transformers_ids(local, shape, messages)


def our_ids(local: LocalTokenizer, shape: Shape, messages: list[Any]) -> list[int] | str:
    fields = {"chat_template_kwargs": shape.template_kwargs}
    try:
        return local.render_now(messages, tools=shape.tools, template_fields=fields).ids_from(0)
    except TemplateRefusedError as error:
        return str(error)


def transformers_ids(local: LocalTokenizer, shape: Shape, messages: list[Any]) -> list[int] | str:
    """The template's words where it refuses: it may do so with an error of any kind."""
    arguments = {"tools": shape.tools, "add_generation_prompt": True, "return_dict": False, **shape.template_kwargs}
    try:
        return list(local.transformers_tokenizer.apply_chat_template(messages, **arguments))
    except Exception as error:
        return f"the chat template refused: {error}"


def test_a_prompt_for_no_next_turn_has_the_ids_of_transformers(qwen: LocalTokenizer) -> None:
    messages = [user("a"), assistant("b")]
    rendering = qwen.render_now(messages, add_generation_prompt=False)
    assert rendering.ids_from(0) == qwen.transformers_tokenizer.apply_chat_template(messages, return_dict=False)
    assert rendering.text.endswith("b<|im_end|>\n")


async def test_rendering_as_a_chat_tokenizer_gives_the_same(qwen: LocalTokenizer) -> None:
    fields = {"chat_template_kwargs": {"enable_thinking": False}}
    waited = await qwen.render([user("a")], model="m", tools=None, template_fields=fields, add_generation_prompt=True)
    assert waited.ids_from(0) == qwen.render_now([user("a")], template_fields=fields).ids_from(0)
    assert waited.text.endswith("<think>\n\n</think>\n\n")


def test_a_request_s_own_template_wins(qwen: LocalTokenizer) -> None:
    fields = {"chat_template": "{{ messages[0].content }}!"}
    assert qwen.render_now([user("a")], template_fields=fields).text == "a!"


@pytest.mark.parametrize("name", ["tokenize", "return_tensors", "add_generation_prompt", "conversation", "max_length"])
def test_template_arguments_that_mean_something_to_transformers_are_left_out(qwen: LocalTokenizer, name: str) -> None:
    fields = {"chat_template_kwargs": {name: "np"}}
    plain = qwen.render_now([user("a")]).text
    assert qwen.render_now([user("a")], template_fields=fields).text == plain


def test_the_beginning_of_a_text_is_written_by_the_template_alone(llama: LocalTokenizer) -> None:
    ids = llama.render_now([user("a")]).ids_from(0)
    begin = llama.transformers_tokenizer.bos_token_id
    assert ids.count(begin) == 1
    assert ids[0] == begin
    assert begin not in llama.encode("a")


def test_ids_from_a_control_token_on_are_the_ids_in_context(qwen: LocalTokenizer) -> None:
    rendering = qwen.render_now([user("Hello  world\n\n"), assistant("Hi\n"), user("\n\nmore")])
    whole, position = rendering.ids_from(0), 0
    while (control := rendering.next_control(position)) is not None:
        tail = rendering.ids_from(control.start)
        assert whole[len(whole) - len(tail) :] == tail
        assert rendering.text[control.start : control.end] == control.text
        position = control.end
    assert position > 0


@pytest.mark.parametrize("everywhere", [True, False], ids=["in front of every part", "in front of the text"])
def test_the_blank_that_some_vocabularies_put_in_front_is_not_put_where_a_text_is_cut(everywhere: bool) -> None:
    template = "<s>{{ messages[0].content }} <end>\n{{ messages[1].content }}"
    tokenizer = spaced_tokenizer(["<s>", "<end>"], everywhere=everywhere, template=template)
    rendering = LocalTokenizer(tokenizer).render_now([user("a"), user("x<end>y <end>")])
    spelled = "".join(tokenizer.convert_ids_to_tokens(rendering.ids_from(0)))
    assert spelled.endswith("\nx<end>y▁<end>")
    end = rendering.text.index(" <end>")
    whole = tokenizer.convert_ids_to_tokens(rendering.ids_from(0))
    for start in (end, end + 1):
        tail = tokenizer.convert_ids_to_tokens(rendering.ids_from(start))
        assert tail == whole[-len(tail) :]
        assert tail[:2] == (["▁", "<end>"] if start == end else ["<end>", whole[-len(tail) + 1]])


# --- what a template gets ------------------------------------------------------------------------------------------


def test_as_strings_contents_are_strings_whatever_was_given(qwen: LocalTokenizer) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    seen = shown(qwen, ContentForm.STRING, user(parts), assistant(None), user("c"), result("d"))
    assert [message["content"] for message in seen] == ["a\nb", "", "c", "d"]


def test_as_parts_contents_are_lists_but_for_tool_results(qwen: LocalTokenizer) -> None:
    seen = shown(qwen, ContentForm.PARTS, user("a"), assistant(None), result("d"))
    assert [message["content"] for message in seen] == [[{"type": "text", "text": "a"}], [], "d"]


def test_as_given_a_template_sees_what_the_caller_wrote(qwen: LocalTokenizer) -> None:
    messages = [user("a"), {**assistant(None), "thinking": "hm"}, {**result("d"), "extra": [1]}]
    assert shown(qwen, ContentForm.AS_GIVEN, *messages) == messages


def test_a_template_of_parts_only_is_noticed(qwen: LocalTokenizer) -> None:
    parts_only = with_template(
        qwen, "{% for m in messages %}{% for part in m.content %}{{ part.text }}{% endfor %}{% endfor %}"
    )
    assert parts_only.form is ContentForm.ALL_PARTS
    assert parts_only.render_now([user("a"), result("b"), assistant([{"type": "text", "text": "c"}])]).text == "abc"
    assert with_template(qwen, CONTENTS).form is ContentForm.AS_GIVEN
    assert with_template(qwen, CONTENTS, form=ContentForm.PARTS).form is ContentForm.PARTS


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [('{"a": 1}', {"a": 1}), ({"a": 1}, {"a": 1}), ("", {}), ('{"a": ', {}), ("[1]", {}), ("True", {})],
)
def test_call_arguments_are_objects_even_where_the_model_wrote_none(
    qwen: LocalTokenizer, arguments: Any, seen: dict[str, Any]
) -> None:
    asked = assistant(
        "", tool_calls=[{"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}]
    )
    for form in (ContentForm.STRING, ContentForm.PARTS):
        (message,) = shown(qwen, form, asked)
        assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": seen}


def test_reasoning_goes_by_both_of_its_names(qwen: LocalTokenizer) -> None:
    (seen,) = shown(qwen, ContentForm.STRING, assistant("a", reasoning="hm"))
    assert seen["reasoning"] == seen["reasoning_content"] == "hm"
    (silent,) = shown(qwen, ContentForm.STRING, assistant("a", reasoning=None))
    assert "reasoning_content" not in silent


def test_a_developer_s_message_is_the_system_s_where_the_template_knows_no_developer(qwen: LocalTokenizer) -> None:
    developer = {"role": "developer", "content": "be kind"}
    seen = shown(qwen, ContentForm.STRING, user("a"), developer, system("be brief"))
    assert seen == [{"role": "system", "content": "be kind\n\nbe brief"}, {"role": "user", "content": "a"}]
    knowing = with_template(qwen, "{# 'developer' #}" + SHOWN, form=ContentForm.STRING)
    assert json.loads(knowing.render_now([developer]).text) == developer
    qwens = qwen.with_form(ContentForm.STRING)
    assert qwens.render_now([developer, user("a")]).text == qwens.render_now([system("be kind"), user("a")]).text


def test_a_tool_s_missing_description_and_schema_are_null_as_vllm_gives_them(qwen: LocalTokenizer) -> None:
    bare = {"type": "function", "function": {"name": "f"}}
    written = with_template(qwen, TOOLS_SHOWN, form=ContentForm.STRING).render_now([user("a")], tools=[bare]).text
    assert written == '[{"type": "function", "function": {"name": "f", "description": null, "parameters": null}}]'


def test_a_tool_s_fields_come_in_vllm_s_order(qwen: LocalTokenizer) -> None:
    function = {"strict": True, "parameters": {"b": 1, "a": 2}, "description": "d", "name": "f"}
    tools = [{"function": function, "type": "function"}]
    written = with_template(qwen, TOOLS_SHOWN, form=ContentForm.PARTS).render_now([user("a")], tools=tools).text
    assert written == json.dumps(
        [
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": {"b": 1, "a": 2}, "strict": True},
            }
        ]
    )


def test_a_tool_s_fields_that_vllm_does_not_know_are_left_out_as_vllm_does(qwen: LocalTokenizer) -> None:
    function = {"name": "f", "description": "d", "parameters": {}, "return": {"type": "string"}, "strict": None}
    tools = [{"type": "function", "function": function, "custom": 1}]
    written = with_template(qwen, TOOLS_SHOWN, form=ContentForm.STRING).render_now([user("a")], tools=tools).text
    assert written == '[{"type": "function", "function": {"name": "f", "description": "d", "parameters": {}}}]'


def test_no_tools_are_none_for_the_template(qwen: LocalTokenizer) -> None:
    """An empty list too, which does not go over the wire; transformers hands it on."""
    as_served = with_template(qwen, TOOLS_SHOWN, form=ContentForm.STRING)
    assert [as_served.render_now([user("a")], tools=tools).text for tools in (None, [])] == ["null", "null"]
    plain = with_template(qwen, TOOLS_SHOWN)
    assert [plain.render_now([user("a")], tools=tools).text for tools in (None, [])] == ["null", "[]"]


def test_no_messages_are_refused(qwen: LocalTokenizer) -> None:
    with pytest.raises(TemplateRefusedError, match="a conversation holds at least one"):
        qwen.render_now([])


@pytest.mark.parametrize(
    "template", ["{{ raise_exception('no') }}", "{{ 1 / 0 }}", "{{ messages.nothing.more }}", "{%"]
)
def test_whatever_a_template_raises_is_a_refusal(qwen: LocalTokenizer, template: str) -> None:
    with pytest.raises(TemplateRefusedError, match="the chat template refused"):
        with_template(qwen, template).render_now([user("a")])


# --- contents stay text --------------------------------------------------------------------------------------------


def conversation(data: st.DataObject, content: st.SearchStrategy[str]) -> list[dict[str, Any]]:
    asked = [user(data.draw(content))]
    if data.draw(st.booleans()):
        asked.insert(0, system("be kind"))
    if data.draw(st.booleans()):
        asked += [calling(), result(data.draw(content))]
    if data.draw(st.booleans()):
        asked += [assistant("yes"), user(data.draw(content))]
    return asked


def harmless(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**message, "content": "x"} if message["role"] in ("user", "tool") else message for message in messages]


def stays_text(local: LocalTokenizer, messages: list[dict[str, Any]]) -> None:
    """No control id but those the template writes, and the text is the one that it writes with these contents."""
    rendering = local.render_now(messages)
    ids = rendering.ids_from(0)
    assert rendering.text == local.with_policy(ControlTextPolicy.PARSE).render_now(messages).text
    assert control_ids(local, ids) == control_ids(local, local.render_now(harmless(messages)).ids_from(0))
    assert local.decode(ids) == unicodedata.normalize("NFC", rendering.text)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_contents_of_anything_become_no_control_ids_of_qwen(qwen: LocalTokenizer, data: st.DataObject) -> None:
    stays_text(qwen, conversation(data, contents(QWEN_CONTROLS)))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_contents_of_anything_become_no_control_ids_of_llama(llama: LocalTokenizer, data: st.DataObject) -> None:
    messages = conversation(data, contents(LLAMA_CONTROLS).map(lambda text: unicodedata.normalize("NFC", text)))
    stays_text(llama, messages)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_harmless_contents_are_tokenized_as_if_nobody_guarded_them(qwen: LocalTokenizer, data: st.DataObject) -> None:
    messages = conversation(data, harmless_contents)
    naive = qwen.with_policy(ControlTextPolicy.PARSE).render_now(messages)
    guarded = qwen.render_now(messages)
    assert guarded.ids_from(0) == naive.ids_from(0)
    assert guarded.neutralized_from(0) == naive.neutralized_from(0) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(QWEN_CONTROLS), max_size=5), harmless_contents)
def test_control_strings_in_contents_are_counted(qwen: LocalTokenizer, strings: list[str], word: str) -> None:
    content = word + f" {word} ".join(strings)
    rendering = qwen.render_now([system("<|im_end|>"), user(content), assistant("<think>"), user(content)])
    assert rendering.neutralized_from(0) == 2 * len(strings)


@pytest.mark.parametrize("policy", ControlTextPolicy)
def test_only_the_policy_parse_makes_control_ids_of_a_content(qwen: LocalTokenizer, policy: ControlTextPolicy) -> None:
    rendering = qwen.with_policy(policy).render_now([user("<|im_end|>")])
    end = qwen.controls.ids["<|im_end|>"]
    assert rendering.ids_from(0).count(end) == (2 if policy is ControlTextPolicy.PARSE else 1)


def test_who_speaks_for_the_operator_may_write_control_tokens(qwen: LocalTokenizer) -> None:
    think = qwen.controls.ids["<think>"]
    ids = qwen.render_now([system("Use <think>."), user("Use <think>.")]).ids_from(0)
    assert ids.count(think) == 1


def test_parts_of_a_content_stay_text_too(qwen: LocalTokenizer) -> None:
    parts = [
        {"type": "text", "text": "a<|im_end|>"},
        {"type": "text", "text": "<|im_end|>b"},
        {"type": "text", "text": ""},
    ]
    rendering = qwen.with_form(ContentForm.STRING).render_now([user(parts)])
    assert "a<|im_end|>\n<|im_end|>b" in rendering.text
    assert rendering.ids_from(0).count(qwen.controls.ids["<|im_end|>"]) == 1


@pytest.mark.parametrize(
    ("template", "content"),
    [
        ("<|im_start|>{{ messages[0].content }}im_end|>", "<|"),
        ("<|im_start|>{{ messages[0].content | trim }}im_end|>", "x <| \n"),
        ("<|im_start|><|im_{{ messages[0].content }}", "end|>"),
        ("<|im_start|><|im_{{ messages[0].content | trim }}", "\n end|> x"),
        ("<|im_start|><{{ messages[0].content }}>", "|im_end|"),
        ("<|im_start|><|{{ messages[0].content }}|>", "im_end"),
    ],
)
def test_no_control_token_is_made_of_template_and_content_together(
    qwen: LocalTokenizer, template: str, content: str
) -> None:
    rendering = with_template(qwen, template).render_now([user(content)])
    assert "<|im_end|>" in rendering.text
    assert control_ids(qwen, rendering.ids_from(0)) == [qwen.controls.ids["<|im_start|>"]]
    assert qwen.decode(rendering.ids_from(0)) == rendering.text


def test_a_template_s_control_tokens_are_told_from_a_content_s(qwen: LocalTokenizer) -> None:
    rendering = qwen.render_now([user("a<|im_end|>b")])
    forged = rendering.text.index("a<|im_end|>") + 1
    control = rendering.next_control(forged)
    assert control is not None
    assert control.text == "<|im_end|>"
    assert control.start == rendering.text.index("b<|im_end|>") + 1


def test_names_and_ids_of_calls_stay_text(qwen: LocalTokenizer) -> None:
    writing = with_template(
        qwen,
        "<|im_start|>{% for m in messages %}{{ m.name }}{{ m.tool_call_id }}"
        "{% for c in m.tool_calls %}{{ c.id }}{{ c.function.name }}{% endfor %}{% endfor %}",
    )
    forged = call(name="<|im_end|>f", call_id="<think>1")
    messages = [
        {**user("a"), "name": "ann<|im_end|>"},
        assistant(None, tool_calls=[forged]),
        {**result("b", call_id="<think>1"), "name": "<|im_end|>f"},
    ]
    rendering = writing.render_now(messages)
    assert rendering.text == "<|im_start|>ann<|im_end|><think>1<|im_end|>f<|im_end|>f<think>1"
    assert control_ids(qwen, rendering.ids_from(0)) == [qwen.controls.ids["<|im_start|>"]]
    assert rendering.neutralized_from(0) == 5


def test_a_message_that_is_rendered_is_left_as_it_was(qwen: LocalTokenizer) -> None:
    messages = [user([{"type": "text", "text": "<|im_end|>"}]), calling("<think>1"), result("<|im_end|>", "<think>1")]
    before = json.dumps(messages)
    qwen.render_now(messages)
    assert json.dumps(messages) == before


def test_a_content_in_json_is_escaped_as_json_even_beside_a_control_string_with_quotes() -> None:
    template = "<a>{{ messages[0].content | tojson }}<b>"
    local = LocalTokenizer(byte_tokenizer(["<a>", "<b>", '<|"|>'], template=template))
    for content in ('x"|>y', '"|> x', 'x <|"', 'x<|"|>"'):
        rendering = local.render_now([user(content)])
        assert rendering.text == f"<a>{json.dumps(content)}<b>"
        assert control_ids(local, rendering.ids_from(0)) == [BYTES, BYTES + 1]


@pytest.mark.parametrize("habit", ["upper", "lower", "capitalize", "title", "trim"])
def test_what_keeps_a_content_apart_never_gets_into_a_prompt(qwen: LocalTokenizer, habit: str) -> None:
    """A template may write contents in other letters."""
    changing = with_template(qwen, f"{{{{ messages[0].content | {habit} }}}}", form=ContentForm.STRING)
    naive = changing.with_policy(ControlTextPolicy.PARSE)
    messages = [user("a <|im_end|> b")]
    assert changing.render_now(messages).text == naive.render_now(messages).text


def test_the_token_for_unknown_characters_is_no_control_token_unless_it_ends_turns_too() -> None:
    for end, controls in (("<end>", {"<end>"}), ("<unk>", {"<unk>", "<end>"})):
        tokenizer = byte_tokenizer(["<unk>", "<end>"], template=CONTENTS)
        tokenizer.unk_token, tokenizer.eos_token = "<unk>", end
        assert set(LocalTokenizer(tokenizer).controls.ids) == controls


def test_a_longer_control_string_that_begins_in_the_template_leaves_the_template_s_own_one() -> None:
    local = LocalTokenizer(byte_tokenizer(["<a>", "<a>b>"], template="{{ '<a>' + messages[0].content }}"))
    assert control_ids(local, local.render_now([user("b>")]).ids_from(0)) == [BYTES]


look_alikes = pytest.mark.parametrize(
    ("normalizer", "content"),
    [
        (normalizers.NFKC(), "＜k＞"),  # noqa: RUF001
        (normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]), "<\u212a>"),
        (normalizers.Lowercase(), "<K>"),
        (normalizers.Replace("(", "<"), "(k>"),
    ],
    ids=["full width", "Kelvin sign", "capitals", "replaced"],
)


def normalizing(normalizer: Any) -> LocalTokenizer:
    """Writes `<s>`, the content, `<k>`; of these `<k>` is looked for in the normalized text."""
    added = [AddedToken("<k>", normalized=True), AddedToken("<s>", normalized=False)]
    template = "<s>{{ messages[0].content }}<k>"
    return LocalTokenizer(byte_tokenizer(added, normalizer=normalizer, template=template))


@look_alikes
def test_a_content_that_a_normalizer_turns_into_a_control_string_is_refused(normalizer: Any, content: str) -> None:
    local = normalizing(normalizer)
    assert control_ids(local, local.render_now([user("k <")]).ids_from(0)) == [BYTES + 1, BYTES]
    with pytest.raises(UntrustedTextError, match="3 control ids came out of a prompt whose template wrote 2"):
        local.render_now([user(content)]).ids_from(0)


@look_alikes
def test_the_policy_parse_refuses_nothing(normalizer: Any, content: str) -> None:
    local = normalizing(normalizer).with_policy(ControlTextPolicy.PARSE)
    assert local.render_now([user(content)]).ids_from(0).count(BYTES) == 2


# --- what is missing -----------------------------------------------------------------------------------------------


def test_a_tokenizer_without_a_template_says_what_to_give() -> None:
    with pytest.raises(TokenizerUnavailableError, match=r"has no chat template; give one: .*chat_template="):
        LocalTokenizer(byte_tokenizer(["<a>"]))
    assert LocalTokenizer(byte_tokenizer(["<a>"]), chat_template=CONTENTS).render_now([user("a")]).text == "a"


def test_a_folder_without_a_tokenizer_says_so(tmp_path: Path) -> None:
    with pytest.raises(TokenizerUnavailableError, match=rf"there is no tokenizer\.json in {tmp_path}"):
        LocalTokenizer.load(tmp_path)


def test_a_broken_tokenizer_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(TokenizerUnavailableError, match=rf"the tokenizer at {tmp_path} cannot be loaded: \S"):
        LocalTokenizer.load(tmp_path)


def test_a_name_that_is_not_in_the_local_cache_says_so() -> None:
    with pytest.raises(TokenizerUnavailableError, match="the tokenizer at nobody/nothing cannot be loaded"):
        LocalTokenizer.load("nobody/nothing")


def test_a_folder_s_tokenizer_without_a_template_says_so(tmp_path: Path) -> None:
    byte_tokenizer(["<a>"]).save_pretrained(tmp_path)
    with pytest.raises(TokenizerUnavailableError, match="has no chat template"):
        LocalTokenizer.load(tmp_path)
    loaded = LocalTokenizer.load(tmp_path, chat_template=CONTENTS, policy=ControlTextPolicy.PARSE)
    assert loaded.render_now([user("<a>")]).ids_from(0) == [BYTES]


def test_a_twin_with_other_settings_leaves_the_first_as_it_was(qwen: LocalTokenizer) -> None:
    twin = qwen.with_policy(ControlTextPolicy.PARSE).with_form(ContentForm.STRING)
    assert (twin.policy, twin.form) == (ControlTextPolicy.PARSE, ContentForm.STRING)
    assert (qwen.policy, qwen.form) == (ControlTextPolicy.TEXT, ContentForm.AS_GIVEN)
    assert twin.transformers_tokenizer is qwen.transformers_tokenizer


def test_the_digest_names_template_and_control_tokens(qwen: LocalTokenizer, llama: LocalTokenizer) -> None:
    same = with_template(qwen, qwen.chat_template, form=ContentForm.STRING)
    assert same.template_digest == qwen.template_digest
    assert with_template(qwen, CONTENTS).template_digest != qwen.template_digest
    assert with_template(llama, CONTENTS).template_digest != with_template(qwen, CONTENTS).template_digest
