"""spend_totals: cents by user, minute, hour and day, and the ids in them. Partitioned like `spend`; keys and values: see app.steps.ledger."""

from __future__ import annotations

from typing import Any

from app.engine.partition import counting_parts
from app.engine.state_forms import StateForms
from app.engine.table import BatchTable, add_table
from app.flows.spending import SPENDING

__all__ = ["spend_totals"]

FORMS = StateForms(newest=1)
"""Of its values; see app.engine.state_forms."""


def spend_totals(app: Any) -> BatchTable:
    """The table of an app."""
    return add_table(app, SPENDING.table, counting_parts, FORMS)
