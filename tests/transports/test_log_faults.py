"""What the log says when its disk or file fails, and that it keeps what it had acknowledged."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import LogError
from app.transports.embedded.log import EmbeddedLog
from app.transports.messages import Message


def line(size: int = 50_000) -> Message:
    return Message("lines", 0, None, b"x" * size, {}, 0.0)


def limit_pages(log: EmbeddedLog, pages: int) -> None:
    """SQLite then answers as on a full disk."""
    log._writer.db.execute(f"PRAGMA max_page_count={pages}")


def test_a_full_disk_is_one_sentence_and_the_log_goes_on_when_there_is_room(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.db")
    log.create_topic("lines", 1)
    limit_pages(log, 100)
    acknowledged = 0
    with pytest.raises(LogError, match=r"the disk \(or quota\) that holds the log .*log\.db is full: free space there"):
        while True:
            log.append([line(), line()])
            acknowledged += 2
    assert acknowledged > 0
    assert log.end_offset("lines", 0) == acknowledged == len(log.read("lines", 0, 0))
    limit_pages(log, 1_000_000)
    assert log.append([line()]) == [acknowledged]
    log.close()


def test_a_refusing_file_system_is_one_sentence_and_whole_transactions_stay(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    command = [sys.executable, "-m", "tests.transports.child", "limited", str(path), "2000000"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert re.fullmatch(r"the disk .*log\.db (fails or )?is full.*\n", run.stderr), run.stderr
    acknowledged = len(run.stdout.split())
    log = EmbeddedLog(path)
    assert acknowledged > 5
    assert log.end_offset("lines", 0) == acknowledged == len(log.read("lines", 0, 0))
    assert log.append([line()]) == [acknowledged]
    log.close()


def test_bytes_that_are_no_database_are_named_so(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(b"not a database, but long enough to be looked at as one" * 100)
    with pytest.raises(LogError, match=r"log\.db is no embedded log: set WEBLOGS_BROKER"):
        EmbeddedLog(path)


def test_a_damaged_log_is_named_so(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    log = EmbeddedLog(path)
    log.create_topic("lines", 1)
    log.append([line(4000) for _ in range(200)])
    log.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(size - 8192))
    with pytest.raises(LogError, match=r"log\.db is damaged: move it away"):
        EmbeddedLog(path).read("lines", 0, 0)


def test_a_folder_in_the_place_of_the_log_is_named_so(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="cannot be opened"):
        EmbeddedLog(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match="cannot be used"):
        EmbeddedLog(tmp_path / "file" / "log.db")


def test_a_log_locked_for_too_long_is_one_sentence(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.db")
    log.create_topic("lines", 1)
    other = sqlite3.connect(log.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    log._writer.busy_s = 0.05
    with pytest.raises(LogError, match="was locked by another process"):
        log.append([line(10)])
    other.execute("ROLLBACK")
    other.close()
    assert log.append([line(10)]) == [0]
    log.close()


def test_a_closed_log_says_so(tmp_path: Path) -> None:
    log = EmbeddedLog(tmp_path / "log.db")
    log.create_topic("lines", 1)
    log.close()
    with pytest.raises(LogError, match="is closed"):
        log.append([line(10)])
    with pytest.raises(LogError, match="is closed"):
        log.read("lines", 0, 0)
