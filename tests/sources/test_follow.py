"""Following sends every whole line once: as the file grows, through rotations, over restarts."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import Signals
from threading import Event, Thread, Timer

import pytest

from app.domain.formats.base import AUTO
from app.domain.formats.unknown_heads import believes
from app.messages.headers import Headers
from app.sources.files.read_options import ReadOptions
from app.sources.following.follow import follow_files
from app.sources.following.siblings import siblings_of
from app.sources.identity.identifier import Identifier
from app.sources.identity.registry import FolderRegistry
from app.sources.replay.run import ReplayOptions, ReplayResult, replay_files
from tests.sources.logs import MemoryLog, line, log, sent_once

WAIT_S = 20.0
LINGER_S = 0.4


class Following:
    """A follower in a thread."""

    def __init__(self, paths: list[Path], to: MemoryLog, folder: Path, form: str = AUTO) -> None:
        self.to = to
        self.said: list[str] = []
        self.stop = Event()
        self.result: ReplayResult | None = None
        identifier = Identifier(FolderRegistry(folder))
        options = ReplayOptions(
            identifier, ReadOptions(form, chunk_bytes=4096), linger_s=LINGER_S, stop=self.stop, say=self.said.append
        )

        def run() -> None:
            self.result = follow_files([str(path) for path in paths], to, options)

        self._thread = Thread(target=run)
        self._thread.start()

    def until(self, met: Callable[[], bool]) -> None:
        end = time.monotonic() + WAIT_S
        while not met() and self._thread.is_alive() and time.monotonic() < end:
            time.sleep(0.01)

    def until_sent(self, count: int) -> None:
        self.until(lambda: len(self.to.texts()) >= count)

    def finish(self) -> ReplayResult:
        self.stop.set()
        self._thread.join(WAIT_S)
        assert self.result is not None
        return self.result


@contextmanager
def follow(paths: Path | list[Path], to: MemoryLog | None = None, form: str = AUTO) -> Iterator[Following]:
    listed = paths if isinstance(paths, list) else [paths]
    each = Following(listed, to if to is not None else MemoryLog(), listed[0].parent / "sources", form)
    try:
        yield each
    finally:
        each.finish()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_lines_are_sent_as_they_are_ended(path: Path) -> None:
    path.write_bytes(log(5) + line(5)[:20])
    with follow(path) as each:
        each.until_sent(5)
        time.sleep(0.3)
        assert each.to.texts() == log(5).splitlines()
        append(path, line(5)[20:] + line(6))
        each.until_sent(7)
    assert sent_once(each.to, log(7)) and each.finish().exit_code == 0
    assert each.to.ended() == [] and len(each.to.sources()) == 1


def test_a_file_that_is_not_there_yet_is_waited_for(path: Path) -> None:
    with follow(path) as each:
        each.until(lambda: bool(each.said))
        path.write_bytes(log(3))
        each.until_sent(3)
    assert each.said[0] == f"{path} is not there: waiting for it"
    assert sent_once(each.to, log(3)) and each.finish().exit_code == 0


def test_several_files_are_followed_at_once(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.log" for number in range(3)]
    with follow(paths) as each:
        for round_ in range(5):
            for number, path in enumerate(paths):
                append(path, line(100 * number + round_))
            each.until_sent(3 * (round_ + 1))
    assert sent_once(each.to, b"".join(log(5, 100 * number) for number in range(3)))
    assert len(each.to.sources()) == 3


def test_an_old_file_is_read_to_its_end_after_a_rename_while_its_writer_holds_on_to_it(path: Path) -> None:
    path.write_bytes(log(3))
    with follow(path) as each, path.open("ab") as writer:
        each.until_sent(3)
        path.rename(path.with_name("access.log.1"))
        path.write_bytes(log(3, 100))
        each.until_sent(6)
        writer.write(line(3))
        writer.flush()
        each.until_sent(7)
        each.until(lambda: bool(each.to.ended()))
    assert sent_once(each.to, log(4) + log(3, 100))
    assert len(each.to.sources()) == 2 and len(each.to.ended()) == 1


def test_a_rotated_files_unended_last_line_is_sent_with_its_end(path: Path) -> None:
    path.write_bytes(log(3) + line(3).strip())
    with follow(path) as each:
        each.until_sent(3)
        path.rename(path.with_name("access.log.1"))
        path.write_bytes(log(1, 100))
        each.until(lambda: bool(each.to.ended()))
    assert sent_once(each.to, log(4) + log(1, 100))


def test_a_file_that_vanishes_and_comes_again_is_read_on(path: Path) -> None:
    path.write_bytes(log(3))
    with follow(path) as each:
        each.until_sent(3)
        path.unlink()
        each.until(lambda: bool(each.said))
        path.write_bytes(log(2, 100))
        each.until_sent(5)
    assert sent_once(each.to, log(3) + log(2, 100)) and len(each.to.sources()) == 2


def test_rotations_that_come_faster_than_looks_lose_nothing(path: Path) -> None:
    path.write_bytes(log(3))
    with follow(path) as each:
        each.until_sent(3)
        for number in range(1, 6):
            for old in range(number, 0, -1):
                source = path if old == 1 else path.with_name(f"access.log.{old - 1}")
                source.rename(path.with_name(f"access.log.{old}"))
            path.write_bytes(log(3, 100 * number))
        each.until_sent(18)
    assert sent_once(each.to, log(3) + b"".join(log(3, 100 * number) for number in range(1, 6)))


def test_what_was_not_read_before_a_copytruncate_is_found_in_the_copy(path: Path) -> None:
    path.write_bytes(log(50))
    with follow(path) as each:
        each.until_sent(50)
        append(path, log(50, 50))  # at once, so that not all of it was read when it is cut
        shutil.copyfile(path, path.with_name("access.log.1"))
        os.truncate(path, 0)
        append(path, log(5, 500))
        each.until_sent(105)
        each.until(lambda: bool(each.to.ended()))
    assert sent_once(each.to, log(100) + log(5, 500))
    assert len(each.to.sources()) == 2


def test_a_file_cut_and_grown_beyond_what_was_read_is_noticed(path: Path) -> None:
    path.write_bytes(log(3))
    with follow(path) as each:
        each.until_sent(3)
        with path.open("r+b") as file:
            file.truncate(0)
            file.write(log(30, 1000))
        each.until_sent(33)
    assert sent_once(each.to, log(3) + log(30, 1000)) and len(each.to.sources()) == 2


def test_a_log_put_back_from_a_copy_is_the_same_source(path: Path) -> None:
    path.write_bytes(log(100))
    with follow(path) as each:
        each.until_sent(100)
        copy = path.with_name("copy")
        copy.write_bytes(log(101))
        copy.rename(path)
        each.until_sent(101)
        each.until(lambda: bool(each.to.ended()))
    assert sent_once(each.to, log(101)) and len(each.to.sources()) == 1


def test_new_files_that_begin_with_the_same_line_are_sources_of_their_own(path: Path) -> None:
    same = b'203.0.113.1 - - [31/Jul/2020:16:46:07 +0000] "GET / HTTP/1.1" 200 5\n'
    path.write_bytes(same)
    with follow(path) as each:
        each.until_sent(1)
        for number in range(1, 4):
            path.rename(path.with_name(f"access.log.{number}"))
            path.write_bytes(same)
            each.until_sent(number + 1)
    assert each.to.texts() == [same.strip()] * 4 and len(each.to.sources()) == 4


@pytest.mark.parametrize("ending", ["access.log.1", "access.log.1.gz", "access.log-20200731", "access-20200731.log"])
def test_after_a_rotation_in_its_absence_a_follower_finishes_the_old_file(path: Path, ending: str) -> None:
    path.write_bytes(log(3))
    with follow(path) as each:
        each.until_sent(3)
    append(path, log(3, 3))
    path.rename(path.with_name(ending))
    if ending.endswith(".gz"):
        content = path.with_name(ending).read_bytes()
        path.with_name(ending).write_bytes(gzip.compress(content))
    path.write_bytes(log(2, 100))
    with follow(path, each.to) as again:
        again.until_sent(8)
        again.until(lambda: bool(again.to.ended()))
    assert sent_once(each.to, log(6) + log(2, 100))
    assert len(each.to.sources()) == 2 and len(each.to.ended()) == 1


def test_a_restart_goes_on_in_a_file_that_was_short_when_first_seen(path: Path) -> None:
    path.write_bytes(log(1))
    with follow(path) as each:
        each.until_sent(1)
    for number in range(1, 4):
        append(path, log(20, 20 * number))
        with follow(path, each.to) as again:
            again.until_sent(1 + 20 * number)
    assert sent_once(each.to, log(1) + log(60, 20)) and len(each.to.sources()) == 1
    said: list[str] = []
    copy = path.with_name("copy.gz")
    copy.write_bytes(gzip.compress(path.read_bytes()))
    replay_files(
        [str(copy)], each.to, ReplayOptions(Identifier(FolderRegistry(path.parent / "sources")), say=said.append)
    )
    assert sent_once(each.to, log(1) + log(60, 20)) and len(each.to.sources()) == 1


def test_a_line_that_is_too_long_waits_for_its_end_and_is_sent_once(path: Path) -> None:
    path.write_bytes(log(1) + b"x" * 200_000)
    with follow(path) as each:
        each.until_sent(1)
        append(path, b"x" * 100_000)
        time.sleep(0.3)
        assert len(each.to.messages) == 1
        append(path, b"\n" + log(1, 7))
        each.until_sent(3)
    assert [message.headers.get("too_long") for message in each.to.messages] == [None, b"300000", None]
    assert each.to.texts()[-1] == log(1, 7).strip()


def test_archives_are_read_once_and_directories_are_refused_while_others_are_followed(
    path: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "old.gz"
    packed.write_bytes(gzip.compress(log(5, 100)))
    path.write_bytes(log(3))
    folder = tmp_path / "folder"
    folder.mkdir()
    with follow([path, packed, folder]) as each:
        each.until_sent(8)
        each.until(lambda: bool(each.said))
    assert sent_once(each.to, log(3) + log(5, 100))
    assert each.finish().exit_code == 1 and "is a directory" in each.finish().errors[0]


@pytest.mark.parametrize("lines", [3, 2000])
def test_how_lines_are_read_is_told_by_the_first_hits_however_late_they_come(path: Path, lines: int) -> None:
    head = "2026-11-29 18:00:00,123 - access - INFO - "
    got = '203.0.113.9 - - [29/Nov/2026:18:00:00 +0000] "GET /a HTTP/1.1" 206 500 "-" "curl/8.5.0" "bytes 0-499/500"\n'
    started = b"2026-11-29 17:59:59,001 - films.app - INFO - started\n"
    path.write_bytes(started * lines)
    with follow(path, form="combined_range") as each:
        each.until_sent(lines)
        append(path, started)
        each.until_sent(lines + 1)
        append(path, (head + got).encode() * 5)
        each.until_sent(lines + 6)
    first, *_, last = each.to.messages
    assert Headers.HEADS not in first.headers
    assert believes(last.headers[Headers.HEADS].decode(), head)


def test_a_file_of_no_known_format_is_said_and_its_successor_is_read(path: Path) -> None:
    path.write_bytes(b"nonsense\n" * 60)
    with follow(path) as each:
        each.until(lambda: bool(each.said))
        assert "no log format fits its first lines" in each.said[0]
        path.rename(path.with_name("access.log.1"))
        path.write_bytes(log(2))
        each.until_sent(2)
    assert each.to.texts() == log(2).splitlines()


@pytest.mark.parametrize("way", ["rename", "copytruncate"])
def test_100_rotations_lose_no_line_and_double_none(path: Path, way: str) -> None:
    rotations, lines = 100, 12
    path.write_bytes(line(0))

    def write() -> None:
        number = 1
        for rotation in range(1, rotations + 1):
            with path.open("ab", buffering=0) as file:
                for part in range(lines):
                    text = line(number)
                    file.write(text[: part + 10])  # in two pieces: lines stand unended for a while
                    file.write(text[part + 10 :])
                    number += 1
                    if part % 4 == 0:
                        time.sleep(0.001)
                if way == "rename":
                    path.rename(path.with_name(f"access.log.{rotation}"))
                    file.write(line(number))  # the writer has not noticed yet
                    number += 1
                    continue
            # Between the copy and the cut nothing may be written: such lines are in neither, whoever reads.
            shutil.copyfile(path, path.with_name(f"access.log.{rotation}"))
            os.truncate(path, 0)

    expected = log(1 + rotations * (lines + (way == "rename")))
    with follow(path) as each:
        each.until_sent(1)  # what was rotated before it looked for the first time is not its to send
        writer = Thread(target=write)
        writer.start()
        writer.join()
        each.until_sent(expected.count(b"\n"))
        time.sleep(0.3)
    assert sent_once(each.to, expected), each.said
    places = [(source, position) for source, position, _ in each.to.lines()]
    assert len(set(places)) == len(places)


COMMAND = """
import sys
from pathlib import Path
from app.cli import replay
from app.transports import producers
from tests.sources.logs import MemoryLog
class Printed(MemoryLog):
    def incarnation(self, topic):
        return "1"

    def append(self, messages):
        super().append(messages)
        for message in messages:
            sys.stdout.buffer.write(message.value)
        sys.stdout.flush()
