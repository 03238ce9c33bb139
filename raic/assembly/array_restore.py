"""What an array needs when the index is made anew."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from raic.assembly.arrays import ArrayStack
from raic.assembly.members import Reactor
from raic.backends.array.census import Census, record_attempts, take_census
from raic.backends.array.placing import placement_found
from raic.interfaces import IFragmentLedger
from raic.shares.ages import GARBAGE_SECONDS
from raic.shares.index.files import connect, translated

_ATTEMPTS = "SELECT object, number, attempt FROM attempts"
_DROP_ATTEMPT = "DELETE FROM attempts WHERE object = ? AND number = ?"


class ArrayRestore:
    """Tells an array what only an index knows: where fragments are, and which of them count."""

    def __init__(self, stack: ArrayStack, reactor: Reactor) -> None:
        self._stack = stack
        self._reactor = reactor
        self._census = Census()

    async def look(self) -> None:
        """List all members, and have the array read by what they have."""
        array, members = self._stack.array, self._stack.members
        self._census = await take_census(members)
        await array.place(placement_found(array.name, members, self._census.held))
        await array.codes.learn(self._census.codes, self._stack.ledger)
        self._stack.ledger.tell(self._found())

    def tell(self, path: Path) -> None:
        """Have the array read by what an index file says of attempts, too, where members do not
        say better.

        :param path: of a closed index, which then says no more what members contradict.
        """
        with translated(), closing(connect(path)) as connection:
            execute = connection.execute
            execute("BEGIN IMMEDIATE")
            for key, numbers in self._census.attempts.items():
                for number in numbers:
                    execute(_DROP_ATTEMPT, (key, number))
            said: dict[str, dict[int, str]] = {}
            for key, number, attempt in execute(_ATTEMPTS).fetchall():
                said.setdefault(key, {})[number] = attempt
            execute("COMMIT")
        for found_key, found in self._found().items():
            said.setdefault(found_key, {}).update(found)
        self._stack.ledger.tell(said)

    async def record(self, ledger: IFragmentLedger) -> None:
        """Have the index know it."""
        await self._stack.ledger.attach(ledger, is_anew=True)
        await self._stack.array.codes.load(ledger)  # a copy of the index may know of more
        not_before = int(self._reactor.seconds()) + GARBAGE_SECONDS
        await record_attempts(ledger, self._census.attempts, not_before)

    def _found(self) -> Mapping[str, Mapping[int, str]]:
        return {
            key: {number: fragment.attempt for number, fragment in fragments.items()}
            for key, fragments in self._census.attempts.items()
        }
