"""What becomes of memory that is free: garbage is seldom looked for, and what was freed goes back to the system.

glibc keeps it, in an arena for each thread, as long as anything behind it lives.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["GIVE_BACK_INTERVAL_S", "collect_seldom", "give_back", "keep_freed", "no_collection", "share_arenas"]

GIVE_BACK_INTERVAL_S = 10.0
_ARENAS = 2
_MOST_MAPPED_BYTES = 32 << 20
"""glibc takes no more."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""As malloc.h has them."""


def collect_seldom() -> None:
    """For processes that hold many records. Looking for garbage goes through all that lives: with millions of entries and batches of
    thousands of tuples that is most of the work, and little of it is ever found in cycles."""
    gc.set_threshold(100_000, 20, 100)


@contextmanager
def no_collection() -> Iterator[None]:
    """Does not look for reference cycles: a reduction makes none, and each look costs a walk over all open deliveries.

    What is there at the end stays until the process ends: the look that the interpreter takes then would cost as much.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def share_arenas() -> None:
    """Have the threads use few arenas: what one of them frees, another can use. At the start; does nothing without glibc."""
    if libc := _glibc():
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


def keep_freed(kept_bytes: int) -> None:
    """For processes that fill columns of some megabytes again and again. The system clears each page that it hands out, and takes as long for
    it as the columns do: so this much that is free stays with the process and its forks. Does nothing without glibc.
    """
    if libc := _glibc():
        libc.mallopt(_M_MMAP_THRESHOLD, min(kept_bytes // 2, _MOST_MAPPED_BYTES))
        libc.mallopt(_M_TRIM_THRESHOLD, kept_bytes)


def give_back() -> None:
    """Return whole free pages, from the middle of the heap, too: some milliseconds. Does nothing without glibc."""
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") and hasattr(libc, "mallopt") else None