producers.open_producer = lambda settings: Printed()
replay.command()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_following_cleanly(path: Path, number: Signals) -> None:
    path.write_bytes(log(3))
    root = Path(__file__).parents[2]
    environ = {**os.environ, "WEBLOGS_DATA_DIR": str(path.parent / "var")}
    command = [sys.executable, "-c", COMMAND, "--follow", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root, env=environ)
    assert process.stdout is not None
    got = b"".join(process.stdout.readline() for _ in range(3))
    process.send_signal(number)
    rest, said = process.communicate(timeout=WAIT_S)
    assert (got, rest, process.returncode) == (log(3), b"", 0), said
    assert b"3 lines" in said


def test_siblings_are_what_rotation_leaves_and_nothing_else(tmp_path: Path) -> None:
    names = [
        "access.log.1",
        "access.log.2.gz",
        "access.log-20200731",
        "access.log.2020-07-31_10:00.zst",
        "access-20200731.log",
        "access.log.10.xz",
    ]
    others = [
        "access.log",
        "access.log.lock",
        "other.log.1",
        "access.log.1.bak",
        "xaccess.log.1",
        "access.log.d",
        "access-x.log",
        "error.log-20200731",
    ]
    for number, name in enumerate(names + others):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (1000 - number, 1000 - number))
    (tmp_path / "access.log.3").mkdir()
    found = siblings_of(str(tmp_path / "access.log"))
    assert [Path(sibling.path).name for sibling in found] == names[::-1]
    assert {Path(sibling.path).suffix for sibling in found if sibling.packed} == {".gz", ".zst", ".xz"}


