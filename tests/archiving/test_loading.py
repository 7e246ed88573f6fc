"""`usage load`: the archive as one Parquet dataset, or in the table of calls of a store; each record once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from app.archiving.loading import load_dataset, load_store
from app.domain.usage.records import UsageRecord
from app.flows.usage import LOADED
from app.settings import Settings
from app.stores import open_store
from tests.archiving.world import World, record

DAY_S = 86_400.0
MADE = [record("p", seq, f"u{seq % 3}", time=DAY_S - 50 + seq, uri=f"/{seq}") for seq in range(1, 100)]
MADE.append(record("p", 100, kind="stop", time=DAY_S + 60))


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.send(MADE, at_once=9)
    world.archived(file_bytes=10_000, kind="csv")
    assert len(world.files) > 3
    return world


def test_a_dataset_has_every_record_once_with_its_time_by_day(tmp_path: Path, world: World) -> None:
    target = tmp_path / "dataset"
    loaded = load_dataset(world.storage, target)
    assert (loaded.files, loaded.records, loaded.problems) == (len(world.files), 100, [])
    table = ds.dataset(target, partitioning="hive", format="parquet").to_table()
    rows = sorted(table.to_pylist(), key=lambda row: row["seq"])
    assert [row["seq"] for row in rows] == [one.seq for one in MADE]
    assert [row["uri"] for row in rows] == [one.uri for one in MADE]
    assert [row["time"].timestamp() for row in rows] == [one.time for one in MADE]
    assert [row["day"] for row in rows] == ["1970-01-01"] * 49 + ["1970-01-02"] * 51
    assert {row["producer"] for row in rows} == {"p@m/1"}


def test_loading_again_adds_only_what_is_new_and_a_killed_run_is_continued(tmp_path: Path, world: World) -> None:
    target = tmp_path / "dataset"
    load_dataset(world.storage, target)
    assert load_dataset(world.storage, target)[:2] == (0, 0)
    next((target / "_loaded").iterdir()).unlink()  # killed before it noted the file
    world.send([record("q", 1, time=3 * DAY_S)])
    world.archived()
    assert load_dataset(world.storage, target).files == 2
    found = ds.dataset(target, partitioning="hive", format="parquet").to_table(columns=["producer", "seq"])
    assert sorted(map(str, found.to_pylist())) == sorted(
        map(str, [{"producer": f"{one.service}@m/1", "seq": one.seq} for one in [*MADE, record("q", 1)]])
    )
    assert list(target.rglob("*.part")) == []


def test_a_file_that_was_altered_is_named_and_not_loaded(tmp_path: Path, world: World) -> None:
    spoiled = world.archive / world.files[0].file
    spoiled.write_bytes(spoiled.read_bytes().replace(b"/1", b"/7", 1))
    loaded = load_dataset(world.storage, tmp_path / "dataset")
    assert loaded.files == len(world.files) - 1
    assert [line.partition(" ")[0] for line in loaded.problems] == [world.files[0].file]


def test_a_store_has_every_call_once_however_often_it_is_loaded(tmp_path: Path, world: World) -> None:
    settings = Settings(data_dir=tmp_path / "var")
    for _ in range(2):
        loaded = load_store(world.storage, "sqlite", settings)
        assert (loaded.records, loaded.left_out, loaded.refused, loaded.problems) == (99, 1, [], [])

    async def stored() -> tuple[list[UsageRecord], list[UsageRecord]]:
        store = open_store("sqlite", settings, read_only=True)
        await store.open()
        every = [one async for one in store.ledgers.all_events(LOADED)]
        own = await store.ledgers.events(LOADED, "u1", 0.0, DAY_S, 1000)
        await store.close()
        return every, own

    every, own = asyncio.run(stored())
    assert sorted(every, key=lambda one: one.seq) == MADE[:99]
    assert own == [one for one in MADE if one.user_id == "u1" and one.time < DAY_S]
