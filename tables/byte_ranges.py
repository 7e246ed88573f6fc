"""byte_ranges: delivery key -> its open windows, and source -> its clock. Partitioned like `weblogs_tokens`.

Keys that begin with NUL are no delivery keys: see app.merge.
"""

from __future__ import annotations

from app.state import BatchTable
from app.topology import app

__all__ = ["byte_ranges"]

byte_ranges = BatchTable(app, name="byte_ranges", key_type=bytes, value_type=bytes, partitions=app.conf.topic_partitions)
app.tables.add(byte_ranges)
