"""The values of a node's status.

Sizes are in bytes, times in seconds since the Unix epoch, durations in seconds.  None of them is a
secret, except where it says so.  *Recent* means the last ten minutes, or the time since the start
while that is shorter.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

WELL, SLOW, FAILING, AWAY = "well", "slow", "failing", "away"
"""How a provider is: ``away`` when it could not be started yet."""


@frozen
class Latency:
    """How long something took recently, from a histogram, hence about.

    :ivar p50: half of it took no longer; None when there was none.
    """

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@frozen
class Recent:
    """Figures of the recent past, the oldest first; all of one length.

    :ivar step: how many seconds each figure is about.
    :ivar calls: how many calls ended.
    :ivar errors: how many of them failed.
    :ivar latency: half of them took no longer; None when there were none.
    :ivar bytes_up: how many bytes were sent.
    :ivar bytes_down: how many were received.
    """

    step: float
    calls: tuple[int, ...] = ()
    errors: tuple[int, ...] = ()
    latency: tuple[float | None, ...] = ()
    bytes_up: tuple[int, ...] = ()
    bytes_down: tuple[int, ...] = ()


@frozen
class ProviderSpace:
    """What a provider holds for this node; None where that is not known.

    :ivar used: all of it.
    :ivar leased: what is referred to.
    :ivar garbage: what is to be deleted.
    :ivar overhead: what headers, tags and coding add.
    :ivar quota: how much the operator allows.
    :ivar available: how much more can be stored.
    """

    used: int | None = None
    leased: int | None = None
    garbage: int | None = None
    overhead: int | None = None
    quota: int | None = None
    available: int | None = None


@frozen
class Certification:
    """The last ``raic providers certify``.

    :ivar date: in UTC, as ISO 8601 has it.
    :ivar moved: whether that was of another place than the provider has now.
    """

    date: str
    passed: bool
    moved: bool


@frozen
class OperationSummary:
    """An operation, of the protocol or of a provider.

    :ivar dialect: ``http`` or ``foolscap``; empty for a provider's.
    :ivar calls: how many ended since the start.
    :ivar errors: how many of these failed on the node's side, by kind.
    :ivar in_flight: how many are under way.
    :ivar seconds: the sum of their latencies.
    :ivar buckets: how many took at most as long as each of :data:`raic.tally.LATENCY_BOUNDS`, and
        longer than the bound before it; last, how many took longer than all.
    :ivar per_second: recently.
    :ivar latency: recently.
    """

    name: str
    dialect: str
    calls: int
    errors: Mapping[str, int]
    in_flight: int
    seconds: float
    buckets: tuple[int, ...]
    bytes_up: int
    bytes_down: int
    per_second: float
    latency: Latency


@frozen
class ProviderSummary:
    """A provider that the node stores with.

    :ivar kind: the type in the configuration.
    :ivar health: ``well``, ``slow``, ``failing`` or ``away``.
    :ivar since: since when it has been so, as far as this process knows.
    :ivar problem: what is wrong with it; empty when nothing is.
    :ivar remedy: what to do about that.
    :ivar circuit: ``closed``, ``open`` or ``half-open``; None where there is no circuit breaker.
    :ivar answered: when it last answered anything; None when it has not since the start.
    :ivar latency: of all calls recently.
    :ivar up: bytes a second sent recently.
    :ivar down: bytes a second received recently.
    :ivar calls: how many ended since the start.
    :ivar errors: how many of these failed, by kind.
    :ivar requests: how many requests were sent since the start, by what needed them; None where
        the provider does not count them.
    :ivar numbers: in an array, of the fragments whose home it is.
    :ivar held: in an array, how many fragments are on it; None when that is not known.
    :ivar missing: in an array, how many of its fragments are noted for repair.
    """

    name: str
    kind: str
    health: str
    since: float
    problem: str
    remedy: str
    circuit: str | None
    answered: float | None
    latency: Latency
    up: float
    down: float
    calls: int
    errors: Mapping[str, int]
    requests: Mapping[str, int] | None
    recent: Recent
    operations: tuple[OperationSummary, ...]
    space: ProviderSpace
    certified: Certification | None
    numbers: tuple[int, ...] = ()
    held: int | None = None
    missing: int = 0


@frozen
class Repairs:
    """See :class:`raic.backends.array.maintenance.RepairStatus`."""

    queued: int
    done: int
    rate: float
    limit: int | None


@frozen
class Scrubs:
    """See :class:`raic.backends.array.maintenance.ScrubStatus`."""

    finished: int | None
    verified: int
    oldest: int | None


@frozen
class UnderWay:
    """An operation on an array that is under way.

    :ivar kind: ``scrub``, ``repair``, ``replace``, ``add`` or ``drain``.
    :ivar names: the providers that it is about.
    :ivar total: None when nobody can tell.
    """

    kind: str
    names: tuple[str, ...]
    deep: bool
    began: int
    done: int
    total: int | None
    bytes: int
    text: str


@frozen
class ArraySummary:
    """An array.

    :ivar total: how many fragments a new object has.
    :ivar reachable: how many providers can be written to now.
    :ivar objects: how many there are; then how many of them lack no fragment, lack some and can
        bear to lose one more, and have none to spare.
    :ivar counted: when that was counted.
    """

    name: str
    needed: int
    happy: int
    total: int
    reachable: int
    objects: int
    full: int
    degraded: int
    at_risk: int
    counted: float
    repair: Repairs
    scrub: Scrubs
    under_way: tuple[UnderWay, ...]


@frozen
class Holding:
    """What the index knows of; ``bytes`` of share data, or of the objects of slots."""

    shares: int
    share_bytes: int
    slots: int
    slot_bytes: int
    leases: int
    garbage: int
    intents: int
    repairs: int
    advisories: int
    uploads: int
    upload_bytes: int


@frozen
class Upcoming:
    """The next expirations.

    :ivar first: when the next lease is over; None without one.
    :ivar day: how many leases are over within a day, up to ``most``.
    :ivar week: likewise within a week.
    :ivar most: no more than these were counted.
    """

    first: int | None = None
    day: int = 0
    week: int = 0
    most: int = 0


@frozen
class Expiry:
    """What expires.

    :ivar enabled: whether anything does.
    :ivar last_started: of the last run; None when there was none.
    :ivar last_ended: None while it is under way, or was cut short.
    """

    enabled: bool
    upcoming: Upcoming
    last_started: int | None = None
    last_ended: int | None = None
    last_leases: int = 0
    last_shares: int = 0
    last_slots: int = 0
    last_bytes: int = 0


@frozen
class Collection:
    """The deletion of garbage.

    :ivar last: when garbage was last looked for; None when it was not since the start.
    :ivar deleted: how many objects were deleted since the start.
    :ivar problem: why the last time failed; empty if it did not.
    """

    last: float | None = None
    deleted: int = 0
    problem: str = ""


@frozen
class RecentAdvisory:
    """A client's claim that a share is corrupt.

    :ivar storage_index: base32; None unless it was asked for.
    :ivar verdict: what was found; empty until then.
    """

    kind: str
    shnum: int
    received: int
    checked: int | None
    verdict: str
    storage_index: str | None = None


@frozen
class IntroducerSummary:
    """An introducer.

    :ivar tub_id: who it is.
    :ivar problem: why it does not have the announcement; empty if it does, or nothing is known.
    """

    tub_id: str
    connected: bool
    problem: str


@frozen
class Readiness:
    """Whether the node can take what clients write.

    :ivar problem: why not; empty if it can.
    :ivar remedy: what to do about it.
    """

    ready: bool
    problem: str = ""
    remedy: str = ""


@frozen
class Addresses:
    """Where clients reach the node: the right to use it, hence told on request only."""

    furl: str = field(repr=False)
    nurls: tuple[str, ...] = field(repr=False)


@frozen
class Warned:
    """Something that the log warned of.

    :ivar time: when it was last.
    :ivar level: ``warn``, ``error`` or ``critical``.
    :ivar source: which part said it.
    :ivar times: how often, since ``first``.
    """

    time: float
    first: float
    level: str
    source: str
    text: str
    remedy: str
    times: int


@frozen
class ServerStatus:
    """A storage server.

    :ivar name: of its section; empty when the process runs no other.
    :ivar started: when.
    :ivar ports: what it listens on, as Twisted describes endpoints.
    :ivar hints: where clients connect to, as in ``tcp:HOST:PORT``.
    :ivar dialects: ``http``, ``foolscap``.
    :ivar addresses: None unless they were asked for.
    :ivar clean: whether the run before this one ended as it should.
    :ivar backend: what ``[storage] backend`` names.
    :ivar available: what clients are told can still be stored.
    """

    name: str
    server_id: str
    nickname: str
    started: float
    ports: tuple[str, ...]
    hints: tuple[str, ...]
    dialects: tuple[str, ...]
    addresses: Addresses | None
    introducers: tuple[IntroducerSummary, ...]
    readonly: bool
    clean: bool
    readiness: Readiness
    backend: str
    available: int
    providers: tuple[ProviderSummary, ...]
    array: ArraySummary | None
    holding: Holding
    expiry: Expiry
    collection: Collection
    operations: tuple[OperationSummary, ...]
    recent: Recent
    advisories: tuple[RecentAdvisory, ...]


@frozen
class NodeStatus:
    """A process that runs one storage server, or several.

    :ivar time: as of when this is.
    :ivar started: when the process began.
    :ivar warnings: the newest first.
    """

    version: str
    time: float
    started: float
    servers: tuple[ServerStatus, ...]
    warnings: tuple[Warned, ...]
