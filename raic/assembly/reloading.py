"""``raic.cfg``, read again by a running node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import field, frozen
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from raic.config.changes import Change, Merged, Scope, merge, written
from raic.config.loading import CONFIG_NAME, config_directory, load_servers, parse_servers
from raic.config.model import Config
from raic.deferreds import async_to_deferred
from raic.errors import ConfigurationError, IdentityError, OperationRefused, RaicError
from raic.interfaces import IWorkers
from raic.server.control import Tell

NOT_SHOWN = "(not shown)"

_SECRET_KEYS = frozenset({"introducer.furl"})
"""An introducer's address is the right to use it."""

_log = Logger()


@frozen
class Reloaded:
    """What came of it.

    :ivar changed: what is in force now.
    :ivar kept: what the new file changes and only a restart can; what was in force stays.
    :ivar credentials: whether the providers have other secrets now.
    :ivar introducers: whether there are others now.
    :ivar troubles: what went wrong with these two, which are then as they were.
    """

    changed: tuple[Change, ...] = ()
    kept: tuple[Change, ...] = ()
    credentials: bool = False
    introducers: bool = False
    troubles: tuple[RaicError, ...] = field(factory=tuple)


def read_again(config: Config, scope: Scope) -> tuple[Merged, Config]:
    """What is to be in force when the configuration of a node is read again; blocks.

    :param config: what is in force.
    :param scope: what the node can take up.
    :raises ConfigurationError: the new file has mistakes, all of them listed, or cannot be put in
        force in part: then nothing of it can.
    """
    directory = config_directory(config.node_directory)
    new = _of_server(load_servers(directory), config)
    merged = merge(config.text, new.text, scope)
    try:
        servers = parse_servers(directory, written(merged.text))
    except ConfigurationError as error:
        raise ConfigurationError(
            [
                f"{CONFIG_NAME}: what can change at once does not go with what stays until the node"
                f" is started again, which takes up all of it: {_without_place(problem)}"
                for problem in error.problems
            ]
        ) from error
    return merged, _of_server(servers, config)


def _of_server(servers: tuple[Config, ...], config: Config) -> Config:
    for server in servers:
        if server.node_directory == config.node_directory:
            return server
    raise ConfigurationError(
        [f"{CONFIG_NAME}: which servers there are changes only when the node is started again"]
    )


def _without_place(problem: str) -> str:
    """A problem without its line, which is not the operator's file's."""
    return problem.partition(": ")[2] or problem


def reloaded_values(reloaded: Reloaded) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "changed": [_change_values(each) for each in reloaded.changed],
        "kept": [_change_values(each) for each in reloaded.kept],
        "credentials": reloaded.credentials,
        "introducers": reloaded.introducers,
        "troubles": [{"text": str(each), "remedy": each.remedy} for each in reloaded.troubles],
    }


def _change_values(change: Change) -> Mapping[str, Any]:
    hidden = change.key in _SECRET_KEYS
    return {
        "name": change.name,
        "line": change.line or None,
        "before": _shown(change.before, hidden=hidden),
        "now": _shown(change.now, hidden=hidden),
    }


def _shown(value: str, *, hidden: bool) -> str:
    return NOT_SHOWN if hidden and value else value


