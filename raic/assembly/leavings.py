"""Whether a provider holds objects of a node, or only what was left there by trying it out."""

from __future__ import annotations

from raic.backends.certify import FOLDER
from raic.deferreds import async_to_deferred
from raic.interfaces import IStorageProvider
from raic.shares.listing import pages

PROBES = "probe/"
"""Where a start that was broken off may have left something."""

LEAVINGS = (FOLDER, PROBES)
"""What the keys begin with of objects that are no node's: of certifications, and of probes."""


@async_to_deferred
async def holds_objects(provider: IStorageProvider) -> bool:
    """Whether there is anything but leavings.

    :return: fires with that; fails with a ``ProviderError``.
    """
    async for page in pages(provider, ""):
        if any(not listed.key.startswith(LEAVINGS) for listed in page):
            return True
    return False
