"""What a source is, seen from the store: files that share a head, a file that is rotated while it is followed."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.flow.content import differences, reduced, stored, stored_raw
from tests.flow.running import Flow
from tests.flow.test_flow import simulate


@pytest.mark.long
def test_two_files_that_share_a_head_are_two_files(tmp_path: Path) -> None:
    log, _ = simulate(tmp_path, 60)
    lines = log.read_bytes().splitlines(keepends=True)
    one, other = tmp_path / "one.tsv", tmp_path / "other.tsv"
    one.write_bytes(b"".join(lines[:41]))
    other.write_bytes(b"".join(lines[:31] + lines[41:]))
    with Flow(tmp_path / "var") as flow:
        flow.start_worker()
        flow.wait_started()
        flow.replay_all(one, other)
        flow.replay_all("--again", other, one)
        flow.wait_drained()
        hits, _ = stored_raw(flow.folder)
        assert hits.total() == len(hits) == 40 + 50
        assert (
            differences(stored(flow.folder, ("hits", "ranges")), reduced(one, other, fields=("hits", "ranges"))[0])
            == ""
        )


def wait_for_hits(flow: Flow, count: int) -> None:
    deadline = time.monotonic() + 60
    while stored_raw(flow.folder)[0].total() < count and time.monotonic() < deadline:
        time.sleep(0.2)


@pytest.mark.long
def test_a_file_followed_while_it_is_rotated_a_hundred_times_loses_and_doubles_no_line(tmp_path: Path) -> None:
    log, _ = simulate(tmp_path, 2000)
    head, *lines = log.read_bytes().splitlines(keepends=True)
    followed = tmp_path / "logs" / "access.log"
    followed.parent.mkdir()
    with Flow(tmp_path / "var") as flow:
        flow.start_worker()
        flow.wait_started()
        replay = flow.replay("--follow", "--format", "weblog_tsv", followed)
        for turn in range(100):
            if turn:
                followed.rename(followed.with_name(f"access.log.{turn}"))
            with followed.open("ab") as file:
                file.write(head)
                for line in lines[20 * turn : 20 * turn + 20]:
                    file.write(line)
                    file.flush()
            if turn == 0:  # what was rotated away before anybody followed is not asked for
                wait_for_hits(flow, 20)
            time.sleep(0.02)
        wait_for_hits(flow, 2000)
        replay.send_signal(signal.SIGTERM)
        assert replay.wait(30) == 0
        flow.wait_drained()
        hits, rejects = stored_raw(flow.folder)
    assert hits.total() == len(hits) == 2000
    assert not rejects
