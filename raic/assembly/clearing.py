"""Deleting what a node that does not run has for garbage, without waiting."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from raic.assembly.members import Reactor
from raic.assembly.offline import OfflineNode
from raic.assembly.persisting import persistently
from raic.errors import OperationRefused

EVER = 2**62
PAGE = 1000


async def clear_garbage(
    node: OfflineNode, reactor: Reactor, told: Callable[[int], None] = lambda _: None
) -> None:
    """Delete all garbage, whether or not its time has come: nobody reads or writes any of it.

    Raises a ``ProviderError``, an ``IndexFailure``, or ``OperationRefused`` when the provider keeps
    what it is told to delete.

    :param told: called with how many objects were deleted, now and then.
    """
    while garbage := await node.index.next_garbage(EVER, PAGE):
        keys = [one.key for one in garbage]
        kept = await persistently(partial(node.provider.delete_objects, keys), reactor)
        # What has two passes to go comes again, and is deleted once more.
        gone = [one for one in garbage if one.key not in kept]
        if not gone:
            raise OperationRefused(
                f"{node.provider.name} does not delete {keys[0]}",
                "see to it, then give the command again",
            )
        await node.index.settle_garbage(gone)
        told(len(gone))
