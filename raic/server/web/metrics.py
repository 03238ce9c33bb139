"""The metrics, as OpenMetrics and the older text format of Prometheus have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from attrs import frozen
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest as generate_text
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector, CollectorRegistry

from raic.server.web.families import FAMILIES, Family
from raic.status import NodeStatus, OperationSummary, ProviderSummary, ServerStatus
from raic.status.values import AWAY, FAILING
from raic.tally import LATENCY_BOUNDS

_BOUNDS = tuple(f"{bound:.6g}" for bound in LATENCY_BOUNDS)


@frozen
class Form:
    """In which metrics are told."""

    content_type: str
    generate: Callable[[Any], bytes]

    def expose(self, status: NodeStatus) -> bytes:
        """A status in this form."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_StatusCollector(status))
        return self.generate(registry)


OPENMETRICS = Form(CONTENT_TYPE_LATEST, generate_openmetrics)
TEXT = Form("text/plain; version=0.0.4; charset=utf-8", generate_text)


def form_for(accept: str) -> Form:
    """OpenMetrics, unless whoever asks wishes for plain text alone.

    :param accept: the header of this name.
    """
    kinds = {each.partition(";")[0].strip().lower() for each in accept.split(",")}
    return (
        TEXT
        if "text/plain" in kinds and "application/openmetrics-text" not in kinds
        else OPENMETRICS
    )


@frozen
class Sample:
    """A value of a family.

    :ivar labels: of the family's own, in their order.
    """

    family: str
    labels: tuple[str, ...]
    value: float


class _StatusCollector(Collector):
    def __init__(self, status: NodeStatus) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        """See ``Collector``."""
        yield InfoMetricFamily(
            "raic_build", FAMILIES["raic_build"].help, {"version": self._status.version}
        )
        found: dict[str, Metric] = {}
        for sample in _samples(self._status):
            family = found.get(sample.family)
            if family is None:
                family = found[sample.family] = _family(FAMILIES[sample.family])
            family.add_metric(sample.labels, sample.value)  # type: ignore[attr-defined]
        yield from found.values()
        yield from _histograms(self._status)


def _family(family: Family) -> Metric:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    return kind(family.name, family.help, labels=family.labels)


def server_label(server: ServerStatus) -> str:
    """What a server is called: its section, or the node's nickname."""
    return server.name or server.nickname


def _samples(status: NodeStatus) -> Iterator[Sample]:
    yield Sample("raic_start_time_seconds", (), status.started)
    yield Sample("raic_recent_warnings", (), len(status.warnings))
    for server in status.servers:
        yield from _of_server(server)
        yield from _of_array(server)
        for operation in server.operations:
            yield from _of_operation(server, operation)
        for provider in server.providers:
            yield from _of_provider(server, provider)


def _of_server(server: ServerStatus) -> Iterator[Sample]:
    label, holding, expiry = (server_label(server),), server.holding, server.expiry
    plain = {
        "raic_ready": server.readiness.ready,
        "raic_available_bytes": server.available,
        "raic_shares": holding.shares,
        "raic_share_bytes": holding.share_bytes,
        "raic_slots": holding.slots,
        "raic_slot_bytes": holding.slot_bytes,
        "raic_leases": holding.leases,
        "raic_garbage_objects": holding.garbage,
        "raic_advisories": holding.advisories,
        "raic_uploads": holding.uploads,
        "raic_upload_bytes": holding.upload_bytes,
        "raic_collected_objects": server.collection.deleted,
        "raic_collection_failing": bool(server.collection.problem),
        "raic_collection_time_seconds": server.collection.last,
        "raic_next_expiration_time_seconds": expiry.upcoming.first,
        "raic_expiry_time_seconds": expiry.last_started,
    }
    for name, value in plain.items():
        if value is not None:
            yield Sample(name, label, float(value))
    for introducer in server.introducers:
        yield Sample(
            "raic_introducer_connected", (*label, introducer.tub_id), float(introducer.connected)
        )


