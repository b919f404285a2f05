"""A client's counters for the systems that watch services. They are read when somebody asks; a turn costs nothing more.

    export_to_prometheus(client)                  at /metrics of the process, as prometheus_client serves it
    export_to_opentelemetry(client, meter)        with every export of the meter's provider

Of several clients give a dict: its keys are the values of the label `client`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

from verifiers_tito.clients.metrics import ClientMetrics
from verifiers_tito.extras import load_extra

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


Clients: TypeAlias = "OpenAIChatCompletionsClient | Mapping[str, OpenAIChatCompletionsClient]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One counter, or one of several that differ in a label."""

    name: str
    labels: Mapping[str, str]
    value: float


def samples(metrics: ClientMetrics, *, client: str = "") -> Iterator[Sample]:
    """`tito_turns{client="", served="chat/tokens"}`, ...: all counters under their names in `ClientMetrics`."""
    for field in fields(metrics):
        value, name = getattr(metrics, field.name), PREFIX + field.name
        if field.name in _LABELS:
            for label, number in value.items():
                yield Sample(name=name, labels={"client": client, _LABELS[field.name]: label}, value=float(number))
        else:
            yield Sample(name=name, labels={"client": client}, value=float(value))


def export_to_prometheus(clients: Clients, registry: CollectorRegistry | None = None) -> Any:
    """Registers the counters, with the process-wide registry unless one is given, as `tito_turns_total` and so on.
    Returns what `registry.unregister` takes. Extra `prometheus`."""
    prometheus = load_extra("prometheus_client", otherwise=_missing("prometheus"))
    collector = _Collector(_by_name(clients))
    (registry or prometheus.REGISTRY).register(collector)
    return collector


def export_to_opentelemetry(clients: Clients, meter: Meter) -> None:
    """Makes an observable counter for each of the counters. Once for a meter. Extra `opentelemetry`."""
    opentelemetry = load_extra("opentelemetry.metrics", otherwise=_missing("opentelemetry"))
    by_name = _by_name(clients)
    for field in fields(ClientMetrics):

        def observe(options: Any, name: str = PREFIX + field.name) -> Iterable[Any]:
            found = (sample for sample in _all(by_name) if sample.name == name)
            return [opentelemetry.Observation(sample.value, dict(sample.labels)) for sample in found]

        meter.create_observable_counter(PREFIX + field.name, callbacks=[observe])


class _Collector:
    """What a registry asks whenever it is read."""

    def __init__(self, clients: Mapping[str, OpenAIChatCompletionsClient]) -> None:
        self._clients = clients

    def describe(self) -> list[Any]:
        """None by name: which labels there will be is not known yet."""
        return []

    def collect(self) -> Iterator[Any]:
        core = load_extra("prometheus_client.core", otherwise=_missing("prometheus"))
        families: dict[str, Any] = {}
        for sample in _all(self._clients):
            name = sample.name
            if name not in families:
                families[name] = core.CounterMetricFamily(
                    name, f"Of a verifiers_tito client: {name}", labels=[*sample.labels]
                )
            families[name].add_metric([*sample.labels.values()], sample.value)
        yield from families.values()


def _by_name(clients: Clients) -> Mapping[str, OpenAIChatCompletionsClient]:
    return clients if isinstance(clients, Mapping) else {"": clients}


def _all(clients: Mapping[str, OpenAIChatCompletionsClient]) -> Iterator[Sample]:
    for name, client in clients.items():
        yield from samples(client.metrics(), client=name)


def _missing(extra: str) -> str:
    return f"this needs the extra {extra}: pip install 'verifiers-tito[{extra}]'"
