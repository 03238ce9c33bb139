"""Two servers on one prefix, in any order of events: never two that write.

``RAIC_CLAIMS_EXAMPLES`` sets how many runs there are: a few by default.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from shutil import rmtree
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from raic.backends.faults import Gate
from raic.errors import PrefixOwned, ProviderError
from tests.shares.claims_world import NOW, WAIT, Server, T, store_with_late_listings

EXAMPLES = int(os.environ.get("RAIC_CLAIMS_EXAMPLES", "20"))
NAMES = ("one", "two")
names = st.sampled_from(NAMES)
operations = st.sampled_from(["list_objects", "get_object", "put_object"])


class OwnersMachine(RuleBasedStateMachine):
    """Servers that start, die, lose the provider, hang, and take the prefix from each other.

    :cvar twins: whether they are copies of one node directory whose places cannot be told.
    """

    twins = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = Clock()
        self.clock.advance(NOW)
        _, store = store_with_late_listings(self.clock)
        self.servers = {name: self.server(name, store) for name in NAMES}
        self.busy: dict[str, Deferred[Any]] = {}
        self.gates: dict[str, list[Gate]] = {name: [] for name in NAMES}
        self.both_since: float | None = None
        self.watching: set[str] = set()

    def server(self, name: str, store: Any) -> Server:
        identity = "same" if self.twins else name
        return Server(
            store,
            self.clock,
            str(self.folder / name),
            server_id=identity,
            node_key=identity.encode("ascii").ljust(32),
        )

    def teardown(self) -> None:
        for name in NAMES:
            self.end(name)
        rmtree(self.folder)

    def end(self, name: str) -> None:
        asked = self.busy.pop(name, None)
        if asked is not None:
            asked.cancel()
        self.servers[name].stop()
        self.watching.discard(name)

    def begin(self, name: str, asked: Deferred[Any]) -> None:
        def over(result: object) -> None:
            self.busy.pop(name, None)
            if isinstance(result, Failure):
                result.trap(ProviderError, CancelledError)
                if result.check(PrefixOwned, CancelledError):
                    return
            self.watching.add(name)
            self.servers[name].ownership.watch()

        self.busy[name] = asked
        asked.addBoth(over)

    def idle(self, name: str) -> bool:
        return name not in self.busy and name not in self.watching

    # What happens

    @rule(name=names)
    def restart(self, name: str) -> None:
        self.end(name)
        self.servers[name].start()

    @rule(name=names)
    def claim(self, name: str) -> None:
        if self.idle(name):
            self.begin(name, self.servers[name].ownership.claim())

    @rule(name=names, fresh=st.booleans())
    def take_over(self, name: str, fresh: bool) -> None:
        if self.idle(name):
            self.begin(name, self.servers[name].ownership.take_over(fresh=fresh))

    @rule(name=names, operation=operations, times=st.sampled_from([1, 3, None]))
    def cut(self, name: str, operation: str, times: int | None) -> None:
        self.servers[name].plan.fail(operation, times=times)

    @rule(name=names)
    def lose_an_answer(self, name: str) -> None:
        self.servers[name].plan.lose_answer("put_object")

    @rule(name=names, operation=operations)
    def hang(self, name: str, operation: str) -> None:
        self.gates[name].append(self.servers[name].plan.hang(operation))

    @rule(name=names)
    def heal(self, name: str) -> None:
        self.servers[name].plan.heal()
        gates, self.gates[name] = self.gates[name], []
        for gate in gates:
            gate.release()

    @rule(seconds=st.sampled_from([1, 14, 15, 59, 60, 61, 119, 120, 121]))
    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.never_two_for_long()

    @rule()
    def pass_the_wait(self) -> None:
        self.pass_time(int(WAIT))

    @precondition(lambda self: self.clock.seconds() - NOW < 10**5)
    @rule()
    def freeze(self) -> None:
        """Both processes stand still; then their timers are late."""
        self.clock.rightNow += 1000
        self.never_two_for_long()
        self.clock.advance(0)

    @invariant()
    def never_two_for_long(self) -> None:
        writers = [name for name in NAMES if self.servers[name].ownership.may_write()]
        if len(writers) < len(NAMES):
            self.both_since = None
            return
        if self.both_since is None:
            self.both_since = self.clock.seconds()
        assert self.clock.seconds() - self.both_since < 2 * T
        epochs = {self.servers[name].index.epoch() for name in NAMES}
        assert self.twins or len(epochs) == 1, "a claim was passed over, not just met"


class TwinsMachine(OwnersMachine):
    """The same with two copies of one node directory."""

    twins = True


for machine in (OwnersMachine, TwinsMachine):
    machine.TestCase.settings = settings(
        max_examples=EXAMPLES,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

OwnersTests = OwnersMachine.TestCase
TwinsTests = TwinsMachine.TestCase
