from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from app.errors import Fenced, LogError, LogFull, LogLocked, UnknownForm
from app.transports.embedded.log import EmbeddedLog
from app.transports.messages import Message, unpack_headers


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    log = EmbeddedLog(tmp_path / "log.db", max_bytes=1 << 20, keep_s=0.0)
    log.create_topic("lines", 2)
    log.create_topic("changes", 2, compacted=True)
    yield log
    log.close()


def message(value: bytes, partition: int = 0, topic: str = "lines") -> Message:
    return Message(topic, partition, None, value, {"source": b"s"}, 12.5)


def test_offsets_of_a_partition_are_contiguous_from_zero_and_survive_reopening(log: EmbeddedLog) -> None:
    assert log.append([message(b"a"), message(b"b", 1), message(b"c")]) == [0, 0, 1]
    log.close()
    again = EmbeddedLog(log.path)
    assert again.append([message(b"d")]) == [2]
    assert [row.value for row in again.read("lines", 0, 0)] == [b"a", b"c", b"d"]
    again.close()


def test_a_message_comes_back_as_it_was_sent(log: EmbeddedLog) -> None:
    log.append([Message("lines", 1, b"key", None, {"a": b"1", "b": b""}, 99.25)])
    (row,) = log.read("lines", 1, 0)
    assert (row.offset, row.packed, row.timestamp, row.key, row.value) == (0, None, 99.25, b"key", None)
    assert unpack_headers(row.headers) == [("a", b"1"), ("b", b"")]


def test_what_append_has_returned_for_is_synced_to_disk(log: EmbeddedLog) -> None:
    assert log._writer.db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert log._writer.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_another_number_of_partitions_for_a_topic_is_an_error_that_names_both(log: EmbeddedLog) -> None:
    log.create_topic("lines", 2)
    with pytest.raises(LogError, match=r"topic lines has 2 partitions, 8 were asked for.*WEBLOGS_PARTITIONS=2"):
        log.create_topic("lines", 8)
    assert log.topics == {"lines": 2, "changes": 2}


def test_a_topic_keeps_its_incarnation_and_a_new_log_gives_it_another(log: EmbeddedLog, tmp_path: Path) -> None:
    other = EmbeddedLog(tmp_path / "other.db")
    other.create_topic("lines", 2)
    first = log.incarnation("lines")
    again = EmbeddedLog(log.path)
    assert again.incarnation("lines") == first
    assert len({first, other.incarnation("lines"), log.incarnation("changes")}) == 3
    again.close()
    other.close()


def test_topics_that_another_process_made_are_found(log: EmbeddedLog) -> None:
    other = EmbeddedLog(log.path)
    other.create_topic("late", 3)
    assert log.partitions("late") == 3
    assert log.append([message(b"x", 2, "late")]) == [0]
    other.close()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (message(b"x", topic="nowhere"), "no topic nowhere"),
        (message(b"x", partition=2), "topic lines has partitions 0 to 1, no 2"),
        (message(b"x", topic="changes"), "topic changes is compacted: a message without key"),
        (message("text"), "must be bytes"),  # type: ignore[arg-type]  # the case
        (message(b"x")._replace(headers={"a": "text"}), "a header is a text and bytes"),  # type: ignore[dict-item]  # the case
    ],
)
def test_one_bad_message_keeps_all_of_its_call_out(log: EmbeddedLog, wrong: Message, says: str) -> None:
    with pytest.raises(LogError, match=says):
        log.append([message(b"good"), wrong])
    assert log.end_offset("lines", 0) == 0
    assert log.append([message(b"next")]) == [0]


def test_a_record_larger_than_a_row_can_be_is_refused(log: EmbeddedLog) -> None:
    huge = bytes(1_000_000_001)
    with pytest.raises(
        LogError, match="a record of 1000000013 bytes for lines partition 0 is larger than the log can hold"
    ):
        log.append([message(huge)])
    assert log.append([message(b"next")]) == [0]


def test_reading_stops_at_either_bound_but_always_brings_one_message(log: EmbeddedLog) -> None:
    log.append([message(b"x" * 1000) for _ in range(10)])
    assert len(log.read("lines", 0, 0, max_records=3)) == 3
    assert len(log.read("lines", 0, 0, max_bytes=2500)) == 3
    assert len(log.read("lines", 0, 4, max_bytes=1)) == 1
    assert log.read("lines", 0, 10) == []


