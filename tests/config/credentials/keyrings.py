"""Keyrings for tests: one that works, and some that do not."""

from __future__ import annotations

from threading import Event

from keyring.backend import KeyringBackend
from keyring.errors import InitError, KeyringLocked, PasswordDeleteError


class MemoryKeyring(KeyringBackend):
    """Keeps passwords in a dict; passes the same tests as the Secret Service."""

    # Never chosen by keyring itself: having been defined is enough to be a candidate.
    priority = -10.0

    def __init__(self) -> None:
        super().__init__()
        self.passwords: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.passwords.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.passwords[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.passwords.pop((service, username), None) is None:
            raise PasswordDeleteError("No such password!")


class PlaintextKeyring(MemoryKeyring):
    """Has the name of keyrings.alt's."""


class ForgetfulKeyring(MemoryKeyring):
    """Takes what it is given, and has nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class StickyKeyring(MemoryKeyring):
    """Deletes nothing."""

    def delete_password(self, service: str, username: str) -> None:
        pass


class LockedKeyring(MemoryKeyring):
    """Lets nobody in."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("Failed to unlock the collection!")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked("Failed to unlock the collection!")


class UnopenedKeyring(MemoryKeyring):
    """Has no collection."""

    def get_password(self, service: str, username: str) -> str | None:
        raise InitError("Failed to create the collection: prompt dismissed.")


class TalkativeKeyring(MemoryKeyring):
    """Fails, and tells what it was given."""

    def set_password(self, service: str, username: str, password: str) -> None:
        raise OSError(f"cannot write {password!r}")


class HangingKeyring(MemoryKeyring):
    """Waits for somebody to type a password."""

    def __init__(self) -> None:
        super().__init__()
        self.typed = Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.typed.wait(20)
        return None
