"""What goes wrong is one sentence, leaves nothing half-written, and the same call works when the cause is gone."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from pathlib import Path

import pytest

from app.errors import SettingsError, StoreError, StoreUnreachable
from app.settings import Settings
from app.stores import open_store
from app.stores.sqlite.store import SqliteStore
from tests.stores import records
from tests.stores.records import delivery, hit, with_store


async def _nothing(store: SqliteStore) -> None:
    await store.ping()


def test_a_reader_of_a_store_that_is_not_there_says_so_and_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable, match=r"s\.db is not there; start the worker"):
        with_store(tmp_path / "s.db", _nothing, read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_tables_is_no_store_yet(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "s.db").close()
    (tmp_path / "s.db").touch()
    with pytest.raises(StoreUnreachable, match="no store yet"):
        with_store(tmp_path / "s.db", _nothing, read_only=True)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_of_garbage_is_named_and_left_as_it_is(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(b"no database, but long enough to look like one " * 400)
    before = path.read_bytes()
    with pytest.raises(StoreUnreachable, match=r"s\.db: the file is no SQLite database; move it away"):
        with_store(path, _nothing, read_only=read_only)
    assert path.read_bytes() == before


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.db").mkdir()
    with pytest.raises(StoreUnreachable, match="the file cannot be opened"):
        with_store(tmp_path / "s.db", _nothing)


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    with pytest.raises(StoreUnreachable, match="set WEBLOGS_DATA_DIR"):
        with_store(tmp_path / "data" / "s.db", _nothing)


def test_a_store_of_a_newer_program_is_not_touched(tmp_path: Path) -> None:
    with_store(tmp_path / "s.db", _nothing)
    connection = sqlite3.connect(tmp_path / "s.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for read_only in (True, False):
        with pytest.raises(StoreError, match="form 99"):
            with_store(tmp_path / "s.db", _nothing, read_only=read_only)


def test_a_store_opened_for_reading_writes_nothing(tmp_path: Path) -> None:
    with_store(tmp_path / "s.db", _nothing)
    with pytest.raises(StoreError, match="opened for reading only"):
        with_store(tmp_path / "s.db", lambda store: store.writes.write_hits([hit()]), read_only=True)


async def test_a_lock_held_too_long_is_named_and_the_same_write_works_afterwards(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db", busy_s=0.05)
    await store.open()
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"cannot write hits to the store .* another program holds its lock"):
        await store.writes.write_hits([hit(1)])
    other.execute("ROLLBACK")
    other.close()
    assert await store.writes.write_hits([hit(1)]) == []
    assert (await store.reads.counts()).hits == 1
    await store.close()


async def test_a_disk_that_takes_no_more_leaves_nothing_half_written_and_the_write_can_be_repeated(
    tmp_path: Path,
) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    first, second = [hit(n) for n in range(100)], [hit(n, request=f"GET /{n}") for n in range(100, 6000)]
    await store.writes.write_hits(first)
    deliveries = [delivery(request=f"GET /{n}") for n in range(6000)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(StoreError, match=r"cannot write hits to the store .* full"):
            await store.writes.write_hits(second)
        with pytest.raises(StoreError, match=r"cannot write deliveries to the store .* full"):
            await store.writes.write_deliveries(deliveries)
        assert [one async for one in store.reads.all_hits()] == first
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert await store.writes.write_hits(second) == []
    assert await store.writes.write_deliveries(deliveries) == []
    assert [one async for one in store.reads.all_hits()] == first + second
    assert await store.reads.counts() == await records.counted(store)
    await store.close()


async def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = SqliteStore(path)
    await store.open()
    await store.writes.write_hits([hit(n, request=f"GET /{n}") for n in range(3000)])
    await store.close()
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half:] = b"\xff" * (len(data) - half)
    path.write_bytes(data)
    await store.open()
    with pytest.raises(StoreError, match=r"s\.db: the file is damaged; move it away"):
        assert [one async for one in store.reads.all_hits()] == []
    await store.close()


async def test_the_event_loop_goes_on_while_a_write_waits(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    write = asyncio.create_task(store.writes.write_hits([hit(1)]))
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert not write.done()
    assert (await store.reads.counts()).hits == 0
    other.execute("COMMIT")
    other.close()
    assert await write == []
    await store.close()


async def test_a_store_that_was_closed_can_be_opened_again(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    await store.writes.write_hits([hit(1)])
    await store.close()
    await store.close()
    await store.open()
    await store.writes.write_hits([hit(2)])
    assert (await store.reads.counts()).hits == 2
    await store.close()


async def test_ping_notices_a_file_that_was_removed(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    await store.ping()
    store.path.unlink()
    with pytest.raises(StoreUnreachable):
        await store.ping()
    await store.close()


def test_the_store_of_a_setting_is_the_file_in_the_data_folder(tmp_path: Path) -> None:
    store = open_store("sqlite", Settings(data_dir=tmp_path))
    assert isinstance(store, SqliteStore)
    assert store.path == tmp_path / "weblogs.db"


def test_an_unknown_store_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(SettingsError, match=r"no store 'sqlit'; did you mean sqlite\?"):
        open_store("sqlit", Settings())
    with pytest.raises(SettingsError, match="no store 'x'; there are: sqlite"):
        open_store("x", Settings())
