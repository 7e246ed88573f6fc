"""From a service to its archive under faults, in rounds: every record is accounted for, and none is twice in files. Rounds: FAULT_ROUNDS (2)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.archiving.manifests import sha256_of
from app.domain.usage.records import UsageRecord, producer_of
from app.domain.usage.sequences import ProducerState
from app.process.crash_points import ARCHIVE_POINTS
from app.usage.log import UsageLog
from app.usage.options import UsageOptions
from tests import ROOT
from tests.archiving.world import World, record
from tests.needs import lacking

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
ROUNDS = range(int(os.environ.get("FAULT_ROUNDS", "2")))
KINDS = ["csv", "parquet"]
ARCHIVING = """
import sys
from pathlib import Path
from tests.archiving.world import World
World(Path(sys.argv[1])).archived(file_bytes=4_000, kind=sys.argv[2])
"""
SERVING = """
import sys, time
from pathlib import Path
from app.usage.log import UsageLog
from app.usage.options import UsageOptions
folder = Path(sys.argv[1])
log = UsageLog(UsageOptions(service="shop", spool=folder / "spool", broker=f"sqlite:///{folder}/log.db", machine="m1", batch_records=50))
with open(folder / "journal", "w", buffering=1) as journal:
    for number in range(1_000_000):
        print(log.record("request", user_id=f"u{number % 9}"), file=journal)
        time.sleep(0.0005)
"""


FILLED = """
import sys, time
from pathlib import Path
from app.usage.log import UsageLog
from app.usage.options import UsageOptions
folder = Path(sys.argv[1])
options = dict(queue_records=100, batch_records=20, block_ms=1, segment_bytes=20_000, overflow=sys.argv[2])
log = UsageLog(UsageOptions(service="shop", spool=folder / "disk", broker=f"sqlite:///{folder}/log.db", machine="m1", **options))
with open(folder / "journal", "w", buffering=1) as journal:
    while not (folder / "stop").exists():
        print(log.record("request", user_id=f"u{log.record('request', user_id='v') % 9}"), file=journal)
        time.sleep(0.0005)
