"""What holds for every store, whatever engine is behind it: each rule is checked on a store that is open and empty."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from app.domain.records import Delivery, Hit, Reject, key_hash, key_text
from app.stores.contract import Store
from tests.stores import records
from tests.stores.records import delivery

LIFE = [
    delivery(8, verdict="partial", reason="gap", covered_bytes=10),
    delivery(16, verdict="unknown", reason="size_changed", covered_bytes=20),
    delivery(23, superseded_by=5.0, covered_bytes=20),
    delivery(24, covered_bytes=30, bytes_sent=None, evidence="learned", hits=2**60),
    delivery(25, covered_bytes=30, bytes_sent=2**70, evidence="resumed", hits=3, final=True),
]
"""One delivery as it grows: superseded once, and opened again by a hit that came later."""


async def hits_come_back(store: Store, given: Sequence[Hit]) -> None:
    """Exactly, once for each raw id, and are found by their key."""
    expected: dict[str, Hit] = {}
    for one in given:
        expected.setdefault(one.raw_id, one)
    assert await store.writes.write_hits(given) == []
    assert {one.raw_id: one async for one in store.reads.all_hits()} == expected
    for one in expected.values():
        found, count = await store.reads.hits_of(one.ip_address, one.user_agent, one.request)
        assert one in found and count == len(found)


async def hits_of_a_key_come_by_time_source_and_position(store: Store) -> None:
    """However they were written, and the first of them alike where not all are asked for."""
    sources = [records.SOURCE, "0" * 32, "f" * 32]
    given = [records.hit(at, source=source, time=1.6e9 + at // 4) for at in range(10) for source in sources]
    random.Random(1).shuffle(given)
    assert await store.writes.write_hits(given[:20]) == await store.writes.write_hits(given[20:]) == []
    wanted = sorted(given, key=lambda hit: (hit.time, hit.source, hit.position))
    for limit in (1, 2, 11, 12, 13, 29, 30, 31):
        assert await store.reads.hits_of(*given[0][1:4], limit=limit) == (wanted[:limit], len(wanted))


async def a_search_goes_on_until_all_keys_were_looked_at(store: Store) -> None:
    """However few it looks at each time: no key is left out, also not of those that join alike."""
    alike = [("1_1_1_1"[:at], "1_1_1_1"[at + 1 :], "GET /film") for at in (1, 3, 5)]
    keys = [*alike, *((f"10.0.0.{n}", "curl", f"GET /film/{n}") for n in range(20))]
    named = ("ip_address", "user_agent", "request")
    hits = [records.hit(at * 9000, **dict(zip(named, key, strict=True))) for at, key in enumerate(keys)]
    assert await store.writes.write_hits(hits) == []
    for most in (1, 4, 7, 1000):
        search = await store.reads.keys_by_text_part("get /FILM", 50, "", most)
        found, searches = list(search.keys), 1
        while search.rest:
            assert search.searched >= 1
            search = await store.reads.keys_by_text_part("get /FILM", 50, search.rest, most)
            found += search.keys
            searches += 1
            assert searches <= len(keys) + 1
        assert sorted(set(found)) == sorted(keys)
    assert (await store.reads.keys_by_text_part("nowhere", 50, "", 1000)) == ([], 0, "")


async def rejects_come_back(store: Store, given: Sequence[Reject]) -> None:
    expected: dict[str, Reject] = {}
    for one in given:
        expected.setdefault(one.raw_id, one)
    assert await store.writes.write_rejects(given) == []
    found = {one.raw_id: one async for one in store.reads.all_rejects()}
    assert found.keys() == expected.keys()
    assert all(one in given for one in found.values())
    assert sum((await store.reads.counts()).rejects.values()) == len(expected)


async def deliveries_come_back(store: Store, given: Sequence[Delivery]) -> None:
    """Exactly, the highest version of each; the counts are what counting gives; visible ones are found by key and hash."""
    expected: dict[tuple[Any, ...], Delivery] = {}
    for one in given:
        known = expected.get(one[:4])
        if known is None or known.version < one.version:
            expected[one[:4]] = one
    visible = [one for one in expected.values() if one.superseded_by is None]
    assert await store.writes.write_deliveries(given) == []
    assert {one[:4]: one async for one in store.reads.all_deliveries(superseded=True)} == expected
    assert await store.reads.counts() == await records.counted(store)
    newest = await store.reads.newest_deliveries(100)
    assert len(newest) == len(visible) and all(one in newest for one in visible)
    for one in visible:
        assert one in await store.reads.deliveries_of(*one[:3])
        assert one[:3] in await store.reads.keys_by_hash(key_hash(key_text(*one[:3])))


async def the_highest_version_wins(store: Store, batches: Sequence[Sequence[Delivery]]) -> None:
    """`batches`: versions of one delivery."""
    best = max((one for batch in batches for one in batch), key=lambda one: one.version)
    for batch in batches:
        assert await store.writes.write_deliveries(batch) == []
    assert [one async for one in store.reads.all_deliveries(superseded=True)] == [best]
    visible = [] if best.superseded_by is not None else [best]
    assert await store.reads.deliveries_of(*best[:3]) == visible
    assert await store.reads.newest_deliveries(5) == visible
    assert await store.reads.deliveries_of(best.ip_address, best.user_agent, best.request, superseded=True) == [best]
    assert await store.reads.counts() == await records.counted(store)
