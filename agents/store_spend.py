"""spend_reduced -> each store: the transactions that count, and the sums of them."""

from __future__ import annotations

from app.engine.reading import Agent
from app.engine.storing import Storing
from app.flows.spending import SPENDING

__all__ = ["store_spend"]


def store_spend(storing: Storing) -> Agent:
    """The agent of one store."""
    return storing.counted(SPENDING)
