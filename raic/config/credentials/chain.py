"""The sources of secrets in their order, and what they said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from attrs import evolve, field, frozen
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from raic.config.credentials.secret import Secret
from raic.config.credentials.sources import Source
from raic.config.credentials.wanted import Wanted, variable_name
from raic.errors import ConfigurationError, CredentialsUnusable
from raic.interfaces import IWorkers

RECENT_SECONDS = 3.0
"""What was read in vain so lately is not read again: a crowd of refusals makes one reading."""


@frozen
class Found:
    """A secret, and the kind of the source that had it."""

    secret: Secret
    source: str


@frozen
class Trouble:
    """A source that could not be asked, or had what is no secret."""

    source: str
    problem: str
    remedy: str


@frozen
class Answer:
    """What there is of a provider's credentials.

    :ivar found: by field.
    :ivar troubles: of the sources that were asked before everything needed was found.
    :ivar node_directory: whose provider it is; None if that is not known.
    """

    wanted: Wanted
    found: Mapping[str, Found] = field(factory=dict)
    troubles: tuple[Trouble, ...] = ()
    node_directory: Path | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """The fields that are needed and were found nowhere."""
        if self.wanted.ambient:
            return ()
        names = [each.name for each in self.wanted.fields if not each.optional]
        return tuple(name for name in names if name not in self.found)

    def reveal(self) -> dict[str, str]:
        """The texts of the secrets, by field; empty with ``credentials = ambient``.

        :raises ConfigurationError: some that are needed are missing.
        """
        if self.missing:
            raise ConfigurationError(self.problems())
        return {name: found.secret.reveal() for name, found in self.found.items()}

    def problems(self) -> list[str]:
        """What stands in the way of a complete answer, and what to do; empty if nothing does."""
        name = self.wanted.provider
        if not self.missing:
            return []
        variables = ", ".join(variable_name(name, each) for each in self.missing)
        where = f" --nodedir {self.node_directory}" if self.node_directory else ""
        return [
            f"[provider:{name}]: no {', '.join(self.missing)} found:"
            f" run 'raic credentials set {name}{where}', or set {variables}",
            *(f"[provider:{name}]: {each.problem}: {each.remedy}" for each in self.troubles),
        ]


def find_credentials(
    wanted: Wanted, sources: Sequence[Source], node_directory: Path | None = None
) -> Answer:
    """Ask the sources in their order until everything needed was found; blocks.

    A source in trouble is passed over: what comes after it may have the secret.  Once all is
    found, the rest is not asked, so that an old session token in the environment does not go with
    new keys from the keychain.
    """
    found: dict[str, Found] = {}
    troubles: list[Trouble] = []
    if wanted.ambient or not wanted.fields:
        return Answer(wanted)
    for source in sources:
        if found and wanted.required <= found.keys():
            break
        try:
            secrets = source.read(wanted)
        except CredentialsUnusable as error:
            troubles.append(Trouble(source.kind, str(error), error.remedy))
            continue
        for name, secret in secrets.items():
            found.setdefault(name, Found(secret, source.kind))
    return Answer(wanted, found, tuple(troubles), node_directory)


@frozen
class _Reading:
    answer: Answer
    time: float
    is_new: bool
    """Whether it found others than the reading before it."""


class Credentials:
    """The credentials of a node's providers, read when they are first needed and then kept.

    Only :meth:`include` and :meth:`reload` are called in the reactor's thread; all else blocks, and
    may be called in any other thread.

    :param sources: in the order in which they are asked.
    :param clock: its ``seconds`` is called in worker threads.
    :param node_directory: the node's, for what to do where some are missing.
    """

    _log = Logger()

    def __init__(
        self,
        wanted: Iterable[Wanted],
        sources: Sequence[Source],
        clock: Any,
        node_directory: Path | None = None,
    ) -> None:
        self._wanted = {each.provider: each for each in wanted}
        self._sources = sources
        self._node_directory = node_directory
        self._clock = clock
        self._locks = {provider: Lock() for provider in self._wanted}
        self._readings: dict[str, _Reading] = {}

    def include(self, wanted: Wanted) -> None:
        """Have those of another provider, too; may be called again."""
        self._wanted[wanted.provider] = wanted
        self._locks.setdefault(wanted.provider, Lock())

    def of(self, provider: str) -> Callable[[], Mapping[str, str]]:
        """What a provider calls, in a worker thread, when it starts and when it was refused.

        The callable returns the secrets by field, read again: but not for some seconds after a
        reading that found nothing new, so that a service that refuses everything does not keep a
        keychain or a command busy.  It raises ``ConfigurationError`` when some are missing.
        """

        def present() -> Mapping[str, str]:
            with self._locks[provider]:
                last = self._readings.get(provider)
                if last is None or last.is_new or self._age(last) >= RECENT_SECONDS:
                    last = self._read(provider)
            return last.answer.reveal()

        return present

    def reload(self, workers: IWorkers) -> Deferred[frozenset[str]]:
        """Read everything again that was read before, as after SIGHUP.

        :return: fires with the names of the providers whose secrets are others now; never fails.
            What can no longer be read stays as it was, with a warning in the log.
        """
        return workers.run(self.read_again)

    def read_again(self) -> frozenset[str]:
        """What :meth:`reload` does; blocks."""
        changed = set()
        for provider, lock in list(self._locks.items()):
            with lock:
                before = self._readings.get(provider)
                if before is not None and self._read(provider).answer.found != before.answer.found:
                    changed.add(provider)
        return frozenset(changed)

    def _age(self, reading: _Reading) -> float:
        return float(self._clock.seconds() - reading.time)

    def _read(self, provider: str) -> _Reading:
        before = self._readings.get(provider)
        answer = find_credentials(self._wanted[provider], self._sources, self._node_directory)
        old_troubles = () if before is None else before.answer.troubles
        for trouble in answer.troubles:
            if trouble not in old_troubles:
                self._log.warn(
                    "credentials of {provider}: {trouble.problem}; what to do: {trouble.remedy}",
                    provider=provider,
                    trouble=trouble,
                )
        if before is not None and _is_better(before.answer, answer):
            # The troubles are kept for the next comparison, the secrets for use.
            answer = evolve(answer, found=before.answer.found)
        is_new = before is None or answer.found != before.answer.found
        reading = _Reading(answer, self._clock.seconds(), is_new)
        self._readings[provider] = reading
        return reading


def _is_better(before: Answer, after: Answer) -> bool:
    """Whether the source of earlier secrets is in trouble now: another's may be out of date."""
    troubled = {trouble.source for trouble in after.troubles}
    return not before.missing and any(each.source in troubled for each in before.found.values())
