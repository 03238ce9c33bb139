"""Finding out whether a member that was slow or failing is well again."""

from __future__ import annotations

from raic.backends.array.fetching import Fetch
from raic.backends.array.target import Target, Tools
from raic.errors import ObjectNotFound


def probe(tools: Tools, target: Target, stripe: int, asked: int) -> None:
    """Ask members that are not well, and whose time has come, for one block of an object.

    Nobody waits for what they answer; it is checked all the same.

    :param asked: the numbers of fragments that are being read anyway, as a set of bits.
    """
    for number in target.numbers():
        health = tools.health.of(target.home(number).name)
        if health.is_well or asked >> number & 1 or number in target.missing:
            continue
        if health.may_probe():
            _Probe(tools, target, number, stripe)


class _Probe:
    def __init__(self, tools: Tools, target: Target, number: int, stripe: int) -> None:
        self._tools = tools
        self._target = target
        self._health = tools.health.of(target.home(number).name)
        source = target.source(number)
        fetch = Fetch(source, target.blocks, stripe, stripe, tools.health, tools.clock, self._over)
        others = [other for other in target.numbers() if other != number]
        fetch.patience = target.patience(fetch.member, fetch.size, others)
        fetch.timer = tools.clock.callLater(tools.settings.probe_seconds, self._give_up, fetch)
        tools.probes.add(fetch)
        fetch.start()

    def _over(self, fetch: Fetch) -> None:
        self._tools.probes.discard(fetch)
        self._health.probed()
        for wrong in fetch.wrongs():
            # One that has nothing is no liar: the object may be nowhere.
            if not isinstance(wrong.error, ObjectNotFound):
                self._tools.report(self._target, wrong)

    def _give_up(self, fetch: Fetch) -> None:
        self._health.failed()
        fetch.cancel()
        self._over(fetch)
