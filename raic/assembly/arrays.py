"""An array, as the configuration has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen

from raic.assembly.lateledger import LateLedger
from raic.assembly.members import (
    MemberStack,
    Reactor,
    Used,
    length_of,
    make_member,
    no_secrets,
)
from raic.backends.array.code import Code
from raic.backends.array.drill import DrillLayer
from raic.backends.array.drillmeter import DrillMeter
from raic.backends.array.members import Member
from raic.backends.array.provider import ArrayProvider
from raic.backends.array.quorum import QuorumObjects
from raic.backends.array.settings import ArraySettings as Behaviour
from raic.backends.layers.observation import ObservationLayer
from raic.backends.layers.readcache import ReadCacheLayer
from raic.config.credentials import Credentials
from raic.config.identity import Identity
from raic.config.loading import load_config
from raic.config.model import ArraySettings, Config
from raic.errors import IdentityError
from raic.interfaces import ISmallObjects, IStorageProvider, IWorkers
from raic.shares.keys import parse_claim_key

_LOG_SECONDS = 60.0


@frozen
class ArrayStack:
    """An array and what belongs to it.

    :ivar provider: the outermost: what is stored and read goes through it.
    :ivar claims: what claims on the prefix go through.
    :ivar members: the providers, as the array knows them.
    :ivar joined: the same by name; grows with them.
    :ivar drills: what pretends that they are lost, by name; grows likewise.
    :ivar stacks: their layers, by name; grows likewise.
    :ivar meter: around the array.
    :ivar ledger: has to be attached to the index before anything is written.
    :ivar cache: None for no read cache.
    """

    provider: IStorageProvider
    claims: ISmallObjects
    members: tuple[Member, ...]
    array: ArrayProvider
    ledger: LateLedger
    observation: ObservationLayer
    drills: dict[str, DrillLayer]
    stacks: dict[str, MemberStack]
    meter: DrillMeter
    make_member: Callable[[str], Member]
    joined: dict[str, Member]
    cache: ReadCacheLayer | None


def make_array(
    config: Config,
    settings: ArraySettings,
    members: Sequence[MemberStack],
    identity: Identity,
    workers: IWorkers,
    reactor: Reactor,
    used: Used,
    credentials: Credentials,
) -> ArrayStack:
    """Make an array of providers; nothing is started.

    :param used: what quotas go by.
    :param credentials: the node's, which those of providers that join become part of.
    :raises IdentityError: there is no key for its fragments.
    """
    ledger = LateLedger()
    drills: dict[str, DrillLayer] = {}
    claimed = {each.settings.name: _claimed(each) for each in members}
    stacks = {each.settings.name: each for each in members}
    joined: dict[str, Member] = {}
    ours = tuple(_member(member, drills, joined, reactor) for member in members)

    def make_another(name: str) -> Member:
        made = stacks[name] = _another(config, name, identity, workers, reactor, used, credentials)
        claimed[name] = _claimed(made)
        return _member(made, drills, joined, reactor)

    def with_claims() -> list[Member]:
        placement = array.placement()
        homes = dict.fromkeys(placement.home(number).name for number in placement.lasting())
        return [claimed[name] for name in homes]

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
        is_whole=lambda key: parse_claim_key(key) is not None,
        make_member=make_another,
    )
    meter = DrillMeter(array, reactor)
    observation = ObservationLayer(meter, reactor, _LOG_SECONDS)
    provider: IStorageProvider = observation
    cache = None
    if settings.cache is not None:
        provider = cache = ReadCacheLayer(observation, settings.cache, length_of)
    claims = QuorumObjects(settings.name, with_claims, settings.happy, array.membership.why_not)
    return ArrayStack(
        provider,
        claims,
        ours,
        array,
        ledger,
        observation,
        drills,
        stacks,
        meter,
        make_another,
        joined,
        cache,
    )


def _another(
    config: Config,
    name: str,
    identity: Identity,
    workers: IWorkers,
    reactor: Reactor,
    used: Used,
    credentials: Credentials,
) -> MemberStack:
    now = load_config(config.node_directory)
    settings = now.providers[name]
    secrets = no_secrets
    if settings.cloud is not None:
        credentials.include(settings.cloud.wanted)
        secrets = credentials.of(name)
    return make_member(
        now,
        settings,
        identity,
        workers,
        secrets,
        reactor,
        None,
        cached=False,
        used=used,
        is_member=False,
    )


def _member(
    made: MemberStack, drills: dict[str, DrillLayer], joined: dict[str, Member], reactor: Reactor
) -> Member:
    name = made.settings.name
    drills[name] = DrillLayer(made.provider, reactor)
    joined[name] = Member(name, drills[name], made.settings.prices.download)
    return joined[name]


def _claimed(made: MemberStack) -> Member:
    """A provider as claims see it."""
    return Member(made.settings.name, made.untagged)


def _key(identity: Identity) -> bytes:
    if identity.array_key is not None:
        return identity.array_key
    error = IdentityError("private/array.key is missing, without which no fragment can be checked")
    error.remedy = "put it back from a backup of private/; a new node has one from the start"
    raise error