class Reloader:
    """Has a running node take up what can change in it.

    :param config: what is in force at first.
    :param lasting: take up each configuration that comes into force, for ever.
    :ivar config: what is in force.
    :ivar also: what else of the process is to look again; never fails.
    :ivar renew: has the providers use their present secrets; fires with whether they are others.
    :ivar move: goes over to other introducers; returns whether they are others.
    """

    def __init__(self, config: Config, *lasting: Callable[[Config], None]) -> None:
        self.config = config
        self.also: Callable[[], Deferred[None]] | None = None
        self.renew: Callable[[], Deferred[bool]] | None = None
        self.move: Callable[[Sequence[str]], bool] | None = None
        self._workers: IWorkers | None = None
        self._scope: Callable[[Config], Scope] | None = None
        self._lasting = lasting
        self._followers = list(lasting)
        self._lock = DeferredLock()

    def begin(self, workers: IWorkers, scope: Callable[[Config], Scope]) -> None:
        """Reload from now on when told to.

        :param scope: what the node can take up when a configuration is in force.
        """
        self._workers = workers
        self._scope = scope

    def end(self) -> None:
        """Reload no more."""
        self._workers = self.renew = self.move = None
        self._followers = list(self._lasting)

    def follow(self, adjust: Callable[[Config], None]) -> None:
        """Have something take up each configuration that comes into force; it must not fail."""
        self._followers.append(adjust)

    @async_to_deferred
    async def reload(self) -> Reloaded:
        """Read ``raic.cfg``, the secrets of the providers and the introducers again, and take up
        what a running node can.

        What comes of it is logged, too.

        :return: fires when that is in force; fails with a ``ConfigurationError`` when the file has
            mistakes: then nothing has changed.
        """
        await self._lock.acquire()
        try:
            reloaded = await self._reload()
        except RaicError as error:
            _log_refused(error)
            raise
        finally:
            self._lock.release()
        _log_reloaded(reloaded)
        return reloaded

    @async_to_deferred
    async def reload_credentials(self) -> bool:
        """Read the secrets of the provider again.

        :return: fires with whether they are others now; never fails: what can no longer be read
            stays as it was, and what goes wrong is logged.
        """
        troubles: list[RaicError] = []
        changed = await self._renew(troubles)
        _log_troubles(troubles)
        return changed

    @async_to_deferred
    async def take(self, arguments: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
        """Do it as a command; see :func:`reloaded_values`."""
        if arguments:
            raise ConfigurationError([f"what is {', '.join(sorted(arguments))}?"])
        return reloaded_values(await self.reload())

    async def _reload(self) -> Reloaded:
        if self._workers is None or self._scope is None:
            raise OperationRefused("the node is not running yet", "wait until it is ready")
        again = partial(read_again, self.config, self._scope(self.config))
        merged, self.config = await self._workers.run(again)
        for adjust in self._followers:
            adjust(self.config)
        troubles: list[RaicError] = []
        credentials = await self._renew(troubles)
        introducers = self._move(troubles)
        if self.also is not None:
            await self.also()
        return Reloaded(merged.changed, merged.kept, credentials, introducers, tuple(troubles))

    async def _renew(self, troubles: list[RaicError]) -> bool:
        if self.renew is None:
            return False
        try:
            return await self.renew()
        except RaicError as error:
            troubles.append(error)
            return False

    def _move(self, troubles: list[RaicError]) -> bool:
        if self.move is None:
            return False
        try:
            return self.move(self.config.introducers)
        except (OSError, ValueError) as error:
            place = self.config.private / "announcement.seqnum"
            troubles.append(IdentityError(f"the introducers stay as they were: {place}: {error}"))
            return False


def _log_reloaded(reloaded: Reloaded) -> None:
    names = ", ".join(each.name for each in reloaded.changed) or "nothing"
    _log.info("{file} was read again; changed: {names}", file=CONFIG_NAME, names=names)
    for each in reloaded.kept:
        _log.warn(
            "{file}, line {line}: {name} stays as it was until the node is started again",
            file=CONFIG_NAME,
            line=each.line,
            name=each.name,
        )
    if reloaded.credentials:
        _log.info("the providers have other credentials now")
    _log_troubles(reloaded.troubles)


def _log_troubles(troubles: Iterable[RaicError]) -> None:
    for trouble in troubles:
        _log.warn("{trouble}; {remedy}", trouble=trouble, remedy=trouble.remedy)


def _log_refused(error: RaicError) -> None:
    problems = error.problems if isinstance(error, ConfigurationError) else (str(error),)
    for problem in problems:
        _log.error(
            "nothing was changed: {problem}; {remedy}",
            problem=problem,
            remedy="put it right, then run 'raic reload', or send SIGHUP, again",
        )
