"""A damaged record of a store: named by store, id and field; the rest is read; it can be removed."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from app.errors import StoreUnreachable, UnreadableRecord
from app.settings import Settings
from app.stores.cassandra.access import why_not
from app.stores.cassandra.connection import CassandraConnection
from app.stores.sqlite.store import SqliteStore
from tests.stores import elastic
from tests.stores.cassandra_stores import cql, fresh_keyspace, with_cassandra
from tests.stores.records import delivery, hit, reject

DAMAGES = [
    ("delivery", "UPDATE deliveries SET version = 'x' WHERE delivery_no = 1", "version"),
    ("delivery", "UPDATE deliveries SET ranges = x'ff' WHERE delivery_no = 1", "ranges"),
    ("delivery", "UPDATE deliveries SET hit_ids = x'0102' WHERE delivery_no = 1", "hit_ids"),
    ("delivery", "UPDATE deliveries SET last = 'noon' WHERE delivery_no = 1", "last"),
    ("hit", "UPDATE hits SET status = 'ok' WHERE hit_no = 1", "status"),
    ("hit", "UPDATE hits SET time = x'00' WHERE hit_no = 1", "time"),
    ("hit", "UPDATE hits SET given = 5 WHERE hit_no = 1", ""),
    ("reject", "UPDATE rejects SET time = 'x' WHERE reject_no = 1", "time"),
]


async def filled(folder: Path) -> SqliteStore:
    store = SqliteStore(folder / "weblogs.db")
    await store.open()
    assert await store.writes.write_hits([hit(number) for number in range(3)]) == []
    assert await store.writes.write_rejects([reject(number) for number in range(3)]) == []
    assert await store.writes.write_deliveries([delivery(8, window_start=float(n)) for n in range(3)]) == []
    return store


async def all_of(store: Any, record: str) -> list[Any]:
    walks = {"delivery": store.reads.all_deliveries, "hit": store.reads.all_hits, "reject": store.reads.all_rejects}
    return [one async for one in walks[record]()]


@pytest.mark.parametrize(("record", "damage", "field"), DAMAGES)
async def test_a_damaged_record_is_named_passed_over_and_removed(
    tmp_path: Path, record: str, damage: str, field: str
) -> None:
    store = await filled(tmp_path)
    connection = sqlite3.connect(tmp_path / "weblogs.db")
    connection.execute("PRAGMA ignore_check_constraints = 1")
    with connection:
        connection.execute(damage)
    connection.close()
    with pytest.raises(UnreadableRecord, match=f"the {record} .*in row 1 in the store sqlite cannot be read: {field}"):
        await all_of(store, record)
    told: list[UnreadableRecord] = []
    store.reads.on_unreadable = told.append
    assert len(await all_of(store, record)) == 2
    assert [each.record for each in told] == [record]
    await store.mending.remove_unreadable(told)
    told.clear()
    assert len(await all_of(store, record)) == 2 and told == []
    assert not await store.mending.miscounted()
    await store.close()


@pytest.mark.parametrize("hosts", ["no.such.host.invalid", "bad host name!", "a.invalid,b.invalid"])
def test_a_cassandra_host_that_does_not_resolve_is_unreachable(hosts: str) -> None:
    with pytest.raises(StoreUnreachable, match="can be resolved"):
        CassandraConnection(Settings(cassandra_hosts=hosts), why_not).connect()


@pytest.mark.live
async def test_a_damaged_document_of_elasticsearch_is_named_passed_over_and_removed() -> None:
    async with elastic.opened() as store:
        await store.writes.write_deliveries([delivery(8, window_start=float(n)) for n in range(3)])
        (first, *_) = await elastic.documents(store)
        source = {**first["_source"], "hits": "7"}
        await store.connection.call("PUT", f"/{first['_index']}/_doc/{first['_id']}", source)
        with pytest.raises(UnreadableRecord, match=f"{first['_id']} of .* in the store elasticsearch .*: hits: "):
            await all_of(store, "delivery")
        told: list[UnreadableRecord] = []
        store.reads.on_unreadable = told.append
        assert len(await all_of(store, "delivery")) == 2 and len(told) == 1
        await store.mending.remove_unreadable(told)
        told.clear()
        assert len(await all_of(store, "delivery")) == 2 and told == []


FOREIGN_ROWS = {
    "delivery": (
        "INSERT INTO KS.reduced_weblogs (ip_address, user_agent, request, window_start, hit_ids) VALUES ('a', 'b', 'c', 5.0, 0x0102)",
        "hit_ids",
    ),
    "hit": (
        "INSERT INTO KS.raw_weblogs (ip_address, user_agent, request, day, time, raw_id) VALUES ('a', 'b', 'c', '2020-01-01', 5.0, 'x')",
        "raw_id",
    ),
    "reject": ("INSERT INTO KS.rejects (reason, bucket, raw_id) VALUES ('r', 1, 'x')", "raw_id"),
}


@pytest.mark.live
@pytest.mark.parametrize("record", FOREIGN_ROWS)
def test_a_foreign_row_of_cassandra_is_named_passed_over_and_removed(record: str) -> None:
    statement, field = FOREIGN_ROWS[record]

    async def work(store: Any) -> None:
        await store.writes.write_hits([hit(number) for number in range(3)])
        await store.writes.write_rejects([reject(number) for number in range(3)])
        await store.writes.write_deliveries([delivery(8, window_start=float(n)) for n in range(3)])
        await asyncio.to_thread(cql, keyspace, statement)
        with pytest.raises(UnreadableRecord, match=f"in the store cassandra cannot be read: {field}: "):
            await all_of(store, record)
        told: list[UnreadableRecord] = []
        store.reads.on_unreadable = told.append
        assert len(await all_of(store, record)) == 3 and len(told) == 1
        await store.mending.remove_unreadable(told)
        told.clear()
        assert len(await all_of(store, record)) == 3 and told == []

    with fresh_keyspace() as keyspace:
        with_cassandra(keyspace, work)
