"""`check` names what differs between topic and store, `repair` mends it, and mending again changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.stores.sqlite.store import SqliteStore
from tests.checking.world import BASE_S, HOUR_S, SOURCE, World, some_lines
from tests.properties import first
from tests.stores.records import delivery, hit, reject


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.send(some_lines())
    made.reject(5, 6, 7)
    made.send(some_lines(20, first=100, begin_s=BASE_S + HOUR_S))
    return made


def mended(world: World, before: object, *kinds: tuple[str, str]) -> None:
    """Check names just these kinds, repair brings back what was before, a second one changes nothing."""
    assert world.found() == sorted(kinds)
    report = world.repair()
    assert report.differences == len(kinds)
    assert world.content() == before
    assert world.found() == []
    again = world.repair()
    assert (again.differences, again.mended.total()) == (0, 0)
    assert world.content() == before


def test_a_store_that_has_what_the_topics_have_is_level(world: World) -> None:
    found, report = world.check()
    assert found == []
    assert report.compared["topic", "sqlite", "hit"] == report.compared["store", "sqlite", "hit"] == 60
    assert report.compared["store", "sqlite", "reject"] == 3
    assert report.waiting == {}


def test_a_deleted_delivery_is_missing(world: World) -> None:
    before = world.content()

    async def remove(store: SqliteStore) -> None:
        await store.mending.remove_deliveries([(before[2][0][:3], before[2][0].window_start)])

    world.with_store(remove)
    found, _ = world.check()
    assert before[2][0].request in found[0].name
    mended(world, before, ("delivery", "missing"))


@pytest.mark.parametrize(
    "change", first(4, ["ranges = '0-1'", "covered_bytes = 3", "verdict = 'unknown'", "hits = 99", "version = 8000", "version = 8", "final = 1",
               "hit_ids = x'0000000000000001'", "superseded_by = 5.0", "last = last + 1", "first = 0.0", "bytes_sent = NULL",
               "version = 8001, final = 1"]),
)  # fmt: skip
def test_an_altered_delivery_is_named_and_mended(world: World, change: str) -> None:
    before = world.content()
    assert world.sql(f"UPDATE deliveries SET {change} WHERE delivery_no = 3") == 1
    assert world.found() == [("delivery", "altered")]
    world.repair()
    assert world.content() == before
    assert world.found() == []
    assert world.repair().mended.total() == 0


def test_a_deleted_hit_and_a_deleted_reject_are_missing(world: World) -> None:
    before = world.content()

    async def remove(store: SqliteStore) -> None:
        await store.mending.remove_hits([before[0][4]])
        await store.mending.remove_rejects([before[1][1]])

    world.with_store(remove)
    found, _ = world.check()
    assert {each.name for each in found} == {before[0][4].raw_id, before[1][1].raw_id}
    mended(world, before, ("hit", "missing"), ("reject", "missing"))


@pytest.mark.parametrize(
    "change", ["hi = hi + 1", "time = time - 40000", "status = 404", "key_no = 1 + key_no % 7", "flags = 2"]
)
def test_an_altered_hit_is_named_and_mended_and_so_is_the_delivery_that_would_come_of_it(
    world: World, change: str
) -> None:
    before = world.content()
    assert world.sql(f"UPDATE hits SET {change} WHERE hit_no = 9") == 1
    found, _ = world.check()
    assert ("hit", "altered") in {(each.record, each.kind) for each in found}
    world.repair()
    assert world.content() == before
    assert world.found() == []
    assert world.repair().mended.total() == 0


def test_an_altered_reject_is_named_and_mended(world: World) -> None:
    before = world.content()
    world.sql("UPDATE rejects SET detail = 'else' WHERE reject_no = 2")
    mended(world, before, ("reject", "altered"))


def test_records_that_the_topic_does_not_have_are_extra(world: World) -> None:
    before = world.content()
    known = before[2][2]

    async def add(store: SqliteStore) -> None:
        await store.writes.write_hits([hit(1234, source=SOURCE, time=BASE_S, status=404, request=before[0][0].request, ip_address="203.0.113.9", user_agent="curl/8")])  # fmt: skip
        await store.writes.write_rejects(
            [reject(6, source="elsewhere", raw_id="ab" * 16), reject(1, source=SOURCE, raw_id="ac" * 16)]
        )
        start = known.window_start + 10 * 86400.0
        await store.writes.write_deliveries([delivery(ip_address=known[0], user_agent=known[1], request=known[2], window_start=start, first=start, last=start)])  # fmt: skip

    world.with_store(add)
    found, _ = world.check()
    assert sorted((each.record, each.kind) for each in found) == [("delivery", "extra"), ("hit", "extra")]
    world.repair()
    assert world.found() == []
    after = world.content()
    assert after[0] == before[0] and after[2] == before[2]
    assert len(after[1]) == 5, "rejects at places of which the topic tells nothing stay"


def test_hits_of_a_source_that_the_topic_never_had_are_no_difference(world: World) -> None:
    async def add(store: SqliteStore) -> None:
        await store.writes.write_hits([hit(n, source="by reduce", request="GET /0", status=500) for n in range(50)])

    world.with_store(add)
    assert world.found() == []


def test_a_lost_store_is_filled_again_from_the_topics(world: World) -> None:
    before = world.content()
    for name in ("weblogs.db", "weblogs.db-wal", "weblogs.db-shm"):
        (world.folder / name).unlink(missing_ok=True)
    report = world.repair()
    assert report.mended["sqlite", "hit", "written"] == 60
    assert world.content() == before
    assert world.repair().mended.total() == 0


def test_what_waits_for_the_store_is_said_and_is_no_difference(world: World) -> None:
    world.send(some_lines(10, first=200, begin_s=BASE_S + 2 * HOUR_S), stored=False)
    world.reject(9, stored=False)
    found, report = world.check()
    assert found == []
    assert report.waiting == {"sqlite": {"weblogs_tokens": 2, "weblogs_rejects": 1, "weblogs_reduced": 2}}


def test_a_record_that_is_on_its_way_is_not_different_though_its_hits_are_stored(world: World) -> None:
    lines = some_lines(7, first=200, begin_s=BASE_S + 2 * HOUR_S)
    world.send(lines, stored=False)
    hits = [hit(line.position, **dict(zip(("time", "ip_address", "user_agent", "request"), (line.time, *line.key), strict=True)), lo=line.lo, hi=line.hi, source=SOURCE, bytes_sent=None) for line in lines]  # fmt: skip

    async def write(store: SqliteStore) -> None:
        await store.writes.write_hits(hits)

    world.with_store(write)
    found, report = world.check()
    assert found == []
    assert report.on_the_way["sqlite"] == 7


def test_past_the_topic_deliveries_are_judged_and_mended_by_the_raw_hits(world: World) -> None:
    before = world.content()
    world.trim()
    world.sql("UPDATE deliveries SET ranges = '0-1' WHERE delivery_no = 3")
    world.sql("DELETE FROM deliveries WHERE delivery_no = 5")
    assert world.found() == [("delivery", "altered"), ("delivery", "missing")]
    world.repair()
    assert world.content() == before
    assert world.found() == []


def test_deliveries_outlive_their_raw_hits(world: World) -> None:
    world.trim()
    world.sql("DELETE FROM hits WHERE hit_no <= 30")
    world.sql("DELETE FROM hits WHERE key_no = 3")
    assert world.found() == []
    before = world.content()[2]
    assert world.repair().mended["sqlite", "delivery", "written"] == 0
    assert world.content()[2] == before


def test_counts_that_are_not_those_of_the_records_are_named_and_mended(world: World) -> None:
    before = world.content()
    world.sql("UPDATE tallies SET records = records + 1 WHERE kind = 'hits'")
    assert [(each.record, each.kind) for each in world.check()[0]] == [("count", "altered")]
    world.repair()
    assert world.content() == before
    assert world.check()[0] == []


def test_a_dry_run_writes_nothing(world: World) -> None:
    world.sql("UPDATE deliveries SET ranges = '0-1' WHERE delivery_no = 3")
    before = world.content()
    assert world.repair(dry_run=True).mended.total() == 1
    assert world.content() == before


def test_other_rules_than_those_of_the_worker_are_refused(tmp_path: Path) -> None:
    from app.errors import SettingsError
    from app.settings import load

    world = World(tmp_path)
    world.send(some_lines())
    world.settings = load(world.environment | {"WEBLOGS_WINDOW": "day"})
    with pytest.raises(SettingsError, match="WEBLOGS_WINDOW=day"):
        world.check()
