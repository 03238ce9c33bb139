"""A status of every kind, as a node could tell it."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from raic.status import (
    Addresses,
    ArraySummary,
    Certification,
    Collection,
    Expiry,
    Holding,
    IntroducerSummary,
    Latency,
    NodeStatus,
    OperationSummary,
    ProviderSpace,
    ProviderSummary,
    Readiness,
    Recent,
    RecentAdvisory,
    Repairs,
    Scrubs,
    ServerStatus,
    UnderWay,
    Upcoming,
    Warned,
)
from raic.tally import LATENCY_BOUNDS

NOW = 1_900_000_000.0
SECRET = "swissnumswissnum"
INDEX = "onzxg43tonzxg43tonzxg43tom"
NASTY = '<script>alert("here")</script>'
BUCKETS = (0, 3, 4, 1) + (0,) * (len(LATENCY_BOUNDS) - 3)


def recent(count: int = 60) -> Recent:
    """Ten minutes."""
    numbers = tuple(number % 7 for number in range(count))
    return Recent(10.0, numbers, numbers, (None, *(0.01,) * (count - 1)), numbers, numbers)


def operation(name: str, dialect: str = "") -> OperationSummary:
    """One that was asked for eight times and failed twice."""
    latency = Latency(0.0004, 0.012, 1.5)
    return OperationSummary(
        name, dialect, 8, {"ProviderBusy": 2}, 1, 0.5, BUCKETS, 100, 200, 0.25, latency
    )


def provider(name: str, **changes: Any) -> ProviderSummary:
    """One that is well."""
    made = ProviderSummary(
        name=name,
        kind="s3",
        health="well",
        since=NOW - 100,
        problem="",
        remedy="",
        circuit="closed",
        answered=NOW - 3,
        latency=Latency(0.02, 0.3, 0.9),
        up=1000.0,
        down=2000.0,
        calls=8,
        errors={"ProviderBusy": 2},
        requests={"put_object": 5},
        recent=recent(),
        operations=(operation("put_object"),),
        space=ProviderSpace(60, 50, 4, 6, 100, 40),
        certified=Certification("2030-01-01T00:00:00+00:00", True, False),
        numbers=(0,),
        held=10,
        missing=0,
    )
    return evolve(made, **changes)


def server(**changes: Any) -> ServerStatus:
    """One with an array of two, busy, with something to say on everything."""
    down = {"problem": "b: connection refused", "remedy": "check the network"}
    array = ArraySummary(
        "clouds",
        1,
        2,
        2,
        1,
        100,
        70,
        20,
        10,
        NOW,
        Repairs(30, 4, 1000.0, 5000),
        Scrubs(int(NOW) - 1000, 50, int(NOW) - 90000),
        (UnderWay("replace", ("b", "c"), False, int(NOW) - 60, 3, 10, 300, "copying"),),
    )
    made = ServerStatus(
        name="",
        server_id="v0-" + "a" * 52,
        nickname="attic",
        started=NOW - 5000,
        ports=("tcp:3457",),
        hints=("tcp:storage.example.net:3457",),
        dialects=("http", "foolscap"),
        addresses=None,
        introducers=(IntroducerSummary("t" * 32, False, "no route"),),
        readonly=False,
        clean=True,
        readiness=Readiness(False, "only 1 of 2 can be written to", "bring b back"),
        backend="clouds",
        available=10**9,
        providers=(provider("a"), provider("b", health="failing", circuit="open", **down)),
        array=array,
        holding=Holding(100, 10**7, 5, 10**5, 105, 7, 1, 30, 2, 3, 3000),
        expiry=Expiry(
            True, Upcoming(int(NOW) + 86400, 3, 12, 100), int(NOW) - 10, None, 1, 2, 3, 4
        ),
        collection=Collection(NOW - 20, 12, ""),
        operations=(operation("read", "http"), operation("write", "foolscap")),
        recent=recent(),
        advisories=(RecentAdvisory("immutable", 3, int(NOW) - 50, None, ""),),
    )
    return evolve(made, **changes)


def node(*servers: ServerStatus) -> NodeStatus:
    """A process with these servers."""
    warned = Warned(NOW - 5, NOW - 500, "warn", "raic.test", "b: connection refused", "wait", 3)
    return NodeStatus("0.1.0", NOW, NOW - 5000, servers or (server(),), (warned,))


def revealed(status: NodeStatus) -> NodeStatus:
    """With what is left out otherwise."""
    addresses = Addresses(f"pb://t@tcp:h:1/{SECRET}", (f"pb://s@h:1/{SECRET}#v=1",))
    servers = tuple(
        evolve(
            each,
            addresses=addresses,
            advisories=tuple(evolve(one, storage_index=INDEX) for one in each.advisories),
        )
        for each in status.servers
    )
    return evolve(status, servers=servers)
