"""What the C library does with memory that was freed."""

from __future__ import annotations

LARGE_BYTES = 8 * 1024 * 1024


def keep_freed_memory() -> None:
    """Have the C library keep what was freed for what comes next: up to 16 MiB for each thread.

    Streams allocate and free pieces of up to 1 MiB all the time.  GNU's library gives the free end
    of its heap back to the system when that is more than twice the largest block which the system
    got back so far; then almost each piece is new memory, and to have the system provide it, page
    by page, takes longer than to read a file and check it.  So a larger block is given back here.
    It is never used: it takes no memory.
    """
    bytes(LARGE_BYTES)
