"""The operating system's keychain, by way of the ``keyring`` package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from threading import Thread
from typing import TypeVar

import keyring
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.backends.chainer import ChainerBackend
from keyring.errors import InitError, KeyringLocked, NoKeyringError

from raic.config.credentials.secret import Secret
from raic.config.credentials.sources import checked
from raic.config.credentials.wanted import Wanted
from raic.errors import CredentialsUnusable

T = TypeVar("T")

ANSWER_SECONDS = 20.0
"""How long a keychain may take: a locked one may be waiting for someone to type."""

_OTHERWISE = "use the encrypted file ('--store file'), systemd credentials or the environment"
_CHOOSE = (
    "remove it, or name another in PYTHON_KEYRING_BACKEND or keyringrc.cfg, such as"
    f" keyring.backends.SecretService.Keyring; without any, {_OTHERWISE}"
)
_NONE = f"start one, such as gnome-keyring or KWallet, in this session; or {_OTHERWISE}"
_LOCKED = f"unlock it by logging in, or with the desktop's password manager; or {_OTHERWISE}"

_NAMES = {
    "keyring.backends.SecretService": "Secret Service",
    "keyring.backends.libsecret": "Secret Service, by libsecret",
    "keyring.backends.kwallet": "KWallet",
    "keyring.backends.macOS": "macOS Keychain",
    "keyring.backends.Windows": "Windows Credential Manager",
}
_ASKS = ("keyrings.alt.", "keyrings.cryptfile.")


def select_keyring() -> KeyringBackend:
    """The keyring that would be used: of several, the one that ``keyring`` prefers."""
    selected = keyring.get_keyring()
    if isinstance(selected, ChainerBackend):
        return next(iter(ChainerBackend.backends), selected)
    return selected


class KeychainSource:
    """One entry for each secret: service ``raic <scope>``, user ``<provider>.<field>``.

    :param scope: what tells the nodes on this machine apart: the server id.
    :param select: returns the keyring to use; it may raise what ``keyring`` raises.
    :param seconds: how long it may take to answer; the thread that waits for it is then left.
    """

    kind = "keychain"

    def __init__(
        self,
        scope: str,
        select: Callable[[], KeyringBackend] = select_keyring,
        seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._service = f"raic {scope}"
        self._select = select
        self._seconds = seconds

    def describe(self) -> str:
        """See :class:`~raic.config.credentials.sources.Source`."""
        try:
            return f"OS keychain ({_name(self._usable())})"
        except CredentialsUnusable as error:
            return f"OS keychain ({error})"

    def read(self, wanted: Wanted) -> Mapping[str, Secret]:
        """See :class:`~raic.config.credentials.sources.Source`."""
        backend = self._find()
        if isinstance(backend, fail.Keyring):
            return {}
        _refuse_unsafe(backend)
        found = {}
        for field in wanted.fields:
            secret = self._get(backend, f"{wanted.provider}.{field.name}")
            if secret is not None:
                found[field.name] = secret
        return found

    def store(self, wanted: Wanted, secrets: Mapping[str, Secret]) -> str:
        """Keep these secrets of a provider, and forget its others.

        :return: where they are now.
        :raises CredentialsUnusable: not all of that could be done; every secret was read back.
        """
        backend = self._usable()
        for field in wanted.fields:
            user = f"{wanted.provider}.{field.name}"
            secret = secrets.get(field.name)
            if secret is None:
                self._forget(backend, user)
            else:
                self._keep(backend, user, secret)
        return self.describe()

    def forget(self, wanted: Wanted) -> bool:
        """Delete every secret of a provider; returns whether there was any.

        :raises CredentialsUnusable: not all could be deleted.
        """
        backend = self._find()
        if isinstance(backend, fail.Keyring | null.Keyring):
            return False
        _refuse_unsafe(backend)
        users = [f"{wanted.provider}.{field.name}" for field in wanted.fields]
        return any([self._forget(backend, user) for user in users])

    def must_be_usable(self) -> None:
        """Do nothing if secrets can be kept here, as far as that shows without trying.

        :raises CredentialsUnusable: they cannot.
        """
        self._usable()

    def _usable(self) -> KeyringBackend:
        backend = self._find()
        if isinstance(backend, fail.Keyring):
            raise CredentialsUnusable("no keychain can be reached from here", _NONE)
        _refuse_unsafe(backend)
        return backend

    def _get(self, backend: KeyringBackend, user: str) -> Secret | None:
        text = self._ask(lambda: backend.get_password(self._service, user), "be read")
        return checked(f"{user} in {_name(backend)}", text or "")

    def _keep(self, backend: KeyringBackend, user: str, secret: Secret) -> None:
        self._ask(
            lambda: backend.set_password(self._service, user, secret.reveal()), "be written to"
        )
        if self._get(backend, user) != secret:
            raise CredentialsUnusable(
                f"{_name(backend)} took {user} and does not give it back", _CHOOSE
            )

    def _forget(self, backend: KeyringBackend, user: str) -> bool:
        if self._ask(lambda: backend.get_password(self._service, user), "be read") is None:
            return False
        self._ask(lambda: backend.delete_password(self._service, user), "be written to")
        if self._get(backend, user) is not None:
            raise CredentialsUnusable(
                f"{_name(backend)} does not delete {user}",
                "delete it with the desktop's password manager",
            )
        return True

    def _find(self) -> KeyringBackend:
        def select() -> KeyringBackend:
            try:
                return self._select()
            except ImportError as error:  # no secret is in that
                raise CredentialsUnusable(
                    f"the keychain cannot be found: {error}", _CHOOSE
                ) from None

        return self._ask(select, "be found")

    def _ask(self, function: Callable[[], T], what: str) -> T:
        try:
            return _bounded(function, self._seconds)
        except TookTooLong:
            problem = f"the keychain did not answer within {self._seconds:g} s"
            raise CredentialsUnusable(problem, _LOCKED) from None
        except KeyringLocked:
            raise CredentialsUnusable("the keychain is locked", _LOCKED) from None
        except NoKeyringError:
            raise CredentialsUnusable("no keychain can be reached from here", _NONE) from None
        except InitError as error:
            raise CredentialsUnusable(f"the keychain cannot be opened: {error}", _LOCKED) from None
        except CredentialsUnusable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the keyring's own libraries raise
            # Their texts are not known to be free of what was to be written.
            problem = f"the keychain cannot {what}: {type(error).__name__}"
            raise CredentialsUnusable(problem, _CHOOSE) from None


def _name(backend: KeyringBackend) -> str:
    module = type(backend).__module__
    return _NAMES.get(module, f"{module}.{type(backend).__qualname__}")


def _refuse_unsafe(backend: KeyringBackend) -> None:
    """:raises CredentialsUnusable: it keeps nothing, hides nothing, or asks whoever is there."""
    name = f"{type(backend).__module__}.{type(backend).__qualname__}"
    if isinstance(backend, null.Keyring | ChainerBackend):
        raise CredentialsUnusable(f"{name} keeps nothing", _CHOOSE)
    if "plain" in name.lower() or "uncrypted" in name.lower():
        raise CredentialsUnusable(f"{name} writes secrets to a file that anyone can read", _CHOOSE)
    if name.startswith(_ASKS):
        raise CredentialsUnusable(
            f"{name} is no keychain of the system, and asks for a passphrase at each start", _CHOOSE
        )


def _bounded(function: Callable[[], T], seconds: float) -> T:
    """What ``function`` returns or raises; raises ``TimeoutError`` when that takes too long."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except Exception as error:  # noqa: BLE001 - it is the caller's
            future.set_exception(error)

    Thread(target=work, name="raic-keychain", daemon=True).start()
    return future.result(seconds)
