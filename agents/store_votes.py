"""votes_reduced -> each store: the votes that count, and the sums of them."""

from __future__ import annotations

from app.engine.reading import Agent
from app.engine.storing import Storing
from app.flows.votes import VOTES

__all__ = ["store_votes"]


def store_votes(storing: Storing) -> Agent:
    """The agent of one store."""
    return storing.counted(VOTES)
