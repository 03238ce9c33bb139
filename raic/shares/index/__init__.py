"""The index: what is stored where, and the leases on it."""

from raic.shares.index.files import create_index, replace_index
from raic.shares.index.sqlite import SQLiteIndex, open_index

__all__ = ["SQLiteIndex", "create_index", "open_index", "replace_index"]
