"""`tito demo` on a server of one's own: its exit code tells whether token-in works there."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.conftest import FakeMaker
from verifiers_tito import cli
from verifiers_tito.testing import replies


@pytest.mark.filterwarnings("ignore:sampled ids are left out of the loss")  # by servers without the plugin
@pytest.mark.parametrize(
    ("server", "exit_code", "said"),
    [
        ({}, 0, "routes: M chat (first turn): 1, T chat/tokens: 1"),
        ({"token_route": False}, 0, "routes: M chat (first turn): 1, T chat/kv: 1"),
        (
            {"token_route": False, "kv_token_ids": False, "completions_route": False},
            1,
            "token-in does not work here: every turn went in as messages (server has no",
        ),
    ],
    ids=["plugin", "stock", "old"],
)
async def test_the_exit_code_tells_whether_token_in_works(
    qwen3_fake: FakeMaker,
    server: dict[str, bool],
    exit_code: int,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = ("--games", "1", "--group-size", "1", "--max-turns", "2", "--out", str(tmp_path / "datums.jsonl"))
    async with qwen3_fake(replies(["0", "0"]), **server) as fake:
        ended = await asyncio.to_thread(cli.main, ["demo", "--base-url", fake.base_url, *small])
    assert said in capsys.readouterr().out
    assert ended == exit_code


def test_an_address_where_nobody_answers_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert cli.main(["demo", "--base-url", f"http://127.0.0.1:{port}/v1"]) == 1
    told = capsys.readouterr().err
    assert told.startswith(
        f"tito demo: GET /v1/models: the server at http://127.0.0.1:{port}/v1/models cannot be reached"
    )
    assert told.count("\n") == 1
