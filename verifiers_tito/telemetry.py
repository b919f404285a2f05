"""A client's counters for the systems that watch services. They are read when somebody asks; a turn costs nothing more.

export_to_prometheus(client)                  at /metrics of the process, as prometheus_client serves it
export_to_opentelemetry(client, meter)        with every export of the meter's provider
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from verifiers_tito.clients.metrics import ClientMetrics
from verifiers_tito.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from prometheus_client import CollectorRegistry

    from verifiers_tito.clients import OpenAIChatCompletionsClient

PREFIX = "tito_"
_LABELS = {
    "turns": "served",
    "turn_seconds": "served",
    "failed_turns": "error",
    "requests": "operation",
    "retries": "error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One counter, or one of several that differ in a label."""

    name: str
    labels: Mapping[str, str]
    value: float


def samples(metrics: ClientMetrics) -> Iterator[Sample]:
    """`tito_turns{served="chat/tokens"}`, `tito_sent_bytes`, ...: all counters under their names in `ClientMetrics`."""
    for field in fields(metrics):
        value, name = getattr(metrics, field.name), PREFIX + field.name
        if field.name in _LABELS:
            for label, number in value.items():
                yield Sample(name=name, labels={_LABELS[field.name]: label}, value=float(number))
        else:
            yield Sample(name=name, labels={}, value=float(value))


def export_to_prometheus(client: OpenAIChatCompletionsClient, registry: CollectorRegistry | None = None) -> None:
    """Registers the client's counters, with the process-wide registry unless one is given. Extra `prometheus`."""
    try:
        from prometheus_client import REGISTRY  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ConfigError(_missing("prometheus")) from error
    collector: Any = _Collector(client)  # which is what has `collect`
    (registry or REGISTRY).register(collector)


def export_to_opentelemetry(client: OpenAIChatCompletionsClient, meter: Meter) -> None:
    """Makes an observable counter for each of the client's. Extra `opentelemetry`."""
    try:
        from opentelemetry.metrics import CallbackOptions, Observation  # noqa: PLC0415  an extra
    except ImportError as error:
        raise ConfigError(_missing("opentelemetry")) from error
    for field in fields(ClientMetrics):

        def observe(options: CallbackOptions, name: str = PREFIX + field.name) -> Iterable[Observation]:
            found = (sample for sample in samples(client.metrics()) if sample.name == name)
            return [Observation(sample.value, dict(sample.labels)) for sample in found]

        meter.create_observable_counter(PREFIX + field.name, callbacks=[observe])


class _Collector:
    """What a registry asks whenever it is read."""

    def __init__(self, client: OpenAIChatCompletionsClient) -> None:
        self._client = client

    def describe(self) -> list[Any]:
        """None by name: which labels there will be is not known yet."""
        return []

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415  an extra

        families: dict[str, Any] = {}
        for sample in samples(self._client.metrics()):
            name = sample.name
            if name not in families:
                families[name] = CounterMetricFamily(
                    name, f"Of a verifiers_tito client: {name}", labels=[*sample.labels]
                )
            families[name].add_metric([*sample.labels.values()], sample.value)
        yield from families.values()


def _missing(extra: str) -> str:
    return f"this needs the extra {extra}: pip install 'verifiers-tito[{extra}]'"