KILLED = """
import sys
from pathlib import Path
from app.sources.files.read_options import ReadOptions
from app.sources.following.follow import follow_files
from app.sources.identity.identifier import Identifier
from app.sources.identity.registry import FolderRegistry
from app.sources.replay.run import ReplayOptions
from tests.sources.logs import MemoryLog, lines_of

class Printed(MemoryLog):
    def append(self, messages):
        rows = [row for message in messages for row in lines_of(message)]
        sys.stdout.buffer.write(b"".join(b"%s %d %s\\n" % (source.encode(), position, text) for source, position, text in rows))
        sys.stdout.flush()

path = Path(sys.argv[1])
options = ReplayOptions(Identifier(FolderRegistry(path.parent / "sources")), ReadOptions(chunk_bytes=1024), linger_s=0.3)
follow_files([str(path)], Printed(), options)
"""


def rows_until(process: subprocess.Popen[bytes], lacking: set[bytes]) -> list[bytes]:
    """What it prints until all of these lines were there, or for a minute."""
    assert process.stdout is not None
    late = Timer(60, process.kill)
    late.start()
    rows: list[bytes] = []
    while lacking and (row := process.stdout.readline()):
        rows.append(row.rstrip(b"\n"))
        lacking.discard(rows[-1].split(b" ", 2)[2])
    late.cancel()
    return rows


