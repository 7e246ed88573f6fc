"""vote_counts: votes by kiosk, window and candidate, and the ids in them. Partitioned like `votes`; keys and values: see app.steps.ledger."""

from __future__ import annotations

from app.engine.partition import counting_parts
from app.engine.table import BatchTable
from app.engine.topology import app

__all__ = ["vote_counts"]

vote_counts = BatchTable(
    app,
    name="vote_counts",
    key_type=bytes,
    value_type=bytes,
    partitions=app.conf.topic_partitions,
    make_part=counting_parts("vote_counts"),
)
app.tables.add(vote_counts)
