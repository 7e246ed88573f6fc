from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import pytest

from app.errors import LogError
from app.transports.embedded.log import EmbeddedLog
from app.transports.messages import Message, Pair


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    log = EmbeddedLog(tmp_path / "log.db")
    log.create_topic("changes", 2, compacted=True)
    yield log
    log.close()


def fold(pages: Iterable[list[Pair]]) -> dict[bytes, bytes]:
    state: dict[bytes, bytes] = {}
    for page in pages:
        for key, value in page:
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
    return state


def test_compaction_keeps_the_last_value_of_each_key_in_order_and_the_end(log: EmbeddedLog) -> None:
    epoch = log.take_ownership("changes", 0)
    log.append_batch("changes", 0, [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")], epoch)
    log.append_batch("changes", 0, [(b"d", b"4"), (b"a", b"5"), (b"b", None)], epoch)
    assert log.compact("changes", 0, at_least_bytes=1)
    assert list(chain.from_iterable(log.read_changelog("changes", 0))) == [(b"c", b"3"), (b"d", b"4"), (b"a", b"5")]
    assert [(row.offset, row.packed) for row in log.read("changes", 0, 0)] == [(3, 3)]
    assert log.end_offset("changes", 0) == 6
    assert log.append_batch("changes", 0, [(b"e", b"6")], epoch) == 7
    assert log.append_batch("changes", 1, [(b"x", b"untouched")], log.take_ownership("changes", 1)) == 1


def test_a_changelog_whose_keys_are_all_deleted_becomes_empty_and_keeps_its_end(log: EmbeddedLog) -> None:
    epoch = log.take_ownership("changes", 0)
    log.append_batch("changes", 0, [(b"a", b"1"), (b"a", None)], epoch)
    assert log.compact("changes", 0, at_least_bytes=1)
    assert list(log.read_changelog("changes", 0)) == []
    assert log.append_batch("changes", 0, [(b"b", b"2")], epoch) == 3
    assert fold(log.read_changelog("changes", 0)) == {b"b": b"2"}


def test_compaction_waits_until_most_is_dead_since_the_last_one(log: EmbeddedLog) -> None:
    epoch = log.take_ownership("changes", 0)

    def grow(times: int) -> None:
        for _ in range(times):
            log.append_batch("changes", 0, [(b"k%d" % i, b"x" * 100) for i in range(100)], epoch)

    grow(1)
    assert not log.compact("changes", 0, at_least_bytes=50_000)
    grow(9)
    assert log.compactable(50_000) == [("changes", 0)]
    assert log.compact("changes", 0, at_least_bytes=50_000)
    assert not log.compact("changes", 0, at_least_bytes=1)
    grow(2)
    assert log.compact("changes", 0, at_least_bytes=1)
    assert len(fold(log.read_changelog("changes", 0))) == 100


def test_topics_that_are_queues_are_never_compacted(log: EmbeddedLog) -> None:
    log.create_topic("lines", 1)
    log.append([Message("lines", 0, b"k", b"x" * 1000, {}, 0.0) for _ in range(50)])
    assert not log.compact("lines", 0, at_least_bytes=1)
    assert len(log.read("lines", 0, 0)) == 50


def test_who_has_read_up_to_a_place_before_the_compaction_must_start_over(log: EmbeddedLog) -> None:
    epoch = log.take_ownership("changes", 0)
    log.append_batch("changes", 0, [(b"a", b"1"), (b"b", b"1")], epoch)
    log.append_batch("changes", 0, [(b"a", None), (b"b", b"2")], epoch)
    log.compact("changes", 0, at_least_bytes=1)
    with pytest.raises(LogError, match="was compacted up to offset 4: read it from 0, not 2"):
        next(log.read_changelog("changes", 0, 2))
    assert list(log.read_changelog("changes", 0, 4)) == []
    assert fold(log.read_changelog("changes", 0, 0)) == {b"b": b"2"}


def test_who_is_reading_while_it_is_compacted_reads_the_old_rows_to_their_end(log: EmbeddedLog) -> None:
    epoch = log.take_ownership("changes", 0)
    for i in range(10):
        log.append_batch("changes", 0, [(b"k", b"%d" % i), (b"gone", b"x"), (b"gone", None)], epoch)
    pages = log.read_changelog("changes", 0, page_bytes=1)
    first = next(pages)
    assert log.compact("changes", 0, at_least_bytes=1)
    assert len([first, *pages]) == 10
    assert list(log.read_changelog("changes", 0)) == [[(b"k", b"9")]]


def test_the_changelog_of_fausts_own_tables_keeps_its_offsets_and_its_last_message(log: EmbeddedLog) -> None:
    values = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"b", None), (b"c", b"4"), (b"c", None)]
    log.append([Message("changes", 0, key, value, {}, 0.0) for key, value in values])
    assert log.compact("changes", 0, at_least_bytes=1)
    assert [(row.offset, row.key, row.value) for row in log.read("changes", 0, 0)] == [(2, b"a", b"3"), (5, b"c", None)]
    assert log.end_offset("changes", 0) == 6


def test_the_file_stays_bounded_while_a_changelog_is_rewritten_for_ever(log: EmbeddedLog) -> None:
    epoch = log.take_ownership("changes", 0)
    pages = []
    for number in range(60):
        log.append_batch("changes", 0, [(b"key-%d" % i, b"%d" % number * 50) for i in range(500)], epoch)
        log.compact("changes", 0, at_least_bytes=100_000)
        pages.append(log._writer.db.execute("PRAGMA page_count").fetchone()[0])
    assert pages[-1] <= max(pages[:20])
    assert len(fold(log.read_changelog("changes", 0))) == 500


def test_the_journal_that_a_long_read_has_let_grow_is_cut_afterwards(log: EmbeddedLog) -> None:
    journal = Path(f"{log.path}-wal")
    epoch = log.take_ownership("changes", 0)
    log.append_batch("changes", 0, [(b"first", b"1")], epoch)
    pages = log.read_changelog("changes", 0, page_bytes=1)
    next(pages)
    for _ in range(30):
        log.append_batch("changes", 0, [(b"k", b"x" * 1_000_000)], epoch)
    log.bound_journal(max_bytes=1 << 20)
    assert journal.stat().st_size > 16 << 20  # the reader still needs it
    assert list(pages) == []
    log.bound_journal(max_bytes=1 << 20)
    assert journal.stat().st_size == 0
    assert len(fold(log.read_changelog("changes", 0))) == 2
