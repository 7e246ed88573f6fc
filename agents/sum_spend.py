"""spend -> [spend_totals] -> spend_reduced: sum every transaction once, by user, in the minute, hour and day of its time."""

from __future__ import annotations

from typing import Any

from app.engine.counting import EventCounting
from app.engine.reading import Agent
from app.engine.table import BatchTable
from app.flows.spending import SPENDING

__all__ = ["sum_spend"]


def sum_spend(app: Any, table: BatchTable) -> Agent:
    """The agent, on its table."""
    return EventCounting(app, SPENDING, table).run
