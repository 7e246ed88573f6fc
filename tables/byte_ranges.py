"""byte_ranges: delivery key -> its open windows, and source -> its clock. Partitioned like `weblogs_tokens`.

Keys that begin with NUL are no delivery keys: see app.steps.merger.
"""

from __future__ import annotations

from app.engine.partition import DeliveriesPart, Part, RocksPart
from app.engine.table import BatchTable
from app.engine.topology import app
from app.settings import settings
from app.transports.kafka.topics import CHANGELOG_KEEPS_TOMBSTONES_S

__all__ = ["byte_ranges"]


def _make_part(partition: int, log: str) -> Part:
    own = settings()
    if own.table_store == "memory" or not own.on_kafka:
        return DeliveriesPart()
    return RocksPart(own.data_dir / "tables" / f"byte_ranges-{partition}", log, 0.9 * CHANGELOG_KEEPS_TOMBSTONES_S)


byte_ranges = BatchTable(
    app,
    name="byte_ranges",
    key_type=bytes,
    value_type=bytes,
    partitions=app.conf.topic_partitions,
    make_part=_make_part,
)
app.tables.add(byte_ranges)
