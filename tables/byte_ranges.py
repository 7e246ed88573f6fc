"""byte_ranges: delivery key -> its open windows, and source -> its clock. Partitioned like `weblogs_tokens`.

Keys that begin with NUL are no delivery keys: see app.steps.merger.
"""

from __future__ import annotations

from typing import Any

from app.engine.partition import delivery_parts
from app.engine.state_forms import StateForms
from app.engine.table import BatchTable, add_table
from app.messages.state_values import entry_of_form_1

__all__ = ["byte_ranges"]


def _of_form_1(key: bytes, value: bytes) -> bytes:
    """A delivery's entry gets a place for bytes that are not proved; clocks and rules are as they were."""
    return value if key.startswith(b"\0") else entry_of_form_1(value)


FORMS = StateForms(newest=2, upgrades={1: _of_form_1})
"""Of its values; see app.engine.state_forms."""


def byte_ranges(app: Any) -> BatchTable:
    """The table of an app."""
    return add_table(app, "byte_ranges", delivery_parts, FORMS)