def test_a_full_log_refuses_external_producers_alone_and_goes_on_when_it_was_consumed(log: EmbeddedLog) -> None:
    log.register_group("g", ["lines"])
    with pytest.raises(LogFull, match="WEBLOGS_LOG_MAX_BYTES=1048576"):
        for _ in range(100):
            log.append([message(b"x" * 50_000)], external=True)
    end = log.end_offset("lines", 0)
    assert 15 <= end <= 25
    assert log.append([message(b"internal")]) == [end]
    log.commit("g", {("lines", 0): end + 1})
    assert log.trim(time.time() + 1) == end + 1
    assert log.append([message(b"goes on")], external=True) == [end + 1]
    assert [row.value for row in log.read("lines", 0, 0)] == [b"goes on"]


def test_a_changelog_larger_than_the_limit_does_not_make_the_log_full(log: EmbeddedLog) -> None:
    log.create_topic("state", 1, compacted=True)
    epoch = log.take_ownership("state", 0)
    for number in range(20):
        log.append_batch("state", 0, [(b"%d" % number, bytes(200_000))], epoch)
    assert log.size_bytes() > 2 * log.max_bytes
    log.append([message(b"still taken")], external=True)


def test_trimming_waits_for_the_slowest_group(log: EmbeddedLog) -> None:
    log.append([message(b"%d" % i) for i in range(10)])
    log.register_group("fast", ["lines"])
    log.register_group("slow", ["lines"])
    log.commit("fast", {("lines", 0): 10})
    assert log.trim(time.time() + 1) == 0
    log.commit("slow", {("lines", 0): 4})
    assert log.trim(time.time() + 1) == 4
    assert (log.earliest_offset("lines", 0), log.end_offset("lines", 0)) == (4, 10)
    assert log.lag() == {
        ("fast", "lines", 0): 0,
        ("fast", "lines", 1): 0,
        ("slow", "lines", 0): 6,
        ("slow", "lines", 1): 0,
    }
    log.forget_group("slow")
    assert log.trim(time.time() + 1) == 6
    assert log.groups() == {"fast": ["lines"]}


def test_a_topic_that_no_group_reads_keeps_everything(log: EmbeddedLog) -> None:
    log.append([message(b"kept")])
    log.commit("passer-by", {("lines", 0): 1})
    assert log.trim(time.time() + 1000) == 0


def test_a_group_that_subscribes_anew_gives_up_the_topics_it_no_longer_reads(log: EmbeddedLog) -> None:
    log.create_topic("other", 1)
    log.register_group("g", ["lines", "other"])
    log.register_group("g", ["other"])
    assert log.groups() == {"g": ["other"]}


