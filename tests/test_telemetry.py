"""A client's counters, as Prometheus and OpenTelemetry read them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, generate_latest

import verifiers_tito as vf
from tests.clients.turns import QUESTION, config_of, conversation, fresh_state, say, take_turn
from tests.conftest import FakeMaker
from verifiers_tito.telemetry import export_to_opentelemetry, export_to_prometheus


@pytest_asyncio.fixture
async def busy_client(qwen3_fake: FakeMaker) -> AsyncIterator[vf.OpenAIChatCompletionsTokenClient]:
    async with qwen3_fake(say("4")) as fake, vf.OpenAIChatCompletionsTokenClient(config_of(fake)) as client:
        state = fresh_state()
        await take_turn(client, state, [QUESTION])
        await take_turn(client, state, [*conversation(state), vf.UserMessage(content="And now?")])
        yield client


async def test_prometheus_reads_what_the_client_has_counted(busy_client: Any) -> None:
    registry = CollectorRegistry()
    export_to_prometheus(busy_client, registry)
    text = generate_latest(registry).decode()
    assert 'tito_turns_total{client="",served="chat/tokens"} 1.0' in text
    assert f'tito_sampled_ids_total{{client=""}} {float(busy_client.metrics().sampled_ids)}' in text
    assert (
        registry.get_sample_value("tito_requests_total", {"client": "", "operation": "POST /v1/chat/completions"})
        == 1.0
    )


async def test_opentelemetry_reads_what_the_client_has_counted(busy_client: Any) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    export_to_opentelemetry(busy_client, provider.get_meter("tests"))
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        (metric.name, *point.attributes.values()): point.value
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }
    provider.shutdown()
    assert found["tito_turns", "", "chat (first turn)"] == found["tito_turns", "", "chat/tokens"] == 1.0
    assert found["tito_prompt_ids", ""] == busy_client.metrics().prompt_ids


async def test_several_clients_are_told_apart_and_can_be_taken_off_again(busy_client: Any) -> None:
    registry = CollectorRegistry()
    collector = export_to_prometheus({"policy": busy_client, "judge": busy_client}, registry)
    for name in ("policy", "judge"):
        assert registry.get_sample_value("tito_turns_total", {"client": name, "served": "chat/tokens"}) == 1.0
    registry.unregister(collector)
    assert generate_latest(registry) == b""


async def test_a_client_that_did_nothing_has_nothing_to_tell(qwen3_fake: FakeMaker) -> None:
    registry = CollectorRegistry()
    async with qwen3_fake(say("4")) as fake, vf.OpenAIChatCompletionsTokenClient(config_of(fake)) as client:
        export_to_prometheus(client, registry)
        assert registry.get_sample_value("tito_sent_bytes_total", {"client": ""}) == 0.0
        assert registry.get_sample_value("tito_turns_total", {"client": "", "served": "chat/tokens"}) is None


@pytest.mark.parametrize("extra", ["prometheus", "opentelemetry"])
def test_a_missing_package_is_named(extra: str, monkeypatch: pytest.MonkeyPatch, busy_client: Any) -> None:
    for module in ("prometheus_client", "opentelemetry.metrics"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(vf.ConfigError, match=rf"verifiers-tito\[{extra}\]"):
        export_to_prometheus(busy_client) if extra == "prometheus" else export_to_opentelemetry(busy_client, None)
