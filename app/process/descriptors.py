"""File descriptors: as many as the system lets this process have, and never looked for at a bad moment."""

from __future__ import annotations

import resource

__all__ = ["descriptor_limit", "raise_descriptor_limit"]

_WANTED = 65_536
"""More helps nobody; the hard limit of some systems is a billion."""


def descriptor_limit() -> int:
    """The soft limit."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def raise_descriptor_limit() -> None:
    """Lifts the soft limit to the hard one, or to what is ever needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
