"""request_counts: requests by hour and day, and the ids of the hits in them. Partitioned like the topic of hits; keys and values: see app.steps.ledger."""

from __future__ import annotations

from typing import Any

from app.engine.partition import counting_parts
from app.engine.state_forms import StateForms
from app.engine.table import BatchTable, add_table
from app.flows.requests import REQUESTS

__all__ = ["request_counts"]

FORMS = StateForms(newest=1)
"""Of its values; see app.engine.state_forms."""


def request_counts(app: Any) -> BatchTable:
    """The table of an app."""
    return add_table(app, REQUESTS.table, counting_parts, FORMS)
