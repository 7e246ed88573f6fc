"""vote_counts: votes by kiosk, window and candidate, and the ids in them. Partitioned like `votes`; keys and values: see app.steps.ledger."""

from __future__ import annotations

from typing import Any

from app.engine.partition import counting_parts
from app.engine.state_forms import StateForms
from app.engine.table import BatchTable, add_table
from app.flows.votes import VOTES

__all__ = ["vote_counts"]

FORMS = StateForms(newest=1)
"""Of its values; see app.engine.state_forms."""


def vote_counts(app: Any) -> BatchTable:
    """The table of an app."""
    return add_table(app, VOTES.table, counting_parts, FORMS)
