"""The interfaces between RAIC's parts.  Their docstrings are normative.

Import them from here; their modules are the rooms they are kept in.
Sizes, offsets and lengths are in bytes; times are in seconds since the Unix epoch.  Every error
named here is in :mod:`raic.errors`.  Methods return their Deferred at once and never raise, unless
the text says so; a programming error (a negative length, a bytes key) may raise ``ValueError``.
"""

from raic.interfaces.index import IIndex
from raic.interfaces.providers import (
    IImmediateReads,
    IInspectingConsumer,
    IInterruptedUploads,
    ILocalListing,
    IMadeUpload,
    IObjectUpload,
    IRequestCounts,
    IServiceClock,
    IServiceTraits,
    IShortPages,
    ISmallObjects,
    IStorageProvider,
)
from raic.interfaces.service import (
    IAllocation,
    IBucketUpload,
    IReach,
    IShareReader,
    IStorageService,
)
from raic.interfaces.workers import IWorkers
from raic.ledger import IFragmentLedger

__all__ = [
    "IAllocation",
    "IBucketUpload",
    "IFragmentLedger",
    "IImmediateReads",
    "IIndex",
    "IInspectingConsumer",
    "IInterruptedUploads",
    "ILocalListing",
    "IMadeUpload",
    "IObjectUpload",
    "IReach",
    "IRequestCounts",
    "IServiceClock",
    "IServiceTraits",
    "IShareReader",
    "IShortPages",
    "ISmallObjects",
    "IStorageProvider",
    "IStorageService",
    "IWorkers",
]
