"""The store on Cassandra: prepared, idempotent writes in batches; reads that name their partitions."""

from __future__ import annotations

from app.settings import Settings
from app.stores.cassandra.access import why_not
from app.stores.cassandra.connection import CassandraConnection
from app.stores.cassandra.counts import Counter
from app.stores.cassandra.forms import lacking_columns
from app.stores.cassandra.ledgers import CassandraLedgers
from app.stores.cassandra.memory import FLOOR_AGE_S
from app.stores.cassandra.mending import CassandraMending
from app.stores.cassandra.reads import CassandraReads
from app.stores.cassandra.retention import CassandraRetention
from app.stores.cassandra.writes import CassandraWrites
from app.stores.contract import Store

__all__ = ["CassandraStore"]


class CassandraStore(Store):
    """The store on a keyspace of Cassandra. `floor_age_s`: for how long, in seconds, a writer relies on the floors it read."""

    def __init__(self, settings: Settings, *, read_only: bool = False, floor_age_s: float = FLOOR_AGE_S) -> None:
        self.connection = connection = CassandraConnection(settings, why_not)
        self.writing = writes = CassandraWrites(settings, connection, lacking_columns, read_only, floor_age_s)
        counter = Counter(connection, lambda: writes.calls, keeps=not read_only)
        writes.before_close = counter.close
        reads = CassandraReads(connection, counter, writes.opened)
        ledgers = CassandraLedgers(writes)
        super().__init__(
            "cassandra",
            writes,
            reads=reads,
            mending=CassandraMending(writes, reads, ledgers),
            retention=CassandraRetention(writes, settings),
            ledgers=ledgers,
        )
