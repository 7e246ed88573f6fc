"""The Elasticsearch store: hits in an index a day, deliveries and rejects in one each, all behind aliases."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from app.settings import Settings
from app.stores.contract import Store
from app.stores.elasticsearch.address import not_let_in, refuse_settings, wrong_address
from app.stores.elasticsearch.connection import ElasticsearchConnection
from app.stores.elasticsearch.forms import ElasticsearchForms
from app.stores.elasticsearch.ledgers import ElasticsearchLedgers
from app.stores.elasticsearch.mending import ElasticsearchMending
from app.stores.elasticsearch.reads import ElasticsearchReads
from app.stores.elasticsearch.retention import ElasticsearchRetention
from app.stores.elasticsearch.schema import ElasticsearchSchema, IndexNames
from app.stores.elasticsearch.searches import ElasticsearchSearches
from app.stores.elasticsearch.writes import ElasticsearchWrites

__all__ = ["ElasticsearchStore"]


class ElasticsearchStore(Store):
    """The store on Elasticsearch 8. `clock` tells the time of ingest (UTC seconds)."""

    def __init__(self, settings: Settings, *, read_only: bool = False, clock: Callable[[], float] = time.time) -> None:
        refuse_settings(settings)
        self.names = names = IndexNames(settings.elasticsearch_prefix)
        self.connection = connection = ElasticsearchConnection(
            settings, partial(wrong_address, settings), partial(not_let_in, settings)
        )
        self._schema = schema = ElasticsearchSchema(
            connection, names, settings, ElasticsearchForms(connection, names).check
        )
        searches = ElasticsearchSearches(connection)
        writes = ElasticsearchWrites(connection, names, schema, settings, read_only, clock)
        self._sender = writes.sender
        ledgers = ElasticsearchLedgers(writes, searches)
        super().__init__(
            "elasticsearch",
            writes,
            reads=ElasticsearchReads(searches, names),
            mending=ElasticsearchMending(writes, searches),
            retention=ElasticsearchRetention(connection, searches, names, schema, ledgers),
            ledgers=ledgers,
        )
