"""Sizes that the raw hits of a store tell."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from app.domain.records import Hit, raw_ids
from app.domain.sizes import NO_LEARNED_SIZE, size_at
from app.errors import OutputError, StoreError
from app.reducing.learning import Learned, learn_stored
from app.settings import load
from app.sources.identity.sizes import read_sizes
from app.stores import open_store

DAY_S = 86400.0


def hit(number: int, client: int, path: str, sent: int, day: int = 0) -> Hit:
    key = f"192.0.2.{client}", "VLC", f"GET {path}"
    return Hit(day * DAY_S + number, *key, "GET", 200, None, None, sent, None, 0, {}, raw_ids("s")(number), "s", number)


def some_hits() -> Iterator[Hit]:
    """Thirty files, each sent whole to three clients and cut to a fourth; the odd ones are replaced on the second day."""
    number = 0
    for file in range(30):
        for day in range(1 + file % 2):
            for client in range(4):
                number += 1
                whole = 1000 + file + 5000 * day
                yield hit(number, client, f"/{file}", whole if client else 7, day)


def learned(folder: Path, hits: Iterable[Hit], **most: int) -> Learned:
    async def run() -> Learned:
        store = open_store("sqlite", load({"WEBLOGS_DATA_DIR": str(folder)}))
        await store.open()
        try:
            assert await store.writes.write_hits(list(hits)) == []
            return await learn_stored(store.reads, folder / "sizes", **most)
        finally:
            await store.close()

    return asyncio.run(run())


def test_a_store_tells_what_its_lines_told(tmp_path: Path) -> None:
    assert learned(tmp_path, some_hits()) == Learned(known=30, told=30, left_out=0, unreadable=0)
    sizes = read_sizes(tmp_path / "sizes")
    assert [one.size for one in sizes["GET /4"]] == [1004]
    assert [(one.since, one.size) for one in sizes["GET /5"]] == [(0.0, 1005), (DAY_S, 6005)]
    assert all(one.how.startswith("learned: 3 of 4 clients") for found in sizes.values() for one in found)


def test_a_size_that_later_lines_contradict_is_written_as_not_known(tmp_path: Path) -> None:
    two = [hit(1, 1, "/film", 1000), hit(2, 2, "/film", 1000), hit(3, 1, "/other", 7)]
    assert learned(tmp_path, two).known == 1
    assert size_at(read_sizes(tmp_path / "sizes")["GET /film"], 9.0) == 1000
    assert learned(tmp_path, [hit(4, 3, "/film", 5000)]) == Learned(known=0, told=2, left_out=0, unreadable=0)
    sizes = read_sizes(tmp_path / "sizes")
    assert size_at(sizes.pop("GET /film"), 9.0) == NO_LEARNED_SIZE
    assert sizes == {}
    assert learned(tmp_path, [hit(5, 4, "/film", 5000)]).known == 0
    assert learned(tmp_path, [hit(6, 1, "/film", 5000), hit(7, 2, "/film", 5000)]).known == 1


def test_a_store_that_is_read_in_parts_tells_the_same(tmp_path: Path) -> None:
    learned(tmp_path, some_hits())
    whole = read_sizes(tmp_path / "sizes")
    assert learned(tmp_path, (), most_kept=20) == Learned(known=30, told=30, left_out=0, unreadable=0)
    assert read_sizes(tmp_path / "sizes") == whole


def test_a_file_of_more_clients_than_are_kept_is_left_out_and_counted_the_others_are_learned(tmp_path: Path) -> None:
    crowd = (hit(1000 + client, client, "/crowded", 5) for client in range(60))
    assert learned(tmp_path, [*some_hits(), *crowd], most_kept=40) == Learned(30, 30, left_out=1, unreadable=0)
    assert "GET /crowded" not in read_sizes(tmp_path / "sizes")


def test_files_beyond_the_most_are_left_out_and_counted(tmp_path: Path) -> None:
    assert learned(tmp_path, some_hits(), most_files=12) == Learned(12, 30, left_out=18, unreadable=0)
    assert len(read_sizes(tmp_path / "sizes")) == 12


def test_a_fault_of_the_store_or_of_the_place_leaves_the_sizes_known_before(tmp_path: Path) -> None:
    learned(tmp_path, some_hits())
    before = (tmp_path / "sizes").read_bytes()
    (tmp_path / "folder").mkdir()

    async def run() -> None:
        store = open_store("sqlite", load({"WEBLOGS_DATA_DIR": str(tmp_path)}), read_only=True)
        with pytest.raises(OutputError):
            await learn_stored(store.reads, tmp_path / "folder")
        await store.close()
        (tmp_path / "weblogs.db").write_bytes(b"no database" * 1000)
        with pytest.raises(StoreError):
            await learn_stored(store.reads, tmp_path / "sizes")
        await store.close()

    asyncio.run(run())
    assert (tmp_path / "sizes").read_bytes() == before
    assert not list(tmp_path.glob(".*.part"))
