"""What is the fake's own: its life, scripts, records. What it shares with vLLM is in tests/contract."""

from __future__ import annotations

import re
import signal
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import verifiers_tito as vf
from verifiers_tito.errors import ConfigError, LocalServerError
from verifiers_tito.testing import (
    Completion,
    FakeModel,
    FakeRequest,
    FakeTokenizer,
    FakeVLLM,
    Script,
    echo_last_user,
    random_tokens,
    replies,
    replies_by_turn,
)

HI = {"role": "user", "content": "Hi"}
END = 151645


class _Scripted:
    """One server for all tests of this file; each sets its script."""

    def __init__(self, client: httpx.AsyncClient, fake: FakeVLLM) -> None:
        self.client = client
        self.fake = fake
        self.script: Script = echo_last_user

    def sample(self, request: FakeRequest) -> Completion:
        return self.script(request)

    async def choices(self, **fields: Any) -> list[dict[str, Any]]:
        response = await self.client.post(
            "/v1/chat/completions", json={"messages": [HI], "return_token_ids": True, **fields}
        )
        assert response.status_code == 200, response.text
        return response.json()["choices"]

    async def text(self, **fields: Any) -> str:
        (choice,) = await self.choices(**fields)
        return choice["message"]["content"]


@pytest.fixture(scope="module")
def tokenizer(qwen3_tokenizer: FakeTokenizer) -> FakeTokenizer:
    return qwen3_tokenizer


@pytest.fixture(scope="module")
async def scripted(qwen3_tiny: Path, tokenizer: FakeTokenizer) -> AsyncIterator[_Scripted]:
    held: list[_Scripted] = []
    fake = FakeVLLM(
        FakeModel(folder=qwen3_tiny, max_model_len=512),
        script=lambda request: held[0].sample(request),
        tokenizer=tokenizer,
    )
    async with fake, httpx.AsyncClient(base_url=fake.root_url) as client:
        held.append(_Scripted(client, fake))
        yield held[0]


async def test_it_listens_while_inside_and_not_after(qwen3_tiny: Path, tokenizer: FakeTokenizer) -> None:
    async with FakeVLLM(FakeModel(folder=qwen3_tiny), script=replies(["a"]), tokenizer=tokenizer) as fake:
        base_url = fake.base_url
        async with httpx.AsyncClient(base_url=fake.root_url) as client:
            assert (await client.get("/health")).status_code == 200
            with pytest.raises(LocalServerError, match="already running"):
                await fake.__aenter__()
    assert base_url.startswith("http://127.0.0.1:")
    assert base_url.endswith("/v1")
    with pytest.raises(LocalServerError, match="not running"):
        _ = fake.base_url
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{base_url}/models")


async def test_it_leaves_signal_handlers_alone(qwen3_tiny: Path, tokenizer: FakeTokenizer) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with FakeVLLM(FakeModel(folder=qwen3_tiny), script=replies(["a"]), tokenizer=tokenizer):
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


async def test_without_the_token_route_it_looks_like_a_stock_vllm(qwen3_tiny: Path, tokenizer: FakeTokenizer) -> None:
    fake = FakeVLLM(FakeModel(folder=qwen3_tiny), script=replies(["a"]), tokenizer=tokenizer, token_route=False)
    async with fake, httpx.AsyncClient(base_url=fake.root_url) as client:
        for response in (
            await client.post("/v1/chat/completions/tokens", json={"tokens": [1]}),
            await client.get("/v1/chat/completions/tokens"),
        ):
            assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})


async def test_it_describes_itself_as_it_was_set_up(scripted: _Scripted) -> None:
    told = (await scripted.client.get("/v1/chat/completions/tokens")).json()
    assert (told["model"], told["max_model_len"]) == ("fake", 512)
    assert (told["tool_call_parser"], told["reasoning_parser"]) == (None, None)


async def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a tokenizer\.json"):
        async with FakeVLLM(FakeModel(folder=tmp_path), script=replies(["a"])):
            pass


async def test_requests_are_recorded_without_the_key(scripted: _Scripted) -> None:
    scripted.script = echo_last_user
    body = {"messages": [HI], "max_tokens": 1}
    await scripted.client.post(
        "/v1/chat/completions", json=body, headers={"Authorization": "Bearer secret", "X-Extra": "1"}
    )
    recorded = scripted.fake.requests[-1]
    assert (recorded.method, recorded.path, recorded.body) == ("POST", "/v1/chat/completions", body)
    assert recorded.headers["x-extra"] == "1"
    assert "secret" not in repr(recorded)


async def test_a_text_ends_its_turn(scripted: _Scripted) -> None:
    scripted.script = lambda request: Completion(text="Hello")
    (choice,) = await scripted.choices()
    assert choice["message"]["content"] == "Hello"
    assert choice["token_ids"] == [9707, END]
    assert (choice["finish_reason"], choice["stop_reason"]) == ("stop", None)


async def test_a_completion_can_be_cut_without_max_tokens(scripted: _Scripted) -> None:
    scripted.script = lambda request: Completion(text="Hello", finish="length")
    (choice,) = await scripted.choices()
    assert (choice["token_ids"], choice["finish_reason"]) == ([9707], "length")


