"""A replay sends every line once, goes on where it stood, and says what it could not do."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Timer
from typing import Any

import pytest

from app.errors import LogError
from app.messages.headers import Headers
from app.sources.files.read_options import ReadOptions
from app.sources.identity.identifier import Identifier
from app.sources.identity.registry import FolderRegistry
from app.sources.replay.run import ReplayOptions, ReplayResult, replay_files
from app.sources.replay.sender import partition_of
from app.transports.messages import Message
from tests.sources.logs import MemoryLog, log, sent_once

CONTENT = log(300)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "access.log"
    file.write_bytes(CONTENT)
    return file


def replay(path: Path | list[Any], to: MemoryLog, **asked: Any) -> tuple[ReplayResult, list[str]]:
    said: list[str] = []
    paths = path if isinstance(path, list) else [path]
    folder = Path(paths[0]).parent / "sources"
    asked.setdefault("read", ReadOptions(chunk_bytes=2048))
    asked.setdefault("identifier", Identifier(FolderRegistry(folder)))
    return replay_files([str(each) for each in paths], to, ReplayOptions(say=said.append, **asked)), said


def test_all_lines_arrive_once_with_their_source_position_and_format(path: Path) -> None:
    to = MemoryLog()
    result, _ = replay(path, to)
    assert (result.lines, result.bytes, result.exit_code, result.files) == (300, len(CONTENT), 0, 1)
    assert b"".join(message.value or b"" for message in to.messages) == CONTENT
    (source,) = to.sources()
    assert [position for _, position, _ in to.lines()] == [
        sum(map(len, CONTENT.splitlines(keepends=True)[:n])) for n in range(300)
    ]
    for message in to.messages:
        assert message.headers[Headers.FORMAT] == b"common"
        assert message.headers[Headers.NAME] == b"access.log"
        assert message.partition == partition_of(source, 4) and message.key == source.encode()
    assert to.ended() == [source]
    assert Headers.END in to.messages[-1].headers


@pytest.mark.parametrize("again", ["name", "gz", "chunk size", "line by line"])
def test_the_same_file_again_in_any_guise_adds_nothing(path: Path, again: str) -> None:
    to = MemoryLog()
    replay(path, to)
    count = len(to.messages)
    asked: dict[str, Any] = {}
    if again == "name":
        path = path.rename(path.with_name("access.log.1"))
    elif again == "gz":
        packed = path.with_name("x.gz")
        packed.write_bytes(gzip.compress(CONTENT))
        path = packed
    elif again == "chunk size":
        asked = {"read": ReadOptions(chunk_bytes=1 << 20)}
    else:
        asked = {"line_by_line": True}
    result, said = replay(path, to, **asked)
    assert len(to.messages) == count and result.exit_code == 0
    assert said == [f"{path} was already sent: 300 lines; --again sends them once more (repeats are absorbed)"]


@pytest.mark.parametrize(
    "asked",
    [{}, {"line_by_line": True}, {"read": ReadOptions(chunk_bytes=1 << 20)}, {"order": "random"}, {"order": "reverse"}],
)
def test_again_sends_the_same_lines_from_the_same_source_at_the_same_positions(
    path: Path, asked: dict[str, Any]
) -> None:
    first, second = MemoryLog(), MemoryLog()
    replay(path, first)
    result, _ = replay(path, second, again=True, **asked)
    assert result.lines == 300
    assert sorted(first.lines()) == sorted(second.lines())


def test_line_by_line_is_one_line_a_message_and_many_messages_an_append(path: Path) -> None:
    to = MemoryLog()
    replay(path, to, line_by_line=True)
    assert len(to.messages) == 301
    assert len(to.appends) < 30


def test_an_interrupted_replay_goes_on_at_its_checkpoint(path: Path) -> None:
    class Breaks(MemoryLog):
        def append(self, messages: Sequence[Message]) -> None:
            if len(self.appends) == 1:
                raise LogError("the log broke")
            super().append(messages)

    to = Breaks()
    asked = {"line_by_line": True, "rate": 1000.0}  # many small appends
    result, said = replay(path, to, **asked)
    assert result.exit_code == 1 and result.errors == ["the log broke"]
    before = len(to.lines())
    assert 0 < before < 300
    rest = MemoryLog()
    _, said = replay(path, rest)
    assert rest.lines()[0][1] == sum(map(len, CONTENT.splitlines(keepends=True)[:before]))
    assert said == [f"{path}: going on after {before} lines, at byte {rest.lines()[0][1]:,}"]
    to.messages += rest.messages
    assert sent_once(to, CONTENT)


def test_a_file_that_grew_is_sent_from_where_it_ended(path: Path) -> None:
    to = MemoryLog()
    replay(path, to)
    path.write_bytes(CONTENT + log(10, 1000))
    replay(path, to)
    assert sent_once(to, CONTENT + log(10, 1000))
    assert len(to.sources()) == 1 and len(to.ended()) == 2


def test_a_full_log_is_waited_for_and_said(path: Path) -> None:
    to = MemoryLog()
    to.full_for = 3
    result, said = replay(path, to)
    assert result.exit_code == 0 and sent_once(to, CONTENT)
    assert said[0] == "waiting: the log is full"
    assert said[1].startswith("the log takes messages again after")


def test_a_full_log_can_be_given_up_on(path: Path) -> None:
    to, stop = MemoryLog(), Event()
    to.full_for = 10**9
    timer = Timer(0.2, stop.set)
    timer.start()
    result, _ = replay(path, to, stop=stop)
    timer.join()
    assert result.stopped and result.exit_code == 1 and to.messages == []


def test_a_rate_spaces_small_messages(path: Path) -> None:
    to = MemoryLog()
    result, _ = replay(path, to, rate=1000.0)
    assert max(len(message.value or b"") for message in to.messages) <= 50 * 80
    assert result.seconds >= 0.2  # 300 lines, the last ones of which wait for the 250 before them
    assert len(to.messages) >= 6 and sent_once(to, CONTENT)


def test_errors_of_one_file_do_not_stop_the_others(path: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(log(500, 5000))[:-20])
    strange = tmp_path / "strange"
    strange.write_bytes(os.urandom(5000))
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    to = MemoryLog()
    result, said = replay([cut, tmp_path / "missing", tmp_path, strange, empty, path], to)
    assert result.exit_code == 1 and len(result.errors) == 4
    assert "is cut off at byte" in result.errors[0] and "does not exist" in result.errors[1]
    assert "is a directory" in result.errors[2] and "no log format fits its first lines" in result.errors[3]
    assert f"{empty} holds no lines: nothing to send" in said
    texts = to.texts()
    assert set(CONTENT.splitlines()) <= set(texts)
    good = [text for text in texts if text not in CONTENT.splitlines()]
    assert len(good) > 400 and good == log(500, 5000).splitlines()[: len(good)]


def test_a_cut_off_archive_is_gone_on_with_once_it_is_whole(tmp_path: Path) -> None:
    packed = tmp_path / "access.log.gz"
    packed.write_bytes(gzip.compress(CONTENT)[:-200])
    to = MemoryLog()
    assert replay(packed, to)[0].exit_code == 1
    assert 0 < len(to.lines()) < 300 and to.ended() == []
    packed.write_bytes(gzip.compress(CONTENT))
    assert replay(packed, to)[0].exit_code == 0
    assert sent_once(to, CONTENT) and len(to.sources()) == 1


def test_trials_in_another_order_say_so_and_leave_the_checkpoint(path: Path) -> None:
    to = MemoryLog()
    replay(path, to, order="reverse")
    assert all(message.headers[Headers.UNORDERED] == b"1" for message in to.messages)
    assert to.texts() == CONTENT.splitlines()[::-1]
    rest = MemoryLog()
    replay(path, rest)
    assert sorted(rest.lines()) == sorted(to.lines())


def test_head_lines_go_with_every_message_of_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "w3c.log"
    head = b"#Version: 1.0\n#Fields: date time s-ip cs-method cs-uri-stem sc-status\n"
    path.write_bytes(head + b"".join(b"2020-07-31 16:46:07 192.0.2.1 GET /%d 200\n" % number for number in range(100)))
    to = MemoryLog()
    replay(path, to, read=ReadOptions(chunk_bytes=1024))
    assert len(to.messages) > 3
    assert {message.headers.get(Headers.HEAD) for message in to.messages if Headers.END not in message.headers} == {
        head.strip()
    }


def test_a_line_that_is_too_long_goes_with_its_length(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(log(3) + b"x" * 5000 + b"\n" + log(3, 10))
    to = MemoryLog()
    result, _ = replay(path, to, read=ReadOptions(chunk_bytes=1024, max_line_bytes=1000))
    (long,) = [message for message in to.messages if Headers.TOO_LONG in message.headers]
    assert long.headers[Headers.TOO_LONG] == b"5000" and long.value == b"x" * 1024
    assert int(long.headers[Headers.POSITION]) == len(log(3))
    assert result.lines == 7


KILLED = """
import sys
from pathlib import Path
from app.sources.files.read_options import ReadOptions
from app.sources.identity.identifier import Identifier
from app.sources.identity.registry import FolderRegistry
from app.sources.replay.run import ReplayOptions, replay_files
from tests.sources.logs import MemoryLog