def _of_array(server: ServerStatus) -> Iterator[Sample]:
    array = server.array
    if array is None:
        return
    label = (server_label(server), array.name)
    for state in ("full", "degraded", "at_risk"):
        yield Sample("raic_array_objects", (*label, state), getattr(array, state))
    plain = {
        "raic_array_needed": array.needed,
        "raic_array_happy": array.happy,
        "raic_array_providers": array.total,
        "raic_array_writable_providers": array.reachable,
        "raic_array_repairs_waiting": array.repair.queued,
        "raic_array_repairs": array.repair.done,
        "raic_array_scrub_time_seconds": array.scrub.finished,
        "raic_array_oldest_verification_time_seconds": array.scrub.oldest,
    }
    for name, value in plain.items():
        if value is not None:
            yield Sample(name, label, float(value))
    for running in array.under_way:
        yield Sample("raic_array_operation_done", (*label, running.kind), running.done)
        if running.total is not None:
            yield Sample("raic_array_operation_size", (*label, running.kind), running.total)


def _of_operation(server: ServerStatus, operation: OperationSummary) -> Iterator[Sample]:
    label = (server_label(server), operation.dialect, operation.name)
    yield Sample("raic_operations_in_flight", label, operation.in_flight)
    yield Sample("raic_operation_bytes", (*label, "received"), operation.bytes_up)
    yield Sample("raic_operation_bytes", (*label, "sent"), operation.bytes_down)
    for kind, count in operation.errors.items():
        yield Sample("raic_operation_errors", (*label, kind), count)


def _of_provider(server: ServerStatus, provider: ProviderSummary) -> Iterator[Sample]:
    label, space = (server_label(server), provider.name), provider.space
    plain = {
        "raic_provider_up": provider.health not in (FAILING, AWAY),
        "raic_provider_circuit_open": None
        if provider.circuit is None
        else provider.circuit != "closed",
        "raic_provider_answered_time_seconds": provider.answered,
        "raic_provider_used_bytes": space.used,
        "raic_provider_leased_bytes": space.leased,
        "raic_provider_garbage_bytes": space.garbage,
        "raic_provider_overhead_bytes": space.overhead,
        "raic_provider_quota_bytes": space.quota,
        "raic_provider_available_bytes": space.available,
        "raic_provider_missing_fragments": provider.missing if provider.numbers else None,
        "raic_provider_certified": None
        if provider.certified is None
        else provider.certified.passed and not provider.certified.moved,
    }
    for name, value in plain.items():
        if value is not None:
            yield Sample(name, label, float(value))
    for needed, count in (provider.requests or {}).items():
        yield Sample("raic_provider_requests", (*label, needed), count)
    for operation in provider.operations:
        yield from _of_call(label, operation)


def _of_call(label: tuple[str, str], operation: OperationSummary) -> Iterator[Sample]:
    ours = (*label, operation.name)
    yield Sample("raic_provider_calls_in_flight", ours, operation.in_flight)
    yield Sample("raic_provider_bytes", (*ours, "sent"), operation.bytes_up)
    yield Sample("raic_provider_bytes", (*ours, "received"), operation.bytes_down)
    for kind, count in operation.errors.items():
        yield Sample("raic_provider_errors", (*ours, kind), count)


def _histograms(status: NodeStatus) -> Iterator[Metric]:
    protocol = _histogram("raic_operation_seconds")
    calls = _histogram("raic_provider_call_seconds")
    for server in status.servers:
        for operation in server.operations:
            label = (server_label(server), operation.dialect, operation.name)
            _add(protocol, label, operation)
        for provider in server.providers:
            for operation in provider.operations:
                _add(calls, (server_label(server), provider.name, operation.name), operation)
    yield from (protocol, calls)


def _histogram(name: str) -> HistogramMetricFamily:
    family = FAMILIES[name]
    return HistogramMetricFamily(name, family.help, labels=family.labels)


def _add(
    family: HistogramMetricFamily, label: tuple[str, ...], operation: OperationSummary
) -> None:
    buckets, below = [], 0
    for bound, count in zip((*_BOUNDS, "+Inf"), operation.buckets, strict=True):
        below += count
        buckets.append((bound, below))
    family.add_metric(label, buckets, operation.seconds)
