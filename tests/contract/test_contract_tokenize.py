"""/tokenize and /detokenize beyond the rendering of messages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.contract_wire import HI, Refused, Wire, bad_request, refused


async def test_a_text_is_tokenized_control_tokens_included(wire: Wire, tokenizer: Any) -> None:
    text = "Hi<|im_end|>\n<think> é🫠"
    response = await wire.post("/tokenize", {"model": wire.model, "prompt": text})
    ids = tokenizer(text).input_ids
    assert response.json() == {"count": len(ids), "max_model_len": 8192, "tokens": ids, "token_strs": None}
    assert 151645 in ids


async def test_token_strings_are_the_vocabularys_names(wire: Wire) -> None:
    response = await wire.post("/tokenize", {"prompt": "Hi<|im_end|> é", "return_token_strs": True})
    assert response.json()["token_strs"] == ["Hi", "<|im_end|>", "ĠÃ©"]
    response = await wire.post("/tokenize", {"messages": [HI], "return_token_strs": True})
    assert response.json()["token_strs"][:4] == ["<|im_start|>", "user", "Ċ", "Hi"]


async def test_an_empty_text_has_no_tokens(wire: Wire) -> None:
    assert await wire.tokenize(prompt="") == []


async def test_messages_win_over_a_text(wire: Wire) -> None:
    assert await wire.tokenize(messages=[HI], prompt="a") == await wire.tokenize(messages=[HI])


async def test_a_prompt_longer_than_the_context_is_tokenized_all_the_same(wire: Wire) -> None:
    assert len(await wire.tokenize(prompt=" a" * 9000)) == 9000


async def test_tokenize_takes_an_empty_list_of_tools(wire: Wire) -> None:
    assert await wire.tokenize(messages=[HI], tools=[]) == await wire.tokenize(messages=[HI])


@pytest.mark.parametrize("path", ["/tokenize", "/detokenize"])
async def test_an_unknown_model_is_not_found(path: str, wire: Wire) -> None:
    response = await wire.post(path, {"model": "x", "messages": [HI], "tokens": [1]})
    message = f"The model `x` does not exist. Valid aliases: {wire.model}."
    assert refused(response) == Refused(404, "NotFoundError", "model", message)


async def test_tokenize_needs_no_key(wire: Wire) -> None:
    assert (await wire.stranger.post("/tokenize", json={"prompt": "a"})).status_code == 200


async def test_tokenize_without_messages_and_prompt_names_both(wire: Wire) -> None:
    error = refused(await wire.post("/tokenize", {}))
    assert (error.status, error.type, error.param) == (400, "Bad Request", "body.prompt")
    assert error.message.startswith("2 validation errors:\n")
    assert "'body.messages'" in error.message


async def test_tokenize_refuses_ids_as_a_prompt(wire: Wire) -> None:
    error = refused(await wire.post("/tokenize", {"prompt": [1, 2]}))
    assert (error.status, error.type, error.param) == (400, "Bad Request", "body.prompt")


async def test_tokenize_refuses_an_empty_conversation(wire: Wire) -> None:
    error = refused(await wire.post("/tokenize", {"messages": []}))
    assert error == bad_request("Cannot apply chat template to an empty conversation. Provide at least one message.")


@pytest.mark.parametrize("path", ["/tokenize", "/v1/chat/completions"])
async def test_continuing_a_message_excludes_a_generation_prompt(path: str, wire: Wire) -> None:
    messages = [HI, {"role": "assistant", "content": "a"}]
    both = {"messages": messages, "continue_final_message": True, "add_generation_prompt": True}
    assert refused(await wire.post(path, both)) == bad_request(
        "Cannot set both `continue_final_message` and `add_generation_prompt` to True."
    )
    by_default = {"messages": messages, "continue_final_message": True}
    error = refused(await wire.post(path, by_default))
    assert (error.status, error.type) == (400, "BadRequestError")
    assert error.message.startswith("continue_final_message and add_generation_prompt are not compatible.")


@pytest.mark.parametrize(
    ("tokens", "text"), [([13048, 151645, 3958], "Hi<|im_end|> é"), ([], ""), ([151668], "</think>")]
)
async def test_detokenize_gives_the_text(tokens: list[int], text: str, wire: Wire) -> None:
    response = await wire.post("/detokenize", {"tokens": tokens})
    assert response.json() == {"prompt": text}


@pytest.mark.parametrize(
    ("tokens", "param"),
    [([-1], "body.tokens.0"), (["a"], "body.tokens.0"), ([1.5], "body.tokens.0"), ("a", "body.tokens")],
)
async def test_detokenize_refuses_what_is_no_id(tokens: Any, param: str, wire: Wire) -> None:
    error = refused(await wire.post("/detokenize", {"tokens": tokens}))
    assert (error.status, error.type, error.param) == (400, "Bad Request", param)
    assert error.message.startswith("1 validation error:\n  {'type': ")
