"""A value of a state that cannot be read: what a step passes over, and what is lost with it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["StateDamage"]


class StateDamage(NamedTuple):
    """One value of the state, named before the step that goes on without it is written."""

    name: bytes
    """Its key."""
    value: bytes
    """As it was found, without the number of its form."""
    loss: str
    """What cannot be told now, a clause for people."""
