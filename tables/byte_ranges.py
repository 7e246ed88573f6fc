"""byte_ranges: delivery key -> its open windows, and source -> its clock. Partitioned like `weblogs_tokens`.

Keys that begin with NUL are no delivery keys: see app.steps.merger.
"""

from __future__ import annotations

from typing import Any

from app.engine.partition import delivery_parts
from app.engine.state_forms import StateForms
from app.engine.table import BatchTable, add_table

__all__ = ["byte_ranges"]

FORMS = StateForms(newest=1)
"""Of its values; see app.engine.state_forms."""


def byte_ranges(app: Any) -> BatchTable:
    """The table of an app."""
    return add_table(app, "byte_ranges", delivery_parts, FORMS)