async def test_ids_are_sampled_as_given_up_to_the_end_of_turn(scripted: _Scripted) -> None:
    scripted.script = lambda request: Completion(token_ids=(1, 2, END, 3))
    (choice,) = await scripted.choices()
    assert choice["token_ids"] == [1, 2, END]
    scripted.script = lambda request: Completion(token_ids=(1, 151643, 3))
    (choice,) = await scripted.choices()
    assert (choice["token_ids"], choice["stop_reason"]) == ([1, 151643], 151643)


async def test_min_tokens_makes_a_short_answer_longer(scripted: _Scripted) -> None:
    scripted.script = lambda request: Completion(token_ids=(1, 2))
    (choice,) = await scripted.choices(min_tokens=5)
    assert choice["token_ids"] == [1, 2, 1, 2, 1, END]


async def test_without_a_reasoning_parser_special_tokens_are_skipped_in_the_text(
    scripted: _Scripted,
) -> None:
    scripted.script = lambda request: Completion(token_ids=(9707, 151644, 9707))
    assert await scripted.text() == "HelloHello"
    assert await scripted.text(skip_special_tokens=False) == "Hello<|im_start|>Hello"


async def test_without_a_tool_parser_tools_are_refused_as_vllm_does(scripted: _Scripted) -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    response = await scripted.client.post("/v1/chat/completions", json={"messages": [HI], "tools": [tool]})
    assert response.status_code == 400
    assert "--enable-auto-tool-choice" in response.json()["error"]["message"]


async def test_replies_come_in_order_and_running_out_is_an_error(qwen3_tiny: Path, tokenizer: FakeTokenizer) -> None:
    fake = FakeVLLM(FakeModel(folder=qwen3_tiny), script=replies(["a", "b"]), tokenizer=tokenizer)
    async with fake, httpx.AsyncClient(base_url=fake.root_url) as client:
        answers = [(await client.post("/v1/chat/completions", json={"messages": [HI]})).json() for _ in range(3)]
    assert [answer["choices"][0]["message"]["content"] for answer in answers[:2]] == ["a", "b"]
    assert answers[2]["error"]["code"] == 500
    assert "has 2 replies" in answers[2]["error"]["message"]


async def test_replies_by_turn_follow_each_conversation(scripted: _Scripted) -> None:
    scripted.script = replies_by_turn(["first", "second"])
    later = [HI, {"role": "assistant", "content": "first"}, HI]
    assert [await scripted.text(messages=messages) for messages in (later, [HI], later, [HI])] == [
        "second",
        "first",
        "second",
        "first",
    ]


async def test_echo_repeats_the_last_user_message(scripted: _Scripted) -> None:
    scripted.script = echo_last_user
    assert await scripted.text(messages=[HI, {"role": "user", "content": "there"}]) == "there"


async def test_random_tokens_depend_on_the_request_only(scripted: _Scripted) -> None:
    scripted.script = random_tokens(seed=3, shortest=5, longest=9)
    first, second = await scripted.choices(n=2)
    again, _ = await scripted.choices(n=2)
    seeded, _ = await scripted.choices(n=2, seed=1)
    assert first["token_ids"] == again["token_ids"]
    assert first["token_ids"] != second["token_ids"]
    assert first["token_ids"] != seeded["token_ids"]


async def test_what_the_fake_cannot_do_is_refused(scripted: _Scripted) -> None:
    response = await scripted.client.post("/v1/chat/completions", json={"messages": [HI], "echo": True})
    assert response.status_code == 501
    assert "does not implement `echo`" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Completion(),
        lambda: Completion(text="a", token_ids=(1,)),
        lambda: Completion(token_ids=(), finish="length"),
        lambda: replies("abc"),
        lambda: random_tokens(shortest=5, longest=4),
        lambda: FakeModel(folder=Path(), max_model_len=0),
        lambda: FakeVLLM(FakeModel(folder=Path()), script=echo_last_user, reasoning_parser="deepseek_r1"),
        lambda: FakeVLLM(FakeModel(folder=Path()), script=echo_last_user, tool_call_parser="pythonic"),
        lambda: FakeVLLM(FakeModel(folder=Path()), script=echo_last_user, block_size=0),
    ],
)
def test_contradictory_settings_are_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError):
        wrong()


async def test_the_readme_s_example_of_a_fake_runs(qwen3_tiny: Path) -> None:
    readme = Path(__file__).parent.parent.parent / "README.md"
    *_, program = re.findall(r"```python\n(.*?)```", readme.read_text(), flags=re.DOTALL)
    body = textwrap.indent(program, "    ")
    names: dict[str, Any] = {
        "vf": vf,
        "folder": qwen3_tiny,
        "env": vf.SingleTurnEnv(dataset=[{"question": "?"}], rubric=vf.Rubric(lambda completion: 3.0)),
    }
    exec(f"async def example():\n{body}\n    return state", names)
    state = await names["example"]()
    assert state["completion"] == [vf.AssistantMessage(content="7")]
    assert state["reward"] == 3.0