class Printed(MemoryLog):
    def append(self, messages):
        super().append(messages)
        for message in messages:
            sys.stdout.write(message.headers["position"].decode() + " " + str(len(message.value)) + "\\n")
        sys.stdout.flush()

path = Path(sys.argv[1])
# so slow that a machine that stands still for a second sends no more than a part of it at once
options = ReplayOptions(Identifier(FolderRegistry(path.parent / "sources")), ReadOptions(chunk_bytes=1024), rate=100.0)
sys.exit(replay_files([str(path)], Printed(), options).exit_code)
"""


@pytest.mark.parametrize("point", ["replay_sent:1", "replay_sent:2", "replay_checkpoint:1", "replay_checkpoint:2"])
def test_a_replay_that_was_killed_skips_nothing_and_repeats_only_what_had_no_checkpoint(path: Path, point: str) -> None:
    environ = {**os.environ, "WEBLOGS_CRASH_AT": point}
    root = Path(__file__).parents[2]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)], capture_output=True, text=True, env=environ, cwd=root, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = [tuple(map(int, row.split())) for row in killed.stdout.splitlines()]
    assert before
    rest = MemoryLog()
    assert replay(path, rest)[0].exit_code == 0
    goes_on_at = int(rest.messages[0].headers[Headers.POSITION])
    sent = sum(before[-1])
    if "checkpoint" in point:
        assert goes_on_at == sent
    else:
        assert goes_on_at < sent
    assert b"".join(message.value or b"" for message in rest.messages) == CONTENT[goes_on_at:]


def test_a_rate_of_less_than_a_line_in_centuries_waits_until_it_is_stopped(path: Path) -> None:
    to, stop = MemoryLog(), Event()
    timer = Timer(0.2, stop.set)
    timer.start()
    result, _ = replay(path, to, rate=1e-300, stop=stop)
    timer.join()
    assert result.stopped and result.lines < 300
