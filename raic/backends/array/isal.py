"""ISA-L, a library that makes blocks ten times as fast as zfec, where the system has it.

It multiplies with the numbers of zfec's own matrix.  What it makes of a few bytes is compared with
what zfec makes of them; were that not the same, it would not be used.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

NAMES = ("libisal.so.2",)

Coder = Callable[[Sequence[bytes]], "bytes | bytearray"]
"""Makes blocks of one number: from one row of bytes for each block of plain data that a stripe has,
all equally long, another row.  May be called in several threads at once, and lets others run."""

_TABLE_BYTES = 32
_TRIED_BYTES = 1024 + 37  # more than the library takes in one step, and no multiple of that


def library(names: Sequence[str] = NAMES) -> Any:
    """The library; None where the system has none."""
    for name in names:
        try:
            found = ctypes.CDLL(name)
            tables, encode = found.ec_init_tables, found.ec_encode_data
        except (OSError, AttributeError):
            continue
        pointer = ctypes.c_void_p
        tables.argtypes = [ctypes.c_int, ctypes.c_int, pointer, pointer]
        encode.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int, pointer, pointer, pointer]
        tables.restype = encode.restype = None
        return found
    return None


def coder(isal: Any, zfec: Coder, needed: int) -> Coder:
    """What makes the same blocks as zfec does.

    :param isal: the library, or None.
    :param zfec: makes them with zfec.
    :param needed: how many rows it takes.
    :return: ``zfec`` itself if the library is not there, or makes others.
    """
    if isal is None:
        return zfec
    units = [bytes(row == at for at in range(needed)) for row in range(needed)]
    code = _coder(isal, bytes(zfec(units)))
    tried = [_some_bytes(row) for row in range(needed)]
    return code if code(tried) == zfec(tried) else zfec


def _some_bytes(row: int) -> bytes:
    """All values that a byte can have, in an order of its own for each row."""
    return bytes((at * (2 * row + 1) + row) % 256 for at in range(_TRIED_BYTES))


def _coder(isal: Any, factors: bytes) -> Coder:
    """What multiplies each row with its factor, and adds them up."""
    needed = len(factors)
    tables = ctypes.create_string_buffer(_TABLE_BYTES * needed)
    isal.ec_init_tables(needed, 1, factors, tables)
    encode, sources, targets = isal.ec_encode_data, ctypes.c_char_p * needed, ctypes.c_void_p * 1

    def code(rows: Sequence[bytes]) -> bytearray:
        size = len(rows[0])
        made = bytearray(size)
        place = ctypes.addressof((ctypes.c_char * size).from_buffer(made))
        encode(size, needed, 1, tables, sources(*rows), targets(place))
        return made

    return code
