"""An array, as the configuration has it."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from raic.assembly.members import MemberStack, Reactor
from raic.config.identity import Identity
from raic.config.model import ArraySettings
from raic.errors import ConfigurationError
from raic.interfaces import IStorageProvider


@frozen
class ArrayStack:
    """An array and what belongs to it.

    :ivar provider: the outermost: what is stored and read goes through it.
    :ivar claims: what claims on the prefix go through.
    """

    provider: IStorageProvider
    claims: IStorageProvider


def make_array(
    settings: ArraySettings,
    members: Sequence[MemberStack],
    identity: Identity,
    reactor: Reactor,
) -> ArrayStack:
    """Make an array of providers; nothing is started."""
    raise ConfigurationError(["[storage] backend: arrays are not in this version"])
