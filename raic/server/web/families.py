"""Every metric, by its name: the one list that the exposition and the documentation share."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

_SERVER = ("server",)
_ARRAY = ("server", "array")
_PROVIDER = ("server", "provider")
_OPERATION = ("server", "dialect", "operation")
_CALL = ("server", "provider", "operation")


@frozen
class Family:
    """A metric.

    :ivar kind: ``gauge``, ``counter``, ``histogram`` or ``info``; samples of counters have
        ``_total`` behind the name, those of an info ``_info``.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()

    def sample_names(self) -> tuple[str, ...]:
        """The names of its samples."""
        if self.kind == "counter":
            return (f"{self.name}_total",)
        if self.kind == "info":
            return (f"{self.name}_info",)
        if self.kind == "histogram":
            return tuple(f"{self.name}_{each}" for each in ("bucket", "count", "sum"))
        return (self.name,)


_ALL = (
    Family("raic_build", "info", "The version of RAIC."),
    Family("raic_start_time_seconds", "gauge", "When the process began."),
    Family("raic_recent_warnings", "gauge", "How many kinds of warnings are remembered."),
    # Servers
    Family("raic_ready", "gauge", "1 if writes can be acknowledged, 0 if not.", _SERVER),
    Family("raic_available_bytes", "gauge", "What clients are told can still be stored.", _SERVER),
    Family("raic_shares", "gauge", "Immutable shares.", _SERVER),
    Family("raic_share_bytes", "gauge", "Their bytes.", _SERVER),
    Family("raic_slots", "gauge", "Mutable slots.", _SERVER),
    Family("raic_slot_bytes", "gauge", "Their objects' bytes.", _SERVER),
    Family("raic_leases", "gauge", "Leases.", _SERVER),
    Family("raic_garbage_objects", "gauge", "Objects to be deleted.", _SERVER),
    Family("raic_advisories", "gauge", "Clients' claims that shares are corrupt.", _SERVER),
    Family("raic_uploads", "gauge", "Immutable shares being uploaded.", _SERVER),
    Family("raic_upload_bytes", "gauge", "What is reserved for them.", _SERVER),
    Family("raic_collected_objects", "counter", "Garbage deleted.", _SERVER),
    Family("raic_collection_failing", "gauge", "1 if that failed the last time.", _SERVER),
    Family("raic_collection_time_seconds", "gauge", "When garbage was last looked for.", _SERVER),
    Family("raic_next_expiration_time_seconds", "gauge", "When the next lease ends.", _SERVER),
    Family("raic_expiry_time_seconds", "gauge", "When the last run of the expiry began.", _SERVER),
    Family(
        "raic_introducer_connected",
        "gauge",
        "1 if the introducer has the announcement.",
        ("server", "introducer"),
    ),
    # What clients ask for
    Family("raic_operation_seconds", "histogram", "From a request to its answer.", _OPERATION),
    Family("raic_operations_in_flight", "gauge", "Requests not answered yet.", _OPERATION),
    Family(
        "raic_operation_errors",
        "counter",
        "Requests that the node could not answer, by the kind of error.",
        (*_OPERATION, "kind"),
    ),
    Family(
        "raic_operation_bytes",
        "counter",
        "Bytes of requests and answers, direction being received or sent.",
        (*_OPERATION, "direction"),
    ),
    # Arrays
    Family(
        "raic_array_objects",
        "gauge",
        "Objects, state being full, degraded or at_risk.",
        (*_ARRAY, "state"),
    ),
    Family("raic_array_needed", "gauge", "How many fragments suffice to read.", _ARRAY),
    Family("raic_array_happy", "gauge", "How many providers acknowledge a write.", _ARRAY),
    Family("raic_array_providers", "gauge", "How many providers there are.", _ARRAY),
    Family("raic_array_writable_providers", "gauge", "How many can be written to.", _ARRAY),
    Family("raic_array_repairs_waiting", "gauge", "Fragments noted for repair.", _ARRAY),
    Family("raic_array_repairs", "counter", "Fragments repaired.", _ARRAY),
    Family("raic_array_scrub_time_seconds", "gauge", "When the last scrub ended.", _ARRAY),
    Family(
        "raic_array_oldest_verification_time_seconds",
        "gauge",
        "When the object verified longest ago was.",
        _ARRAY,
    ),
    Family(
        "raic_array_operation_done",
        "gauge",
        "How far an operation under way is.",
        (*_ARRAY, "kind"),
    ),
    Family("raic_array_operation_size", "gauge", "Of how much.", (*_ARRAY, "kind")),
    # Providers
    Family("raic_provider_up", "gauge", "1 if it is well or slow, 0 if not.", _PROVIDER),
    Family("raic_provider_circuit_open", "gauge", "1 if it is left alone for a while.", _PROVIDER),
    Family("raic_provider_answered_time_seconds", "gauge", "When it last answered.", _PROVIDER),
    Family("raic_provider_used_bytes", "gauge", "What it holds.", _PROVIDER),
    Family("raic_provider_leased_bytes", "gauge", "What of that is referred to.", _PROVIDER),
    Family("raic_provider_garbage_bytes", "gauge", "What of that is to be deleted.", _PROVIDER),
    Family("raic_provider_overhead_bytes", "gauge", "What headers and coding add.", _PROVIDER),
    Family("raic_provider_quota_bytes", "gauge", "What the operator allows.", _PROVIDER),
    Family("raic_provider_available_bytes", "gauge", "What more can be stored.", _PROVIDER),
    Family("raic_provider_missing_fragments", "gauge", "Fragments it lacks.", _PROVIDER),
    Family("raic_provider_certified", "gauge", "1 if its certification passed.", _PROVIDER),
    Family(
        "raic_provider_requests",
        "counter",
        "Requests sent to it, by what needed them.",
        _CALL,
    ),
    Family("raic_provider_call_seconds", "histogram", "How long calls took.", _CALL),
    Family("raic_provider_calls_in_flight", "gauge", "Calls not ended yet.", _CALL),
    Family(
        "raic_provider_errors", "counter", "Failed calls, by the kind of error.", (*_CALL, "kind")
    ),
    Family(
        "raic_provider_bytes",
        "counter",
        "Bytes of objects, direction being sent or received.",
        (*_CALL, "direction"),
    ),
)

FAMILIES: Mapping[str, Family] = {family.name: family for family in _ALL}
