"""What is counted of a provider, and how it is shown to others."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from raic.tally import LATENCY_BOUNDS, OperationFigures, Tally

__all__ = ["LATENCY_BOUNDS", "OperationFigures", "ProviderFigures", "Tally"]


@frozen
class ProviderFigures:
    """What happened with one provider since the start.

    :ivar operations: by name: methods of ``IStorageProvider``; of uploads ``write`` and
        ``finish``.
    :ivar requests: how many requests the provider says it sent, by the operation of its own that
        needed them (``abort`` and ``clear_interrupted_uploads`` among them); None if it does not.
    """

    provider: str
    operations: Mapping[str, OperationFigures]
    requests: Mapping[str, int] | None

    @property
    def total_requests(self) -> int | None:
        """All requests, whatever needed them."""
        return None if self.requests is None else sum(self.requests.values())