@pytest.mark.long
@pytest.mark.parametrize("way", ["rename", "copytruncate"])
def test_a_follower_that_is_killed_again_and_again_among_rotations_loses_no_line_and_gives_none_two_places(
    path: Path, way: str
) -> None:
    rng = random.Random(5)
    done = Event()
    written = 0

    def write() -> None:
        nonlocal written
        while not done.is_set():
            for _ in range(rng.randrange(1, 30)):
                append(path, line(written))
                written += 1
                time.sleep(0.0005)
            for number in range(40, 0, -1):
                old = path.with_name(f"access.log.{number}")
                if old.exists():
                    old.rename(path.with_name(f"access.log.{number + 1}"))
            if way == "rename":
                path.rename(path.with_name("access.log.1"))
                path.write_bytes(b"")
            else:
                shutil.copyfile(path, path.with_name("access.log.1"))
                os.truncate(path, 0)
            time.sleep(rng.uniform(0.05, 0.3))

    path.write_bytes(b"")
    writer = Thread(target=write)
    rows: list[bytes] = []
    for round_ in range(13):
        command = [sys.executable, "-c", KILLED, str(path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        if round_ == 0:
            # what was rotated away before anybody followed is not asked for
            while not list(path.parent.glob("sources/followed/*.json")):
                time.sleep(0.01)
            writer.start()
        if round_ == 12:
            done.set()
            writer.join()
        if round_ == 12:
            rows += rows_until(process, set(log(written).splitlines()) - {row.split(b" ", 2)[2] for row in rows})
        time.sleep(rng.uniform(0.4, 1.2))
        process.kill()
        rows += process.communicate()[0].split(b"\n")[:-1]  # a row that the kill cut was not acknowledged
    places: dict[bytes, set[bytes]] = {}
    for row in rows:
        source, position, text = row.split(b" ", 2)
        places.setdefault(text, set()).add(source + b" " + position)
    assert set(places) == set(log(written).splitlines())
    assert [text for text, found in places.items() if len(found) > 1] == []


@pytest.mark.parametrize("earlier", [True, False], ids=["turned while followed", "turned while nobody followed"])
def test_a_link_to_a_dated_file_is_followed_over_its_turn(path: Path, earlier: bool) -> None:
    first, second = path.with_name("access-2026-11-29.log"), path.with_name("access-2026-11-30.log")
    to = MemoryLog()

    def turn() -> None:
        append(first, line(3))
        second.write_bytes(log(8)[len(log(4)) :])
        following = path.with_name("next")
        following.symlink_to(second.name)
        following.replace(path)  # in one step, as `ln -sfn` and rotators do
        append(first, line(8))  # a server that has not opened the new file yet

    first.write_bytes(log(3))
    path.symlink_to(first.name)
    with follow(path, to) as each:
        each.until_sent(3)
        if earlier:
            turn()
            each.until_sent(9)
            append(second, line(9))
            each.until_sent(10)
    if not earlier:
        turn()
        append(second, line(9))
    with follow(path, to) as each:
        each.until_sent(10)
        time.sleep(0.5)
    texts = to.texts()
    assert sorted(texts) == sorted(log(10).splitlines()), each.said


@pytest.mark.parametrize("content", [b'[\n{"time": 1},\n', log(5).replace(b"\n", b"\r")], ids=["array", "CR"])
@pytest.mark.parametrize("is_empty_first", [False, True])
def test_what_has_lines_only_as_a_whole_is_not_followed(path: Path, content: bytes, is_empty_first: bool) -> None:
    path.write_bytes(b"" if is_empty_first else content)
    with follow(path) as each:
        if is_empty_first:
            time.sleep(0.2)
            append(path, content)
        each.until(lambda: bool(each.said))
    result = each.finish()
    assert each.to.messages == [] and len(result.errors) == 1 and result.exit_code == 1
    assert result.errors[0].startswith(f"{path} cannot be followed: it is a JSON array, or its lines end with carriage")
