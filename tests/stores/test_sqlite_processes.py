"""Several processes on one file, and processes that are killed."""

from __future__ import annotations

import asyncio
import collections
import random
import subprocess
import sys
from pathlib import Path

import pytest

from app.stores.sqlite.store import SqliteStore
from tests import ROOT
from tests.stores import records
from tests.stores.records import hit
from tests.stores.writing import BATCH


def _writer(path: Path, first: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.stores.writing", str(path), str(first), str(count)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


async def _whole_batches(store: SqliteStore) -> int:
    """How many batches of hits there are; fails where a part of one is."""
    sizes = collections.Counter([one.source async for one in store.reads.all_hits()])
    assert set(sizes.values()) <= {BATCH}
    return len(sizes)


@pytest.mark.long
async def test_a_reader_sees_whole_batches_while_another_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    writer = _writer(path, 0, 8)
    _line(writer)
    store = SqliteStore(path, read_only=True)
    await store.open()
    seen = []
    while writer.poll() is None:
        counts = await store.reads.counts()
        assert counts.hits % BATCH == 0 and sum(counts.deliveries.values()) % BATCH == 0
        seen.append(counts.hits)
        await asyncio.sleep(0.01)
    writer.communicate()
    assert writer.returncode == 0
    assert seen == sorted(seen) and (await store.reads.counts()).hits == 8 * BATCH
    assert await _whole_batches(store) == 8
    await store.close()


@pytest.mark.long
async def test_two_processes_write_one_file_and_every_record_is_there_once(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    writers = [_writer(path, 0, 3), _writer(path, 2, 3)]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    store = SqliteStore(path)
    await store.open()
    assert await _whole_batches(store) == 5
    assert await store.reads.counts() == await records.counted(store)
    await store.close()


async def test_keys_that_another_process_removed_are_entered_again(tmp_path: Path) -> None:
    mine, other = SqliteStore(tmp_path / "s.db", clock=lambda: 0.0), SqliteStore(tmp_path / "s.db")
    await mine.open()
    await other.open()
    await mine.writes.write_hits([hit(1)])
    assert await other.retention.retain(1e6, raw_days=1, reduced_days=1) == (1, 0)
    await mine.writes.write_hits([hit(2)])
    assert [one.position async for one in other.reads.all_hits()] == [2]
    await mine.close()
    await other.close()


@pytest.mark.long
async def test_kill_in_the_middle_of_a_write_leaves_whole_batches_and_all_that_were_acknowledged(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.db"
    rnd = random.Random(3)
    for first in (0, 1000, 2000):
        writer = _writer(path, first, 900)
        said = _line(writer)
        await asyncio.sleep(rnd.uniform(0.0, 0.25))
        writer.kill()
        rest, _ = writer.communicate()
        acknowledged = [int(number) for number in (said + rest).split()]
        store = SqliteStore(path)
        await store.open()
        await _whole_batches(store)
        sources = {one.source async for one in store.reads.all_hits()}
        assert {f"{batch:032x}" for batch in acknowledged} <= sources
        assert await store.reads.counts() == await records.counted(store)
        await store.close()
