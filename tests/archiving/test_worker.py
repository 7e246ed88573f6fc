"""The archive: what a file holds follows from the log alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from app.archiving.files import FILES, read_file
from app.archiving.manifests import Manifests, sha256_of
from app.domain.usage.records import UsageRecord
from app.errors import InputError, UnknownForm
from app.process.crash_points import ARCHIVE_POINTS
from app.settings import FileKind
from app.transports.embedded.log import EmbeddedLog
from app.transports.messages import Message
from tests import ROOT
from tests.archiving.world import World, record
from tests.domain.usage.test_records import RECORDS
from tests.properties import examples

MADE = [record("p", seq, f"u{seq % 5}") for seq in range(1, 301)] + [record("p", 301, kind="stop")]


def hashes(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_of(path) for path in folder.rglob("usage-*")}


@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("kind", FILES)
@given(one=RECORDS)
def test_any_record_comes_back_from_a_file_exactly(tmp_path: Path, kind: FileKind, one: UsageRecord) -> None:
    path = tmp_path / f"a.{kind}"
    assert FILES[kind].write(path, [one, one]) == 2
    assert list(read_file(path)) == [one, one]
    before = path.read_bytes()
    FILES[kind].write(path, [one, one])
    assert path.read_bytes() == before


def test_every_record_is_in_one_file_and_those_of_a_user_are_in_order(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send(MADE, at_once=7)
    world.archived(file_bytes=20_000)
    assert len(world.files) > 4 and sorted(world.records(), key=lambda one: one.seq) == MADE
    for user in range(5):
        numbers = [one.seq for one in world.records() if one.user_id == f"u{user}"]
        assert numbers == sorted(numbers)
    report = world.check()
    assert report.exit_code == 0 and report.problems == []


@pytest.mark.parametrize("kind", FILES)
def test_the_same_messages_archived_twice_make_the_same_files_byte_by_byte(tmp_path: Path, kind: FileKind) -> None:
    world = World(tmp_path)
    world.send(MADE, at_once=7)
    world.archived(file_bytes=10_000, kind=kind)
    first, world.archive = world.archive, tmp_path / "again"
    world.archived(file_bytes=10_000, kind=kind)
    assert len(hashes(first)) > 4 and hashes(first) == hashes(world.archive)
    assert {Path(name).suffix for name in hashes(first)} == {f".{kind}"}


def test_a_csv_file_reaches_its_size_by_less_than_a_message(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send(MADE, at_once=7)
    world.archived(file_bytes=5_000, kind="csv")
    last = {done.file.split("-")[3]: done.file for done in world.files}
    full = [done for done in world.files if done.file not in last.values()]
    assert len(full) > 4 and all(5_000 <= done.size_bytes < 5_000 + 7 * 400 for done in full)
    assert sorted(world.records(), key=lambda one: one.seq) == MADE and world.check().exit_code == 0


def test_an_archive_goes_on_in_another_form(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send(MADE[:100])
    world.archived(kind="parquet")
    world.send(MADE[100:])
    world.archived(kind="csv")
    assert {Path(done.file).suffix for done in world.files} == {".csv", ".parquet"}
    assert sorted(world.records(), key=lambda one: one.seq) == MADE and world.check().exit_code == 0


@pytest.mark.parametrize("spoiled", [b"", b"kind,seq\n", b"\xff"])
def test_a_csv_file_of_something_else_is_no_file_of_records(tmp_path: Path, spoiled: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(spoiled)
    with pytest.raises(InputError, match=r"a.csv cannot be read: .*(does not name the fields|decode)"):
        list(read_file(path))


def test_a_file_with_too_little_waits_for_more_until_its_first_message_is_old(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send(MADE[:10])
    world.archived(interval_s=1e12)
    assert world.files == [] and world.check().exit_code == 2
    assert "archive: p on the way 1-10" in world.lines()
    world.archived()
    assert len(world.records()) == 10


def test_the_manifest_names_rows_offsets_producers_checksum_and_forms(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send([record("p", seq) for seq in (1, 2, 3)] + [record("q", 7)], at_once=2)
    world.archived()
    (done,) = world.files
    (partition,) = Manifests(world.storage).partitions()
    (manifest,) = Manifests(world.storage).of(partition)
    assert (manifest.first_offset, manifest.last_offset, done.rows, done.schema_form) == (0, 1, 4, 1)
    assert done.producers == {"p@m/1": (1, 3), "q@m/1": (7, 7)}
    path = world.archive / done.file
    assert (done.sha256, done.size_bytes) == (sha256_of(path), path.stat().st_size)
    assert done.file == f"{manifest.day}/usage-{partition:04}-{0:020}.parquet"


def test_a_record_that_was_sent_again_is_in_no_second_file_and_another_with_its_number_is_kept(tmp_path: Path) -> None:
    world = World(tmp_path)
    one, two = record("p", 1), record("p", 2)
    world.send([one, two, one])
    world.archived()
    world.send([two, one._replace(uri="/altered"), record("p", 3)])
    world.archived()
    assert [(each.seq, each.uri) for each in world.records()] == [(1, None), (2, None), (1, "/altered"), (3, None)]
    assert [done.repeats for done in world.files] == [[("p@m/1", 1)], [("p@m/1", 2)]]


def test_a_foreign_message_is_named_and_the_rest_is_archived(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send(MADE[:2])
    log = EmbeddedLog(tmp_path / "log.db")
    log.append([Message("usage", 0, None, b'[1,["x"]]', {}, 1.0)])
    log.close()
    world.send(MADE[2:])
    world.archived()
    assert len(world.records()) == len(MADE)
    told = [line for line in world.lines() if "damaged" in line]
    assert any(line.startswith("partition 0: message ") for line in told) and world.check().exit_code == 1


@pytest.mark.parametrize("kind", FILES)
def test_a_message_of_a_newer_form_ends_the_worker_with_its_place(tmp_path: Path, kind: FileKind) -> None:
    world = World(tmp_path)
    world.send(MADE[:2])
    with closing(EmbeddedLog(tmp_path / "log.db")) as log:
        log.append([Message("usage", 0, None, b"[99,[]]", {}, 1.0)])
    with pytest.raises(UnknownForm, match=r"^message \d+ of usage/0 has form 99; this program knows form 1; use the"):
        world.archived(kind=kind)


PROGRAM = "import sys; from pathlib import Path; from tests.archiving.world import World; World(Path(sys.argv[1])).archived(file_bytes=20_000)"


@pytest.mark.long
@pytest.mark.parametrize("point", ARCHIVE_POINTS)
@pytest.mark.parametrize("nth", [1, 3])
def test_a_worker_that_is_killed_anywhere_is_continued_to_the_same_files(tmp_path: Path, point: str, nth: int) -> None:
    world = World(tmp_path)
    world.send(MADE, at_once=7)
    environment = os.environ | {"WEBLOGS_CRASH_AT": f"{point}:{nth}"}
    killed = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=ROOT, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    world.archived(file_bytes=20_000)
    assert sorted(world.records(), key=lambda one: one.seq) == MADE and world.check().exit_code == 0
    first, world.archive = world.archive, tmp_path / "again"
    world.archived(file_bytes=20_000)
    assert hashes(first) == hashes(world.archive)
    assert list(tmp_path.rglob("*.part")) == []


def test_what_a_killed_worker_left_half_written_is_deleted_at_a_start_once_it_is_old(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send(MADE[:5])
    world.archived()
    day = (world.archive / world.files[0].file).parent
    old, young = day / ".usage-0000-1.csv.7.ab.part", day / ".usage-0000-2.csv.8.cd.part"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1.0, 1.0))
    before = hashes(world.archive)
    world.archived()
    assert not old.exists() and young.exists() and hashes(world.archive) == before


def test_of_two_workers_the_first_manifest_holds_for_both(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send(MADE[:50], at_once=7)
    manifests = Manifests(world.storage)
    world.archived(file_bytes=1)
    partition = manifests.partitions()[0]
    first = manifests.of(partition)[0]
    other = msgspec.structs.replace(first, last_offset=first.last_offset + 1, created="later")
    assert manifests.create(other) == first
    before = hashes(world.archive)
    for path in (world.archive / "manifests").rglob("*.done.json"):
        path.unlink()  # the other worker was frozen before it wrote what the files are
    world.archived(file_bytes=1 << 30)
    assert hashes(world.archive) == before and len(world.files) == len(before)
    assert sorted(world.records(), key=lambda one: one.seq) == MADE[:50]


def test_an_archive_of_a_topic_that_was_made_anew_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send(MADE[:5])
    world.archived()
    for path in tmp_path.glob("log.db*"):
        path.unlink()
    world.send(MADE[:5])
    with pytest.raises(
        InputError, match="is of another topic usage, on another broker or deleted since; name another folder"
    ):
        world.archived()


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send(MADE[:5])
    world.archived()
    path = next((world.archive / "manifests").rglob("*.done.json"))
    path.write_text("{")
    with pytest.raises(InputError, match=r"^the manifest .* cannot be read: .*; restore it from a backup$"):
        world.check()
