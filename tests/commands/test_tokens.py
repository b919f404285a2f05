"""`tito tokens`: a conversation's tokens on a terminal and as a page."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Ran, Tito

TALK = [
    {"role": "user", "content": "One <b>?"},
    {"role": "assistant", "content": "First.", "reasoning_content": "Hm."},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "Second."},
]
TOOL = {"type": "function", "function": {"name": "look_up", "description": "Looks.", "parameters": {}}}


def written(folder: Path, conversation: Any) -> Path:
    file = folder / "conversation.json"
    file.write_text(json.dumps(conversation))
    return file


def trained(ran: Ran) -> str:
    """The texts of the tokens with weight, in a row."""
    return "".join(json.loads(f'"{text}"') for text in re.findall(r"COMPLETION .*?'(.*)'$", ran.out, re.MULTILINE))


async def test_each_token_is_shown_with_its_message_and_whether_it_is_trained(
    tito: Tito, qwen3_tiny: Path, tmp_path: Path
) -> None:
    ran = await tito("tokens", written(tmp_path, TALK), "--tokenizer", qwen3_tiny)
    assert ran.exit_code == 0
    assert ran.cells("tokens") == ["33, of which 7 are trained"]
    assert ran.cells("stops") == ["'<|im_end|>'"]
    assert trained(ran) == "<think>\n\n</think>\n\nSecond.<|im_end|>"
    assert re.search(r"^\[   3\]   3966 prompt     0 user +'One'$", ran.out, re.MULTILINE)


async def test_what_is_trained_can_be_chosen(tito: Tito, qwen3_tiny: Path, tmp_path: Path) -> None:
    options = ("--train", "all-assistant-messages", "--template-argument", "enable_thinking=false")
    ran = await tito("tokens", written(tmp_path, TALK), "--tokenizer", qwen3_tiny, *options, "--renderer", "qwen3")
    assert trained(ran) == "First.<|im_end|>Second.<|im_end|>"


async def test_the_bridge_is_shown_beside_a_whole_rendering(tito: Tito, qwen3_tiny: Path, tmp_path: Path) -> None:
    ran = await tito("tokens", written(tmp_path, TALK), "--tokenizer", qwen3_tiny)
    assert (
        "bridge behind message 1: 22 ids as sent and sampled, 11 new; other ids than rendering everything anew"
        in ran.out
    )
    plain = [{key: value for key, value in message.items() if key != "reasoning_content"} for message in TALK]
    instruct = ("--renderer", "role_colon")
    ran = await tito("tokens", written(tmp_path, plain), "--tokenizer", qwen3_tiny, *instruct)
    assert "behind message 1 there is no bridge: " in ran.out


async def test_a_conversation_that_waits_for_an_answer_is_shown_as_its_prompt(
    tito: Tito, qwen3_tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"messages": TALK[:1], "tools": [TOOL]})))
    ran = await tito("tokens", "-", "--tokenizer", qwen3_tiny)
    assert "of which 0 are trained" in ran.out
    assert "'look'" in ran.out
    assert ran.out.rstrip().endswith("'\\n'")


async def test_the_page_is_one_file_in_which_messages_are_only_text(
    tito: Tito, qwen3_tiny: Path, tmp_path: Path
) -> None:
    hostile = [{"role": "user", "content": '<script>alert("x")</script>'}, *TALK[1:]]
    page = tmp_path / "page.html"
    ran = await tito("tokens", written(tmp_path, hostile), "--tokenizer", qwen3_tiny, "--html", page)
    assert f"written: {page}" in ran.err
    source = page.read_text()
    assert "<script" not in source
    assert not re.search(r"(?:src|href)=", source)
    text = re.sub(r"<[^>]+>", "", source[source.index('<div class="tokens">') :])
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;" in text
    assert "Bridge behind message 1" in source


async def test_a_page_that_cannot_be_written_is_said_in_a_line(tito: Tito, qwen3_tiny: Path, tmp_path: Path) -> None:
    place = tmp_path / "nowhere" / "page.html"
    ran = await tito("tokens", written(tmp_path, TALK), "--tokenizer", qwen3_tiny, "--html", place)
    assert (ran.exit_code, ran.out) == (1, "")
    assert "give --html a file in a folder that exists" in ran.err


@pytest.mark.parametrize(
    ("conversation", "options", "problem"),
    [
        ("not JSON", (), "holds no conversation"),
        ({"messages": 3}, (), "holds no conversation"),
        ([], (), "there are no messages; give at least one"),
        (TALK, ("--train", "nothing"), "--train nothing: choose one of last-assistant-message, "),
        (TALK, ("--renderer", "qwen9"), "there is no renderer 'qwen9'; known: "),
        (TALK, ("--template-argument", "enable_thinking"), "give NAME=JSON, such as enable_thinking=false"),
    ],
)
async def test_what_is_wrong_is_said_in_a_line(
    tito: Tito, qwen3_tiny: Path, tmp_path: Path, conversation: Any, options: tuple[str, ...], problem: str
) -> None:
    ran = await tito("tokens", written(tmp_path, conversation), "--tokenizer", qwen3_tiny, *options)
    assert ran.exit_code == 1
    assert problem in ran.err


async def test_a_file_that_is_not_there(tito: Tito) -> None:
    ran = await tito("tokens", "nowhere.json")
    assert ran.exit_code == 1
    assert "tito tokens: the conversation in nowhere.json cannot be read" in ran.err