sys.exit(not log.stop(60))
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    done = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lacking(f"a small disk cannot be mounted here, only root may: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def started(program: str, *arguments: object, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stderr=subprocess.DEVNULL)


def hashes(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_of(path) for path in folder.rglob("usage-*")}


def assert_none_is_twice(world: World) -> list[UsageRecord]:
    found = world.records()
    assert len({(producer_of(one), one.seq) for one in found}) == len(found)
    return found


def assert_the_same_again(world: World, kind: str) -> None:
    """The same offsets, archived anew, make the same files."""
    first, world.archive = world.archive, world.folder / "again"
    world.archived(file_bytes=4_000, kind=kind)
    assert hashes(first) == hashes(world.archive)
    world.archive = first


def numbers(ranges: object) -> set[int]:
    return {number for lo, hi in ranges for number in range(lo, hi + 1)}  # type: ignore[attr-defined]  # pairs


def accounted(state: ProducerState) -> set[int]:
    """Held by the archive, named as missing in it, or told as dropped."""
    archive = state.held[0]
    told = numbers(pair for ranges in state.dropped.values() for pair in ranges)
    return numbers(archive.missing) | numbers(archive.on_the_way) | told


@pytest.mark.parametrize("number", ROUNDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", ARCHIVE_POINTS)
def test_an_archive_worker_killed_at_each_of_its_points(tmp_path: Path, point: str, kind: str, number: int) -> None:
    world, rng = World(tmp_path), random.Random(f"{point} {number}")
    made = [record("p", seq, f"u{seq % 7}") for seq in range(1, 200)] + [record("p", 200, kind="stop")]
    world.send(made, at_once=rng.randint(3, 12))
    killed = started(ARCHIVING, tmp_path, kind, WEBLOGS_CRASH_AT=f"{point}:{rng.randint(1, 4)}")
    assert killed.wait(120) == -signal.SIGKILL
    world.archived(file_bytes=4_000, kind=kind)
    assert sorted(assert_none_is_twice(world), key=lambda one: one.seq) == made
    assert world.check().exit_code == 0
    assert_the_same_again(world, kind)


@pytest.mark.parametrize("number", ROUNDS)
@pytest.mark.parametrize("kind", KINDS)
def test_two_archive_workers_of_which_one_is_frozen(tmp_path: Path, kind: str, number: int) -> None:
    world, rng = World(tmp_path), random.Random(number)
    made = [record("p", seq, f"u{seq % 7}") for seq in range(1, 600)] + [record("p", 600, kind="stop")]
    world.send(made, at_once=5)
    frozen = started(ARCHIVING, tmp_path, kind)
    end = time.monotonic() + 60
    while len(list(world.archive.rglob("*.done.json"))) < rng.randint(1, 3):
        assert time.monotonic() < end
        time.sleep(0.002)
    frozen.send_signal(signal.SIGSTOP)
    try:
        assert started(ARCHIVING, tmp_path, kind).wait(120) == 0
        complete = hashes(world.archive)
    finally:
        frozen.send_signal(signal.SIGCONT)
    assert frozen.wait(120) == 0
    assert hashes(world.archive) == complete
    assert sorted(assert_none_is_twice(world), key=lambda one: one.seq) == made
    assert world.check().exit_code == 0
    assert_the_same_again(world, kind)


def archived_by_the_next(world: World, spool: Path) -> None:
    """A next process of the service sends what is in the spool, and all is archived."""
    after = UsageLog(UsageOptions(service="shop", spool=spool, broker=world.address, machine="m1"))
    after.record("request", user_id="u")
    end = time.monotonic() + 60
    while not world.sent_of(spool):
        assert time.monotonic() < end
        time.sleep(0.3)
    assert after.stop(60)
    world.archived()


@pytest.mark.parametrize("number", ROUNDS)
def test_a_service_killed_under_load(tmp_path: Path, number: int) -> None:
    """What its journal names is archived, or named as missing; the next process sends what it spooled."""
    world, rng = World(tmp_path), random.Random(number)
    service = started(SERVING, tmp_path)
    end = time.monotonic() + 60
    while not (tmp_path / "journal").exists() or (tmp_path / "journal").stat().st_size < rng.randint(3_000, 9_000):
        assert time.monotonic() < end and service.poll() is None
        time.sleep(0.01)
    service.kill()
    service.wait()
    noted = {int(line) for line in (tmp_path / "journal").read_text().split("\n")[:-1]}
    spool = tmp_path / "spool"
    archived_by_the_next(world, spool)
    report = world.check(spool)
    killed = max(report.states, key=lambda state: state.made)
    held = {one.seq for one in assert_none_is_twice(world) if producer_of(one) == killed.producer}
    assert killed.tail is None and noted <= held | accounted(killed)
    assert held | accounted(killed) == set(range(1, killed.made + 1)) and not held & accounted(killed)


@pytest.mark.parametrize("number", ROUNDS)
@pytest.mark.parametrize("fault", ["cut", "flipped"])
def test_a_segment_that_is_cut_or_altered_costs_only_the_records_in_it(tmp_path: Path, fault: str, number: int) -> None:
    rng = random.Random(f"{fault} {number}")
    spool, world = tmp_path / "spool", World(tmp_path)
    world.send([record("q", 1, kind="stop")])
    alone = UsageLog(UsageOptions(service="shop", spool=spool, machine="m1", segment_bytes=8192, batch_records=20))
    for seq in range(400):
        alone.record("request", user_id=f"u{seq % 5}")
    assert alone.stop(60)
    path = rng.choice(sorted(spool.rglob("*.seg")))
    data = path.read_bytes()
    at = rng.randrange(20, len(data))
    path.write_bytes(data[:at] if fault == "cut" else data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :])
    archived_by_the_next(world, spool)
    report = world.check(spool)
    (state,) = [state for state in report.states if state.made == 402]
    held = {one.seq for one in assert_none_is_twice(world) if producer_of(one) == state.producer}
    assert held | accounted(state) == set(range(1, 403)) and 0 < len(accounted(state)) < 60
    assert [line.partition(" is ")[0] for line in report.problems] == [str(path)]


@pytest.mark.parametrize("number", ROUNDS)
def test_a_wrong_setting_at_the_start_leaves_the_spool_as_it_is(tmp_path: Path, number: int) -> None:
    spool = tmp_path / "spool"
    log = UsageLog(UsageOptions(service="shop", spool=spool, machine="m1"))
    for _ in range(10 + number):
        log.record("request", user_id="u")
    assert log.stop(60)
    before = {path: path.read_bytes() for path in spool.rglob("*") if path.is_file()}
    wrong = SERVING.replace('broker=f"sqlite:///{folder}/log.db"', 'broker="mysql://h"')
    assert started(wrong, tmp_path).wait(60) == 1
    assert {path: path.read_bytes() for path in spool.rglob("*") if path.is_file()} == before


def fill(path: Path, spare_bytes: int) -> None:
    """The disk, but for so many bytes."""
    free = os.statvfs(path.parent)
    path.write_bytes(bytes(max(0, free.f_bavail * free.f_bsize - spare_bytes)))


@pytest.mark.parametrize("number", ROUNDS)
@pytest.mark.parametrize("when", ["at the start", "later"])
def test_the_disk_of_the_spool_is_full_for_a_while(tmp_path: Path, small_disk: Path, when: str, number: int) -> None:
    """The service goes on; each record is archived, or told as dropped with the reason."""
    world, rng = World(tmp_path), random.Random(f"{when} {number}")
    overflow = rng.choice(["drop_newest", "drop_oldest", "block"])
    if when == "at the start":
        fill(small_disk / "filler", 0)
    service = started(FILLED, tmp_path, overflow)

    def wait_for(noted: int) -> None:
        end = time.monotonic() + 60
        while not (tmp_path / "journal").exists() or (tmp_path / "journal").read_bytes().count(b"\n") < noted:
            assert time.monotonic() < end and service.poll() is None
            time.sleep(0.01)

    try:
        if when == "later":
            wait_for(rng.randint(100, 600))
            fill(small_disk / "filler", rng.randint(0, 30_000))
        wait_for(rng.randint(900, 1500))
        (small_disk / "filler").unlink()
        wait_for(2500)
        (tmp_path / "stop").touch()
        assert service.wait(120) == 0
    finally:
        service.kill()
        service.wait()
    world.archived()
    (state,) = world.check(small_disk).states
    held = {one.seq for one in assert_none_is_twice(world)}
    noted = {int(line) for line in (tmp_path / "journal").read_text().split("\n")[:-1]}
    assert state.tail is None and noted <= held | accounted(state)
    assert held | accounted(state) == set(range(1, state.made + 1)) and not held & accounted(state)
    assert not state.held[0].missing and set(state.dropped) <= {f"queue full, {overflow}"}
    assert when == "later" or state.dropped


def service_before_a_full_disk(world: World, disk: Path) -> tuple[UsageLog, list[int]]:
    """It has sent a record, and has 500 more to spool; with the numbers of all."""
    world.send([record("q", 1, kind="stop")])
    service = UsageLog(
        UsageOptions(service="shop", spool=disk, broker=world.address, machine="m1", segment_bytes=20_000)
    )
    made = [service.record("request", user_id="u")]
    end = time.monotonic() + 60
    while not world.sent_of(disk):
        assert time.monotonic() < end
        time.sleep(0.05)
    fill(disk / "filler", 0)
    return service, made + [service.record("request", user_id=f"u{number}" * 9) for number in range(500)]


def state_of_the_service(world: World, disk: Path) -> ProducerState:
    (state,) = [state for state in world.check(disk).states if "shop" in state.producer]
    return state


def test_a_disk_that_is_full_at_the_stop_is_tried_until_it_has_room(tmp_path: Path, small_disk: Path) -> None:
    """Nothing is missing then, and nothing dropped."""
    world = World(tmp_path)
    service, made = service_before_a_full_disk(world, small_disk)
    room = threading.Timer(2, (small_disk / "filler").unlink)
    room.start()
    assert service.stop(60)
    room.join()
    world.archived()
    state = state_of_the_service(world, small_disk)
    held = {one.seq for one in world.records() if producer_of(one) == state.producer}
    assert set(made) < held == set(range(1, state.made + 1)) and not state.dropped


def test_a_stop_ends_in_its_time_though_the_disk_stays_full(tmp_path: Path, small_disk: Path) -> None:
    """What the disk did not take is named as missing."""
    world = World(tmp_path)
    service, made = service_before_a_full_disk(world, small_disk)
    service.stop(3)
    world.archived()
    state = state_of_the_service(world, small_disk)
    held = {one.seq for one in world.records() if producer_of(one) == state.producer}
    assert accounted(state) and set(made) <= accounted(state) | held
