"""Getting checkpoints back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from raic.deferreds import async_to_deferred
from raic.interfaces import IStorageProvider
from raic.shares.checkpoints.sealed import CheckpointDamaged, Opener
from raic.shares.index.copies import RevivedIndex, discard_copy, revive_index
from raic.shares.index.measures import Measure, as_it_is
from raic.shares.keys import CHECKPOINTS, CheckpointKey, parse_checkpoint_key
from raic.shares.listing import pages
from raic.shares.sealing import Sealer

PIECE_BYTES = 4 * 1024 * 1024


@async_to_deferred
async def list_checkpoints(
    provider: IStorageProvider,
) -> tuple[list[CheckpointKey], list[CheckpointKey]]:
    """The checkpoints, the newest first, and those of which too little is there.

    :return: fires with them; fails with a ``ProviderError``.
    """
    whole: list[CheckpointKey] = []
    partial: list[CheckpointKey] = []
    async for page in pages(provider, CHECKPOINTS):
        for listed in page:
            key = parse_checkpoint_key(listed.key)
            if key is not None:
                is_whole = not listed.partial and listed.size == key.size
                (whole if is_whole else partial).append(key)
    return sorted(whole, reverse=True), partial


@async_to_deferred
async def fetch_checkpoint(
    provider: IStorageProvider,
    key: CheckpointKey,
    sealer: Sealer,
    target: Path,
    expires: int,
    progress: Callable[[int], None],
    measure: Measure = as_it_is,
) -> RevivedIndex:
    """Make an index of a checkpoint: one that may be opened, see ``revive_index``.

    :param target: where it goes; what is there is deleted.
    :param expires: before when no lease is to end.
    :param progress: called with how many bytes have come.
    :param measure: see ``revive_index``.
    :return: fires with what it holds; fails with ``CheckpointDamaged``, a ``ProviderError`` or an
        ``IndexFailure``, and has then left nothing.
    """
    discard_copy(target)
    try:
        with target.open("xb") as file:
            target.chmod(0o600)
            opener = Opener(key.name, file, sealer)
            for offset in range(0, key.size, PIECE_BYTES):
                length = min(PIECE_BYTES, key.size - offset)
                data = await provider.get_object(str(key), offset, length)
                if len(data) != length:
                    raise CheckpointDamaged("it is shorter than listed")
                opener.add(data)
                progress(offset + length)
            opener.end()
        return revive_index(target, expires, measure)
    except BaseException:
        discard_copy(target)
        raise
