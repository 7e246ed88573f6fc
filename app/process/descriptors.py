"""File descriptors: as many as the system lets this process have, and never looked for at a bad moment."""

from __future__ import annotations

import os
import resource

__all__ = ["free_descriptors", "raise_descriptor_limit"]

_WANTED = 65_536
"""More helps nobody; the hard limit of some systems is a billion."""


def free_descriptors() -> int:
    """How many more this process may open now."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - len(os.listdir("/dev/fd"))  # noqa: PTH208


def raise_descriptor_limit() -> None:
    """Lifts the soft limit to the hard one, or to what is ever needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
