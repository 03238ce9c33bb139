"""Where secrets come from: what all sources have in common, and the two simplest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from raic.config.credentials.secret import Secret, one_line
from raic.config.credentials.wanted import Wanted, variable_name
from raic.errors import CredentialsUnusable

DIRECTORY_VARIABLE = "CREDENTIALS_DIRECTORY"
"""Where systemd says that a unit's credentials lie."""


class Source(Protocol):
    """One place where secrets may be.  Its methods block, and may be called in any thread."""

    @property
    def kind(self) -> str:
        """A short name: ``keychain``, ``file``, ``systemd``, ``environment`` or ``command``."""

    def describe(self) -> str:
        """What it is, for the operator."""

    def read(self, wanted: Wanted) -> Mapping[str, Secret]:
        """The secrets of a provider that are here, by field.

        :raises CredentialsUnusable: that could not be found out, or what is here is no secret.
        """


def checked(where: str, text: str) -> Secret | None:
    """The secret that was found somewhere; None for an empty one.

    :raises CredentialsUnusable: it is no secret; the message does not show it.
    """
    try:
        return one_line(text)
    except ValueError as error:
        raise CredentialsUnusable(
            f"{where} cannot be used: {error}", "set it anew, as one line of text"
        ) from None


class EnvironmentSource:
    """``RAIC_<PROVIDER>_<FIELD>``."""

    kind = "environment"

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def describe(self) -> str:
        """See :class:`Source`."""
        return "environment variables RAIC_<PROVIDER>_<FIELD>"

    def read(self, wanted: Wanted) -> Mapping[str, Secret]:
        """See :class:`Source`."""
        found = {}
        for field in wanted.fields:
            variable = variable_name(wanted.provider, field.name)
            secret = checked(variable, self._environment.get(variable, ""))
            if secret is not None:
                found[field.name] = secret
        return found


class SystemdSource:
    """The files ``<provider>.<field>`` in the directory that systemd made for the unit."""

    kind = "systemd"

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._directory = environment.get(DIRECTORY_VARIABLE, "")

    def describe(self) -> str:
        """See :class:`Source`."""
        return f"systemd credentials ({self._directory or 'none passed to this process'})"

    def read(self, wanted: Wanted) -> Mapping[str, Secret]:
        """See :class:`Source`."""
        found = {}
        for field in wanted.fields:
            secret = self.read_one(f"{wanted.provider}.{field.name}")
            if secret is not None:
                found[field.name] = secret
        return found

    def read_one(self, name: str) -> Secret | None:
        """The credential of that name; None where there is none.

        :raises CredentialsUnusable: it cannot be read.
        """
        if not self._directory:
            return None
        path = Path(self._directory) / name
        try:
            text = path.read_bytes().decode("utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CredentialsUnusable(
                f"{path} cannot be read: {error.strerror}",
                "check LoadCredential= and User= in the unit",
            ) from error
        except UnicodeDecodeError:
            raise CredentialsUnusable(
                f"{path} is not text", "store the secret itself, as one line of UTF-8"
            ) from None
        return checked(str(path), text)
