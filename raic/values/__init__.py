"""Frozen values that interfaces exchange.

Import them from here; their modules are the rooms they are kept in.
Sizes and offsets are in bytes, times in seconds since the Unix epoch, unless said otherwise.
"""

from raic.values.arrays import (
    ArrayEvent,
    ArrayTotals,
    FragmentState,
    Placed,
)
from raic.values.leases import (
    LEASE_SECONDS,
    ExpiryBatch,
    ExpiryPolicy,
    ExpiryRule,
    ExpiryRun,
    Lease,
    LeasePlace,
    LeaseSecrets,
    UpcomingLeases,
)
from raic.values.messages import (
    ReadTestWriteResult,
    ReadVector,
    ServiceSizes,
    TestVector,
    TestWriteVectors,
    WriteVector,
)
from raic.values.objects import (
    ListedObject,
    ObjectPage,
    Stored,
)
from raic.values.shares import (
    GONE,
    HEAD_BYTES,
    MAX_SHARES,
    UNRESOLVED,
    VERIFIED,
    Advisory,
    Chunk,
    Expunged,
    Garbage,
    Inline,
    SlotShare,
    SlotVersion,
    StoredShare,
    Version,
    WriteEnabler,
)
from raic.values.space import (
    NodeSpace,
    Pool,
    ProviderSpace,
    Space,
    Totals,
    Usage,
)

__all__ = [
    "GONE",
    "HEAD_BYTES",
    "LEASE_SECONDS",
    "MAX_SHARES",
    "UNRESOLVED",
    "VERIFIED",
    "Advisory",
    "ArrayEvent",
    "ArrayTotals",
    "Chunk",
    "ExpiryBatch",
    "ExpiryPolicy",
    "ExpiryRule",
    "ExpiryRun",
    "Expunged",
    "FragmentState",
    "Garbage",
    "Inline",
    "Lease",
    "LeasePlace",
    "LeaseSecrets",
    "ListedObject",
    "NodeSpace",
    "ObjectPage",
    "Placed",
    "Pool",
    "ProviderSpace",
    "ReadTestWriteResult",
    "ReadVector",
    "ServiceSizes",
    "SlotShare",
    "SlotVersion",
    "Space",
    "Stored",
    "StoredShare",
    "TestVector",
    "TestWriteVectors",
    "Totals",
    "UpcomingLeases",
    "Usage",
    "Version",
    "WriteEnabler",
    "WriteVector",
]
