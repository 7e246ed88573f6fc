"""Several processes at one log, and their sudden death."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

from app.transports.embedded.log import EmbeddedLog
from tests.transports.child import BATCH_PAIRS, batch_of


def child(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.transports.child", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_after(process: subprocess.Popen[str], lines: int) -> list[str]:
    """Read that many lines, kill -9, and return all that was printed before the end."""
    assert process.stdout is not None
    printed = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    printed += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    return [line for line in printed if line.endswith("\n")]


def test_producers_in_two_processes_get_distinct_contiguous_offsets(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    first, second = child("produce", path, 150, 3), child("produce", path, 150, 3)
    outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    offsets = [[int(word) for word in output.split()] for output in outputs]
    assert sorted(offsets[0] + offsets[1]) == list(range(900))
    assert all(sorted(mine) == mine for mine in offsets)
    log = EmbeddedLog(path)
    stored = [row.value for row in log.read("lines", 0, 0)]
    assert [stored[offset] for offset in offsets[0]] == [b"%d %d" % (n, i) for n in range(150) for i in range(3)]
    log.close()


def test_a_killed_producer_leaves_whole_transactions_and_all_that_it_was_told_of(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    draw = random.Random(1)
    acknowledged = 0
    for _ in range(3):
        acknowledged += len(kill_after(child("produce", path, 100_000, 7), draw.randrange(1, 60)))
        log = EmbeddedLog(path)
        end = log.end_offset("lines", 0)
        assert end % 7 == 0
        assert end // 7 >= acknowledged
        values = [row.value for row in log.read("lines", 0, 0, max_records=100_000, max_bytes=1 << 30)]
        assert len(values) == end
        assert [int((value or b"").split()[1]) for value in values] == [i % 7 for i in range(end)]
        acknowledged = end // 7
        log.close()


def test_batches_and_compaction_survive_a_kill_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    draw = random.Random(2)
    for _ in range(3):
        printed = kill_after(child("batches", path), draw.randrange(1, 80))
        log = EmbeddedLog(path)
        end = log.end_offset("changes", 0)
        assert end % BATCH_PAIRS == 0
        assert end >= int(printed[-1])
        expected: dict[bytes, bytes | None] = {}
        for number in range(end // BATCH_PAIRS):
            expected.update(batch_of(number))
        state: dict[bytes, bytes | None] = {}
        for pairs in log.read_changelog("changes", 0):
            state.update(pairs)
        assert {k: v for k, v in state.items() if v is not None} == {k: v for k, v in expected.items() if v is not None}
        log.close()