def test_consumed_messages_stay_for_the_time_to_keep(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.db", keep_s=60.0)
    log.create_topic("lines", 1)
    log.register_group("g", ["lines"])
    log.append([message(b"x")])
    log.commit("g", {("lines", 0): 1})
    assert log.trim(time.time()) == 0
    assert log.trim(time.time() + 61) == 1
    log.close()


def test_a_full_log_drops_consumed_messages_before_their_time(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.db", max_bytes=1 << 20, keep_s=3600.0)
    log.create_topic("lines", 1)
    log.register_group("g", ["lines"])
    log.append([message(b"x" * 50_000) for _ in range(30)])
    log.commit("g", {("lines", 0): 30})
    assert log.trim(time.time() + 1) == 30
    log.close()


def test_the_file_does_not_grow_when_as_much_is_trimmed_as_appended(log: EmbeddedLog) -> None:
    log.register_group("g", ["lines"])
    sizes = []
    for _ in range(12):
        log.append([message(b"x" * 100_000) for _ in range(10)])
        log.commit("g", {("lines", 0): log.end_offset("lines", 0)})
        log.trim(time.time() + 1)
        sizes.append(log._writer.db.execute("PRAGMA page_count").fetchone()[0])
    assert sizes[-1] <= sizes[2]


def test_a_batch_takes_one_row_and_as_many_offsets_as_it_has_pairs(log: EmbeddedLog) -> None:
    epoch = log.take_ownership("changes", 0)
    assert log.append_batch("changes", 0, [(b"a", b"1"), (b"b", b"2"), (b"a", None)], epoch) == 3
    assert log.append_batch("changes", 0, [], epoch) == 3
    assert log.append_batch("changes", 0, [(b"c", b"3")], epoch) == 4
    assert [(row.offset, row.packed) for row in log.read("changes", 0, 0)] == [(0, 3), (3, 1)]
    assert list(chain.from_iterable(log.read_changelog("changes", 0))) == [
        (b"a", b"1"),
        (b"b", b"2"),
        (b"a", None),
        (b"c", b"3"),
    ]
    assert list(chain.from_iterable(log.read_changelog("changes", 0, 1))) == [(b"b", b"2"), (b"a", None), (b"c", b"3")]
    assert list(chain.from_iterable(log.read_changelog("changes", 0, 4))) == []


def test_a_changelog_is_read_in_pages_as_it_stood_at_the_first(log: EmbeddedLog) -> None:
    epoch = log.take_ownership("changes", 0)
    for i in range(10):
        log.append_batch("changes", 0, [(b"k%d" % i, b"x" * 1000)], epoch)
    pages = log.read_changelog("changes", 0, page_bytes=2000)
    first = next(pages)
    log.append_batch("changes", 0, [(b"later", b"x")], epoch)
    rest = [key for page in pages for key, _ in page]
    assert [key for key, _ in first] + rest == [b"k%d" % i for i in range(10)]


def test_who_takes_a_partition_fences_its_older_owner_there_and_nowhere_else(log: EmbeddedLog) -> None:
    old = log.take_ownership("changes", 0)
    elsewhere = log.take_ownership("changes", 1)
    new = log.take_ownership("changes", 0)
    with pytest.raises(Fenced, match=r"changes partition 0 has a newer owner \(epoch 2, this one 1\)"):
        log.append_batch("changes", 0, [(b"stale", b"state")], old)
    with pytest.raises(Fenced):
        log.append_batch("changes", 0, [], old)
    assert log.end_offset("changes", 0) == 0
    assert log.append_batch("changes", 0, [(b"k", b"v")], new) == 1
    assert log.append_batch("changes", 1, [(b"k", b"v")], elsewhere) == 1


def test_a_refused_operation_leaves_the_others_of_its_transaction_standing(log: EmbeddedLog) -> None:
    epoch = log.take_ownership("changes", 0)
    results, ends = log.transact(
        [
            lambda tx: tx.append([message(b"a")]),
            lambda tx: tx.append_batch("changes", 0, [(b"k", b"stale")], epoch - 1),
            lambda tx: tx.append_batch("changes", 0, [(b"k", b"v")], epoch),
        ]
    )
    assert results[0] == [0]
    assert isinstance(results[1], Fenced)
    assert results[2] == 1
    assert ends == {("lines", 0): 1, ("changes", 0): 1}
    assert log.ends() == {("lines", 0): 1, ("lines", 1): 0, ("changes", 0): 1, ("changes", 1): 0}


def test_any_other_failure_rolls_the_whole_transaction_back(log: EmbeddedLog) -> None:
    with pytest.raises(ZeroDivisionError):
        log.transact([lambda tx: tx.append([message(b"a")]), lambda tx: 1 / 0])
    assert log.ends() == {("lines", 0): 0, ("lines", 1): 0, ("changes", 0): 0, ("changes", 1): 0}
    assert log.append([message(b"b")]) == [0]


def test_offsets_are_kept_per_group(log: EmbeddedLog) -> None:
    log.commit("a", {("lines", 0): 3, ("lines", 1): 1})
    log.commit("b", {("lines", 0): 5})
    log.commit("a", {("lines", 0): 4})
    assert log.committed("a") == {("lines", 0): 4, ("lines", 1): 1}
    assert log.committed("b") == {("lines", 0): 5}
    assert log.committed("c") == {}


def test_a_second_worker_is_told_who_has_the_log(log: EmbeddedLog) -> None:
    import os

    log.lock_worker()
    log.lock_worker()
    other = EmbeddedLog(log.path)
    with pytest.raises(LogLocked, match=rf"another worker \(process {os.getpid()}\) uses the log"):
        other.lock_worker()
    log.close()
    other.lock_worker()
    other.close()


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE theirs (x)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(LogError, match="another program's SQLite file"):
        EmbeddedLog(path)
    db = sqlite3.connect(path)
    assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]
    db.close()
    assert before[:16] == b"SQLite format 3\0"


@pytest.mark.parametrize("form", [0, 2, 99])
def test_a_log_of_an_older_or_newer_form_is_refused(log: EmbeddedLog, form: int) -> None:
    log._writer.db.execute(f"PRAGMA user_version={form}")
    with pytest.raises(UnknownForm, match=rf"the log .* has form {form}; this program knows form 1"):
        EmbeddedLog(log.path)
