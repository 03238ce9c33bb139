"""What copies a node's index to its provider."""

from __future__ import annotations

from raic.assembly.members import Reactor
from raic.config.identity import Identity
from raic.config.model import Config
from raic.interfaces import IIndex, IStorageProvider
from raic.shares.checkpoints import Checkpointer, CheckpointSettings
from raic.shares.index import SQLiteIndex
from raic.shares.sealing import Sealer
from raic.workers import ThreadWorkers


def make_checkpointer(
    config: Config,
    identity: Identity,
    provider: IStorageProvider,
    index: IIndex,
    reactor: Reactor,
) -> Checkpointer | None:
    """What copies the index, as the configuration says; None when it says that nothing does.

    :param provider: what writes and deletes only while the prefix is this node's.
    """
    storage = config.storage
    if not storage.checkpoints_kept or not isinstance(index, SQLiteIndex):
        return None
    return Checkpointer(
        provider,
        config.index_path,
        index.changes,
        Sealer(identity.seal_key),
        reactor,
        ThreadWorkers(reactor, 1, "raic-checkpoint"),
        CheckpointSettings(
            storage.checkpoint_interval, storage.checkpoint_changes, storage.checkpoints_kept
        ),
    )
