"""votes -> [vote_counts] -> votes_reduced: count every vote once, in the window of its time."""

from __future__ import annotations

from typing import Any

from app.engine.counting import EventCounting
from app.engine.reading import Agent
from app.engine.table import BatchTable
from app.flows.votes import VOTES

__all__ = ["count_votes"]


def count_votes(app: Any, table: BatchTable) -> Agent:
    """The agent, on its table."""
    return EventCounting(app, VOTES, table).run
