"""Failure 23: every wording in which vLLM says that a prompt is too long, and other statuses, at the one seam."""

from __future__ import annotations

import json

import pytest

import verifiers_tito as vf
from verifiers_tito.transport import ModelNotServedError, RequestRefusedError, RouteMissingError, ServerError, decode
from verifiers_tito.transport.error_mapping import map_status
from verifiers_tito.wire.answers import ChatAnswer

OVERLONG = [
    "This model's maximum context length is 64 tokens. However, your prompt contains at least 65 input tokens.",
    "Input length (65) exceeds model's maximum context length (64).",
    "max_tokens must be at least 1, got 0.",
    "The decoder prompt (length 65) is longer than the maximum model length of 64. Make sure ...",
    "The decoder prompt (length 64) plus the number of requested output tokens (at least 1) is longer than the maximum "
    "model length of 64. Make sure ...",
]


def body(message: str, param: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "type": "BadRequestError", "param": param, "code": 400}}).encode()


@pytest.mark.parametrize("message", OVERLONG)
def test_every_wording_of_overlong_is_recognized(message: str) -> None:
    error = map_status(400, body(message), operation="POST /x")
    assert isinstance(error, vf.OverlongPromptError)
    assert message in str(error)


def test_overlong_is_recognized_by_its_parameter_whatever_the_words() -> None:
    assert isinstance(map_status(400, body("too much", "input_tokens"), operation="x"), vf.OverlongPromptError)


@pytest.mark.parametrize(
    ("status", "answer", "expected", "retryable"),
    [
        (400, body("temperature must be non-negative"), RequestRefusedError, False),
        (404, body("The model `x` does not exist."), ModelNotServedError, False),
        (404, b'{"detail": "Not Found"}', RouteMissingError, False),
        (405, b'{"detail": "Method Not Allowed"}', RouteMissingError, False),
        (501, b'{"error": {"message": "no engine"}}', RouteMissingError, False),
        (429, b"slow down", ServerError, True),
        (500, b"<html>oops</html>", ServerError, True),
        (400, b"\xff\xfe", RequestRefusedError, False),
    ],
)
def test_other_statuses_keep_the_server_s_words(
    status: int, answer: bytes, expected: type[vf.Error], retryable: bool
) -> None:
    error = map_status(status, answer, operation="POST /x")
    assert type(error) is expected
    assert error.retryable is retryable
    assert str(error).startswith(f"POST /x: the server answered {status}: ")


@pytest.mark.parametrize(
    "answer", [b"", b"{", b"[]", b'{"id": "x", "choices": 3}', b'{"id": "x", "choices": [{"logprobs": NaN}]}']
)
def test_an_answer_of_another_shape_is_an_invalid_response(answer: bytes) -> None:
    with pytest.raises(vf.InvalidModelResponseError, match=r"POST /x: the answer \(\d+ bytes\) cannot be read"):
        decode(answer, ChatAnswer, operation="POST /x")
