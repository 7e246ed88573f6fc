"""spend_totals: cents by user, minute, hour and day, and the ids in them. Partitioned like `spend`; keys and values: see app.steps.ledger."""

from __future__ import annotations

from app.engine.partition import counting_parts
from app.engine.table import BatchTable
from app.engine.topology import app

__all__ = ["spend_totals"]

spend_totals = BatchTable(
    app,
    name="spend_totals",
    key_type=bytes,
    value_type=bytes,
    partitions=app.conf.topic_partitions,
    make_part=counting_parts("spend_totals"),
)
app.tables.add(spend_totals)
