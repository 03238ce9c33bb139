"""An array, as the configuration has it."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from raic.assembly.lateledger import LateLedger
from raic.assembly.members import MemberStack, Reactor, length_of
from raic.backends.array.code import Code
from raic.backends.array.members import Member
from raic.backends.array.provider import ArrayProvider
from raic.backends.array.quorum import QuorumProvider
from raic.backends.array.settings import ArraySettings as Behaviour
from raic.backends.layers.observation import ObservationLayer
from raic.backends.layers.readcache import ReadCacheLayer
from raic.config.identity import Identity
from raic.config.model import ArraySettings
from raic.errors import IdentityError
from raic.interfaces import IStorageProvider

_LOG_SECONDS = 60.0


@frozen
class ArrayStack:
    """An array and what belongs to it.

    :ivar provider: the outermost: what is stored and read goes through it.
    :ivar claims: what claims on the prefix go through.
    :ivar members: the providers, as the array knows them.
    :ivar ledger: has to be attached to the index before anything is written.
    """

    provider: IStorageProvider
    claims: IStorageProvider
    members: tuple[Member, ...]
    array: ArrayProvider
    ledger: LateLedger
    observation: ObservationLayer


def make_array(
    settings: ArraySettings,
    members: Sequence[MemberStack],
    identity: Identity,
    reactor: Reactor,
) -> ArrayStack:
    """Make an array of providers; nothing is started.

    :raises IdentityError: there is no key for its fragments.
    """
    ledger = LateLedger()
    ours = tuple(array_member(member) for member in members)
    array = ArrayProvider(
        settings.name,
        ours,
        Code(settings.needed, settings.block_size),
        settings.happy,
        _key(identity),
        ledger,
        reactor,
        Behaviour(straggler_seconds=float(settings.straggler_seconds)),
        length_of=length_of,
    )
    observation = ObservationLayer(array, reactor, _LOG_SECONDS)
    provider: IStorageProvider = observation
    if settings.cache is not None:
        provider = ReadCacheLayer(observation, settings.cache, length_of)
    claimed = [Member(member.settings.name, member.untagged) for member in members]
    claims = QuorumProvider(settings.name, claimed, settings.happy)
    return ArrayStack(provider, claims, ours, array, ledger, observation)


def array_member(member: MemberStack) -> Member:
    """A provider as a member of an array."""
    return Member(member.settings.name, member.provider, member.settings.prices.download)


def _key(identity: Identity) -> bytes:
    if identity.array_key is not None:
        return identity.array_key
    error = IdentityError("private/array.key is missing, without which no fragment can be checked")
    error.remedy = "put it back from a backup of private/; a new node has one from the start"
    raise error
