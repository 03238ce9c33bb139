"""Keeping introducers told, also of what changes while the node runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from foolscap.api import Tub

from raic.config.addresses import Addresses
from raic.config.files import replace_file
from raic.config.identity import Identity
from raic.config.model import Config
from raic.server.announcer import Announcer, SequenceFile, make_announcement


def make_announcer(config: Config, identity: Identity, addresses: Addresses, tub: Tub) -> Announcer:
    """What announces the node to the introducers of its configuration; it has not done so yet.

    :param tub: connects to them.
    """
    sequence = SequenceFile(config.private / "announcement.seqnum", replace_file)
    return Announcer(
        tub,
        config.introducers,
        _always(
            make_announcement(
                nickname=config.node.nickname,
                furl=addresses.furl,
                nurls=addresses.nurls,
                permutation_seed=identity.permutation_seed,
                certificates=config.certificates,
            )
        ),
        identity.signing_key,
        sequence.next,
    )


def _always(announcement: Mapping[str, Any]) -> Callable[[], Mapping[str, Any]]:
    return lambda: announcement
