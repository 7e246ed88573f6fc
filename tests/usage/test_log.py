"""The log of a process: numbers without holes, and each lost record named."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from app.domain.byteranges import covered
from app.domain.usage.records import UsageRecord
from app.errors import LogError, SettingsError
from app.messages.usage import decode_usage
from app.settings import Settings
from app.transports.broker_view import open_view
from app.usage import sending
from app.usage.log import UsageLog
from app.usage.options import UsageOptions
from app.usage.sending import Keeper
from app.usage.spool import Spool, is_alive, mark_of, spools_of
from app.usage.start import Start
from tests import ROOT
from tests.usage.reading import opened, records, states


def in_topic(address: str) -> list[UsageRecord]:
    """Every record in the topic of the embedded log, by partition and offset."""
    view = open_view(Settings(broker=address))
    if view is None:
        return []
    try:
        return [record for _, _, value in view.read("usage") for record in decode_usage(value)]
    finally:
        view.close()


def wait_until(holds: Callable[[], bool]) -> None:
    """Fails after 30 s."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(LogError):  # the log is being made just now
            if holds():
                return
        time.sleep(0.05)
    raise AssertionError("it does not hold after 30 s")


def run(program: str, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def test_the_records_of_all_threads_have_numbers_from_1_without_holes_between_start_and_stop(tmp_path: Path) -> None:
    log = opened(tmp_path, queue_records=100_000)
    threads = [
        threading.Thread(target=lambda: [log.record("request", user_id="u") for _ in range(500)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.stop()
    made = records(tmp_path)
    assert [record.seq for record in made] == list(range(1, 2003))
    assert [made[0].kind, made[-1].kind] == ["start", "stop"]
    assert {record.kind for record in made[1:-1]} == {"request"}


def test_nothing_is_touched_before_the_first_record(tmp_path: Path) -> None:
    log = opened(tmp_path / "spool")
    assert log.stop() and list(tmp_path.iterdir()) == []


def test_a_record_after_the_stop_begins_a_new_sequence(tmp_path: Path) -> None:
    log = opened(tmp_path)
    assert log.record("request", user_id="u") == 2 and log.stop()
    assert log.record("request", user_id="u") == 2 and log.stop()
    assert [(state.made, state.differs, state.is_unknown) for state in states(tmp_path, with_marks=False)] == [
        (3, False, False)
    ] * 2


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("service", "a b", "service='a b': write 1 to 100 letters"),
        ("service", None, "service=None: write a text"),
        ("queue_records", 0, "queue_records=0: write a whole number, 1 or more"),
        ("batch_records", 2.5, "batch_records=2.5: write a whole number, 1 or more"),
        ("keep_s", float("nan"), "keep_s=nan: write a number, 0 or more"),
        ("block_ms", float("inf"), "block_ms=inf: write a number, 0 or more, 60000 at most"),
        ("spool_port", 70_000, "spool_port=70000: write a whole number, 0 or more, 65535 at most"),
        ("spool", None, "spool=None: write the path of a folder"),
        ("cluster", 5, "cluster=5: write a text, or None"),
        ("secrets", "customer", "secrets: write a tuple of names"),
        ("monitored", True, "monitored=True: write a function"),
        ("topic", "", "topic: write the name of a topic"),
        ("broker", "kafka", "broker='kafka': write kafka://HOST:PORT or sqlite:///FILE"),
        ("broker", "kafka://", "broker='kafka://': write kafka://HOST:PORT"),
        ("overflow", "wait", "overflow='wait': write drop_newest, drop_oldest or block"),
        ("broker", "redis://x", "broker='redis://x': write kafka://HOST:PORT or sqlite:///FILE"),
    ],
)
def test_a_wrong_option_is_refused_by_name_and_touches_nothing(
    tmp_path: Path, option: str, value: object, message: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{message}"):
        UsageOptions(**{"service": "shop", "spool": tmp_path / "spool", option: value})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("overflow", ["drop_newest", "drop_oldest", "block"])
def test_while_the_disk_refuses_the_queue_is_bounded_and_each_dropped_number_is_told_with_its_reason(
    tmp_path: Path, overflow: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    root = tmp_path / "spool"
    root.write_text("a file where the folder should be")
    log = opened(root, queue_records=10, batch_records=5, overflow=overflow, block_ms=1)
    last = max(log.record("request", user_id="u") for _ in range(100))
    root.unlink()
    wait_until(root.exists)
    assert log.stop()
    (state,) = states(root, with_marks=False)
    (held,) = state.held
    assert last == 101 and held.missing == () and held.doubled == () and state.tail is None
    (reason,) = state.dropped
    assert reason == f"queue full, {overflow}"
    dropped = covered(state.dropped[reason])
    assert 80 <= dropped <= 91 and held.records + dropped == state.made
    oldest_are_kept = state.dropped[reason][-1][1] == 101
    assert oldest_are_kept == (overflow != "drop_oldest")


def test_many_threads_wait_for_room_side_by_side_and_each_no_longer_than_block_ms(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In a row 40 of them would wait for 40 s."""
    caplog.set_level(logging.CRITICAL)
    root = tmp_path / "spool"
    root.write_text("a file where the folder should be")
    log = opened(root, queue_records=10, batch_records=5, overflow="block", block_ms=1000)
    for _ in range(15):
        log.record("request", user_id="u")
    threads = [threading.Thread(target=log.record, args=("request",), daemon=True) for _ in range(40)]
    end = time.monotonic() + 20
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads)
    root.unlink()
    assert log.stop()


def test_a_child_after_a_fork_has_a_sequence_of_its_own_and_both_are_whole(tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from app.usage.log import UsageLog
from app.usage.options import UsageOptions
log = UsageLog(UsageOptions(service="shop", spool=Path(sys.argv[1]), machine="m1"))
for _ in range(100):
    log.record("request", user_id="parent")
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        for _ in range(50):
            log.record("request", user_id="child")
        sys.exit(0)
    children.append(child)
for _ in range(100):
    log.record("request", user_id="parent")
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
"""
    run(program, tmp_path)
    found = states(tmp_path, with_marks=False)
    assert sorted(state.made for state in found) == [52, 52, 52, 202]
    assert not any(state.differs or state.is_unknown for state in found)
    by_user = {record.start_id: record.user_id for record in records(tmp_path) if record.kind == "request"}
    assert sorted(by_user.values(), key=str) == ["child", "child", "child", "parent"]


KILLED = """
import os, signal, sys, time
from pathlib import Path
from app.usage.log import UsageLog
from app.usage.options import UsageOptions
log = UsageLog(UsageOptions(service="shop", spool=Path(sys.argv[1]), machine="m1", queue_records=int(sys.argv[3]), batch_records=50))
with open(sys.argv[2], "w") as journal:
    for number in range(1000):
        print(log.record("request", user_id="u"), file=journal)
        if number == 300:
            time.sleep(0.5)  # so that something is in the spool
    journal.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_a_kill_the_tail_is_said_and_its_bound_holds(tmp_path: Path) -> None:
    root, journal = tmp_path / "spool", tmp_path / "journal"
    run(KILLED, root, journal, 2000, code=-signal.SIGKILL)
    last = max(map(int, journal.read_text().split()))
    (state,) = states(root, with_marks=False)
    assert state.tail is not None and state.tail.at_most == 2000 + 2 * 50 + 2
    assert 0 < last - state.tail.after <= state.tail.at_most
    assert state.is_unknown and not state.differs


@pytest.mark.parametrize("queue_records", [100, 2000], ids=["records dropped", "none dropped"])
def test_after_a_kill_the_spool_names_every_record_that_was_in_memory(tmp_path: Path, queue_records: int) -> None:
    root, journal = tmp_path / "spool", tmp_path / "journal"
    run(KILLED, root, journal, queue_records, code=-signal.SIGKILL)
    made = {1, *map(int, journal.read_text().split())}
    held = {record.seq for record in records(root)}
    (state,) = states(root)
    (side,) = state.held
    lost = {number for lo, hi in side.missing for number in range(lo, hi + 1)}
    dropped = {number for ranges in state.dropped.values() for lo, hi in ranges for number in range(lo, hi + 1)}
    assert state.tail is None and state.made >= max(made)
    assert lost | held | dropped == set(range(1, state.made + 1)) and not (lost | dropped) & held
    assert lost >= made - held - dropped and made - held


def test_what_a_killed_process_left_in_the_spool_is_sent_by_the_next_one(tmp_path: Path) -> None:
    root, journal, address = tmp_path / "spool", tmp_path / "journal", f"sqlite:///{tmp_path}/log.db"
    run(KILLED, root, journal, 2000, code=-signal.SIGKILL)
    spooled = records(root)
    assert spooled
    log = opened(root, broker=address)
    log.record("request", user_id="other")
    wait_until(lambda: len(in_topic(address)) >= len(spooled))
    assert log.stop()
    arrived = in_topic(address)
    assert sorted(set(arrived)) == sorted(records(root), key=lambda record: record) and len(set(arrived)) == len(
        arrived
    )


def test_records_of_a_user_are_in_one_partition_in_order_and_all_are_sent(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/log.db"
    log = opened(tmp_path / "spool", broker=address, batch_records=50)
    for number in range(600):
        log.record("request", user_id=f"u{number % 7}")
    assert log.stop()
    arrived = in_topic(address)
    assert sorted(record.seq for record in arrived) == list(range(1, 603))
    for user in range(7):
        numbers = [record.seq for record in arrived if record.user_id == f"u{user}"]
        assert numbers == sorted(numbers) and len(numbers) in (85, 86)


def test_while_the_broker_is_away_records_are_spooled_and_later_all_are_sent_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    place = tmp_path / "broker"
    place.write_text("a file where the folder should be")
    address = f"sqlite:///{place}/log.db"
    log = opened(tmp_path / "spool", broker=address)
    for _ in range(300):
        log.record("request", user_id="u")
    wait_until(lambda: any(path.stat().st_size > 1000 for path in tmp_path.rglob("*.seg")))
    place.unlink()
    place.mkdir()
    for _ in range(300):
        log.record("request", user_id="u")
    assert log.stop()
    assert [record.seq for record in in_topic(address) if record.user_id] == list(range(2, 602))


@pytest.mark.parametrize("segment_bytes", [8192, 16 << 20], ids=["short segments", "segments above the limit"])
def test_a_spool_at_its_limit_takes_records_again_once_the_broker_has_what_it_holds(
    tmp_path: Path, segment_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Also if a batch, or a segment, may be larger than the limit."""
    caplog.set_level(logging.CRITICAL)
    root, address = tmp_path / "spool", f"sqlite:///{tmp_path}/log.db"
    log = opened(root, broker=address, spool_bytes=40_000, segment_bytes=segment_bytes)
    largest = 0
    for number in range(1, 1501):
        log.record("request", user_id="u", uri="x" * 100)
        if number % 300 == 0:
            wait_until(lambda: len(in_topic(address)) >= number)  # noqa: B023  # asked at once
            largest = max(largest, sum(path.stat().st_size for path in root.rglob("*.seg")))
    log.record("request", user_id="u", uri="x" * 20_000)
    assert log.stop() and largest <= 40_000
    arrived = in_topic(address)
    assert [record.seq for record in arrived if record.user_id] == list(range(2, 1502))
    (told,) = (record for record in arrived if record.kind == "dropped")
    assert told.seq == 1502 and "10,000 is the most" in str(told.detail)


def test_a_heartbeat_tells_the_last_number_and_what_waits(tmp_path: Path) -> None:
    log = opened(tmp_path, heartbeat_s=0.05)
    log.record("request", user_id="u")
    wait_until(lambda: any((mark_of(folder) or 0) >= 5 for folder in spools_of(tmp_path)))
    assert log.stop()
    beat = [record for record in records(tmp_path) if record.kind == "heartbeat"][-1]
    before = beat.seq - 1
    assert (beat.last_seq, beat.dropped, beat.spooled, beat.memory_records) == (before, 0, before, 12_002)


def test_a_disk_that_is_slower_than_the_heartbeats_does_not_hold_up_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Spool.append

    def slow(self: Spool, batch: Sequence[tuple[bytes, bytes]]) -> None:
        time.sleep(0.05)
        append(self, batch)

    monkeypatch.setattr(Spool, "append", slow)
    log = opened(tmp_path, heartbeat_s=0.01)
    log.record("request", user_id="u")
    assert log.stop()
    assert records(tmp_path)[-1].kind == "stop"


def test_a_segment_that_was_altered_is_told_once_and_the_rest_of_it_is_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root, address = tmp_path / "spool", f"sqlite:///{tmp_path}/log.db"
    log = opened(root)
    for _ in range(20):
        log.record("request", user_id="u")
    assert log.stop()
    (folder,) = spools_of(root)
    (segment,) = folder.glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[data.index(b'"seq"') if b'"seq"' in data else len(data) // 2] ^= 1
    segment.write_bytes(data)
    with caplog.at_level(logging.ERROR):
        other = opened(root, broker=address)
        other.record("request", user_id="other")
        wait_until(lambda: sum(record.start_id == folder.name for record in in_topic(address)) == 21)
        assert other.stop()
    assert sum(record.start_id == folder.name for record in in_topic(address)) == 21
    (told,) = [record.getMessage() for record in caplog.records if "is damaged from byte" in record.getMessage()]
    assert str(segment) in told


def test_importing_the_library_imports_neither_faust_nor_any_other_part_but_the_domain_and_the_errors() -> None:
    modules = " ".join(
        f"app.usage.{path.stem}," for path in sorted((ROOT / "app/usage").glob("*.py")) if path.stem != "__init__"
    )
    program = (
        f"import sys; before = set(sys.modules); import {modules.rstrip(',')}; print(*(set(sys.modules) - before))"
    )
    names = run(program).stdout.split()
    parts = {".".join(name.split(".")[:2]) for name in names if name.split(".")[0] == "app"}
    assert parts == {"app", "app.domain", "app.errors", "app.usage"}
    assert {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) == {"app"}


def test_a_spool_may_be_named_by_a_text(tmp_path: Path) -> None:
    log = UsageLog(UsageOptions(service="shop", spool=str(tmp_path)))  # type: ignore[arg-type]  # as services write it
    assert log.record("request", user_id="u") == 2 and log.stop() and len(records(tmp_path)) == 3


class _Strange:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


def test_a_record_that_no_message_takes_is_told_and_holds_up_no_other(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.record("request", user_id="u", uri="x" * 1_000_000)
    log.record("request", user_id="u", uri=_Strange())
    log.record("request", user_id="u", response_bytes=10**5000)
    log.record("request", user_id="u")
    assert log.stop()
    told = [(record.kind, record.detail) for record in records(tmp_path)]
    assert told[1][0] == "dropped" and "bytes, 900,000 is the most" in str(told[1][1])
    assert told[2:4] == [("dropped", "no record: RuntimeError"), ("dropped", "no record: ValueError")]
    assert [kind for kind, _ in told[4:]] == ["request", "stop"]


@pytest.mark.parametrize("how", ["deleted", "moved", "segment"])
def test_a_spool_that_is_deleted_under_its_process_is_told_and_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    log = opened(tmp_path / "spool")
    log.record("request", user_id="u")
    wait_until(lambda: len(records(tmp_path / "spool")) == 2)
    if how == "deleted":
        shutil.rmtree(tmp_path / "spool")
    elif how == "moved":
        (tmp_path / "spool").rename(tmp_path / "elsewhere")
    else:
        next((tmp_path / "spool").glob("*/*.seg")).unlink()
    for _ in range(3):
        log.record("request", user_id="u")
    assert log.stop()
    assert [record.seq for record in records(tmp_path / "spool")] == [3, 4, 5, 6]
    assert [
        record.getMessage()
        for record in caplog.records
        if "was deleted or moved; what was not sent of it is lost" in record.getMessage()
    ]
    (state,) = states(tmp_path / "spool")
    assert state.made == 6 and state.differs


@pytest.mark.parametrize("fault", ["owner", "no owner", "mark", "segment", "loop", "form", "foreign"])
def test_a_spool_that_cannot_be_read_holds_up_no_other(
    tmp_path: Path, fault: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_LOOK_FOR_OTHERS_S", 0.0)
    for _ in range(3):
        before = opened(tmp_path)
        before.record("request", user_id="u")
        assert before.stop()
    bad, *others = spools_of(tmp_path)
    segment = bad / "00000001.seg"
    match fault:
        case "no owner":
            (bad / "owner").unlink()
        case "owner" | "mark":
            (bad / fault).unlink()
            (bad / fault).mkdir()
        case "segment":
            segment.unlink()
            segment.mkdir()
        case "loop":
            segment.unlink()
            segment.symlink_to(segment.name)
        case "form":
            segment.write_bytes(segment.read_bytes().replace(b"spool 1", b"spool 2"))
        case "foreign":
            (bad / "\u00b2.seg").write_bytes(b"x")
            (bad / "1.seg").write_bytes(b"x")
    broker = _Kept()
    log = UsageLog(UsageOptions(service="shop", spool=tmp_path, machine="m1"), broker)
    log.record("request", user_id="u")
    wait_until(lambda: {folder.name for folder in others} < broker.starts)
    assert log.stop()
    is_read = fault == "foreign"
    assert (bad.name in broker.starts) == is_read
    assert any("is passed over until it can be read" in record.getMessage() for record in caplog.records) != is_read


def test_what_was_sent_of_a_spool_that_is_gone_is_not_taken_for_what_is_in_the_new_one(tmp_path: Path) -> None:
    broker = _Slow()
    log = UsageLog(UsageOptions(service="shop", spool=tmp_path, machine="m1"), broker)
    for _ in range(200):
        log.record("request", user_id="u")
    assert broker.begun.wait(30)
    shutil.rmtree(next(iter(spools_of(tmp_path))))
    for _ in range(50):
        log.record("request", user_id="u")
    wait_until(lambda: len(records(tmp_path)) >= 40)
    broker.goes_on.set()
    assert log.stop()
    assert {record.seq for record in records(tmp_path)} <= set(broker.numbers)


class _Slow:
    """A broker in memory that takes its time over the first batch."""

    def __init__(self) -> None:
        self.begun, self.goes_on = threading.Event(), threading.Event()
        self.numbers: list[int] = []

    def send(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        self.begun.set()
        self.goes_on.wait(30)
        self.numbers += [json.loads(record)[4] for _, record in records]

    def close(self) -> None: ...


class _Kept:
    """A broker in memory: what it was sent is the point, not how."""

    def __init__(self) -> None:
        self.starts: set[str] = set()

    def send(self, records: Sequence[tuple[bytes, bytes]]) -> None:
        self.starts.update(json.loads(record)[3] for _, record in records)

    def close(self) -> None: ...


def test_what_is_lost_at_the_end_is_named_in_the_log_of_the_service(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "spool"
    root.write_text("a file where the folder should be")
    log = opened(root)
    log.record("request", user_id="u")
    assert log.stop()
    told = [record.getMessage() for record in caplog.records]
    assert {"Records 1 to 2 are lost: the spool takes nothing"} & set(told)


def test_what_is_no_record_is_told_under_its_number_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = opened(tmp_path)
    log.record("request", user_id=7)
    log.record("request", user_id="u", uri=object())
    log.record("request", user_id="u")
    assert log.stop()
    told = [(record.seq, record.kind, record.detail) for record in records(tmp_path)]
    assert told[1] == (2, "dropped", "no record: user_id is no text: 7") and told[2][:2] == (3, "dropped")
    assert [kind for _, kind, _ in told] == ["start", "dropped", "dropped", "request", "stop"]
    assert sum("is none, and is lost" in record.getMessage() for record in caplog.records) == 2


class Unprintable:
    def __repr__(self) -> str:
        raise LookupError("nothing to show")


def test_a_value_that_breaks_every_look_at_it_costs_only_its_own_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = opened(tmp_path)
    for _ in range(2):
        log.record("request", user_id="u", uri=Unprintable())
        log.record("request", user_id="u", request_bytes=10**5000)  # Python writes no number of so many digits
        log.record("request", user_id="u")
    assert log.stop()
    told = [(record.kind, record.detail) for record in records(tmp_path)]
    lost = [("dropped", "no record: LookupError"), ("dropped", "no record: ValueError")]
    assert told == [("start", None), *[*lost, ("request", None)] * 2, ("stop", None)]
    assert sum("is none, and is lost" in record.getMessage() for record in caplog.records) == 4


def test_a_fault_of_the_spooling_thread_raises_nothing_is_logged_once_and_costs_only_numbers_that_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Spool.append
    faults: list[int] = []

    def broken(self: Spool, batch: Sequence[tuple[bytes, bytes]]) -> None:
        if len(faults) < 3:
            faults.append(len(batch))
            raise ZeroDivisionError
        append(self, batch)

    monkeypatch.setattr(Spool, "append", broken)
    log = opened(tmp_path, heartbeat_s=0.01)
    wait_until(lambda: bool(log.record("request", user_id="u")) and len(faults) == 3)
    last = log.record("request", user_id="last")
    assert log.stop()
    (state,) = states(tmp_path)
    (held,) = state.held
    (reason,) = state.dropped
    assert reason == "fault of the usage log, ZeroDivisionError" and sum(faults) <= covered(state.dropped[reason])
    assert held.missing == () and state.tail is None and held.records + covered(state.dropped[reason]) == state.made
    assert last in [record.seq for record in records(tmp_path) if record.user_id == "last"]
    assert sum("A fault of the usage log" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_after_the_spooling_thread_was_ended_from_outside_a_record_begins_a_new_sequence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Spool.append
    ended: list[Spool] = []

    def ends(self: Spool, batch: Sequence[tuple[bytes, bytes]]) -> None:
        ended.append(self)
        raise SystemExit

    log = opened(tmp_path)
    assert log.record("request", user_id="u") == 2
    wait_until(lambda: len(records(tmp_path)) == 2)
    monkeypatch.setattr(Spool, "append", ends)
    assert log.record("request", user_id="lost") == 3
    wait_until(lambda: bool(ended) and not is_alive(ended[0].folder))
    monkeypatch.setattr(Spool, "append", append)
    assert log.record("request", user_id="u") == 2 and log.stop()
    assert sorted((record.kind, record.seq) for record in records(tmp_path)) == sorted(
        [("start", 1), ("request", 2)] * 2 + [("stop", 3)]
    )


def test_a_process_that_has_no_more_threads_gets_numbers_and_no_exception(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    log = opened(tmp_path, queue_records=5)
    assert [log.record("request", user_id="u") for _ in range(20)] == list(range(2, 22))
    assert sum("Records wait in memory" in record.getMessage() for record in caplog.records) == 1
    assert log.stop()


def test_the_spool_takes_all_that_waits_before_it_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause after each batch would bound a service to a batch in 50 ms."""
    options = UsageOptions(service="shop", spool=tmp_path, batch_records=10)
    source = Start(options, lambda *record: 0)
    for _ in range(1000):
        source.record("request", (), ())
    keeper = Keeper(source, options)
    kept_at_pauses: list[int] = []

    def wait(timeout_s: float) -> None:
        kept_at_pauses.append(keeper.count)
        source.stop(0)

    monkeypatch.setattr(source.work, "wait", wait)
    keeper.run()
    source.forget()
    assert kept_at_pauses[0] >= 1000
