"""The page with very many deliveries: it asks for figures and for a bounded number of records, never for all."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from app.settings import Settings
from app.stores.contract import FoundKeys, Reads, Store
from app.transports.producers import MessageProducer
from app.web.deliveries.pages import NEWEST
from tests.web.conftest import ToldStatus
from tests.web.records import deliveries, pieces


class Watched:
    """The reads of a store that note how many deliveries each returned."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self.noted: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._reads, name)
        if not inspect.iscoroutinefunction(attribute):
            return attribute

        async def read(*args: Any, **kwargs: Any) -> Any:
            result = await attribute(*args, **kwargs)
            self.noted[name] = len(result.keys if isinstance(result, FoundKeys) else result)
            return result

        return read


@pytest.mark.long
async def test_the_page_of_100_000_deliveries_reads_its_figures_and_the_newest_only(
    store: Store, status: ToldStatus, producer: MessageProducer, settings: Settings
) -> None:
    from tests.web.conftest import served

    [one] = deliveries(pieces([(0, 9), (50, 99)], 100))
    for start in range(0, 100_000, 10_000):
        many = [one._replace(request=f"GET /{n}", last=one.last + n) for n in range(start, start + 10_000)]
        assert await store.writes.write_deliveries(many) == []
    watched = Watched(store.reads)
    async with served(store.read_through(watched), status, producer, settings) as client:
        text = await (await client.get("/")).text()
        assert "100,000" in text
        assert set(watched.noted) == {"counts", "newest_deliveries"}
        assert watched.noted["newest_deliveries"] == NEWEST
        assert len(text) < 100_000
        found = await (await client.get("/?q=GET /9999")).text()
        assert "GET /99999" in found
        assert watched.noted["keys_by_text_part"] <= 50
