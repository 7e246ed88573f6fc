"""Backup, restore and upgrade, by the commands of the how-to page."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.process.exit import EXIT_REFUSED
from app.transports.embedded.log import EmbeddedLog
from app.transports.messages import Message
from tests import ROOT
from tests.flow.content import differences, reduced, stored
from tests.flow.running import Flow
from tests.flow.test_flow import simulate
from tests.flow.voting import call, post

PAGE = ROOT / "docs" / "how-to" / "back-up-and-restore.md"
HERE = re.sub(r"^### Elasticsearch$.*?(?=^## )", "", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
"""Without the snapshots of a server, which tests/live/test_snapshots.py takes."""
BACK_UP, RESTORE, REPAIR, UPGRADE = re.findall(r"^```sh\n(.*?)^```", HERE, re.MULTILINE | re.DOTALL)
FOLDERS = ROOT / "tests" / "data" / "forms"
LINES = 3000


def shell(flow: Flow, commands: str) -> subprocess.CompletedProcess[str]:
    """Run commands of the page in the folder above `var`."""
    assert flow.folder.name == "var"
    place = flow.folder.parent
    if not (place / ".venv").exists():
        (place / ".venv" / "bin").mkdir(parents=True)
        python = place / ".venv" / "bin" / "python"
        python.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} "$@"\n')
        python.chmod(0o755)
    return subprocess.run(
        ["sh", "-c", commands], cwd=place, env=flow.environment(), capture_output=True, text=True, check=False
    )


def check(flow: Flow) -> subprocess.CompletedProcess[str]:
    return shell(flow, ".venv/bin/python -m app check")


def assert_all_is_counted_once(flow: Flow, log: Path) -> None:
    """The store has what reduce makes of the file, and check finds nothing."""
    flow.wait_drained()
    content, statistics = reduced(log)
    assert differences(stored(flow.folder), content) == ""
    told = check(flow)
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"sqlite: {statistics.hits:,} hits in the store" in told.stdout


@pytest.mark.long
@pytest.mark.parametrize("running", [False, True], ids=["stopped", "while the worker runs"])
def test_a_restored_folder_is_checked_or_repaired_and_the_next_lines_count_once(tmp_path: Path, running: bool) -> None:
    log, _ = simulate(tmp_path, LINES)
    with Flow(tmp_path / "var") as flow:
        flow.start_worker()
        flow.wait_started()
        replay = flow.replay(*(("--rate", LINES / 6) if running else ()), "--chunk-bytes", 8 << 10, log)
        if running:
            time.sleep(3)
        else:
            assert replay.wait(60) == 0
            flow.wait_drained()
            flow.stop_worker()
        saved = shell(flow, BACK_UP)
        assert saved.returncode == 0, saved.stderr
        if running:
            assert replay.poll() is None, "the replay was over before the backup: nothing was shown"
            replay.kill()
            replay.wait()
            flow.kill_worker()
        told = shell(flow, RESTORE)
        assert not (flow.folder / "tables").exists()
        assert (flow.folder.parent / "var.old" / "weblogs.db").exists()
        if told.returncode == 1:
            assert running and "missing" in told.stdout
            mended = shell(flow, REPAIR)
            assert mended.returncode == 0, mended.stdout + mended.stderr
        else:
            assert told.returncode == 0, told.stdout + told.stderr
        flow.start_worker()
        flow.wait_started()
        flow.replay_all(log)
        assert_all_is_counted_once(flow, log)


@pytest.mark.long
def test_a_backup_beside_a_running_worker_has_nothing_ahead_of_the_log(tmp_path: Path) -> None:
    order = [BACK_UP.index(name) for name in ("sources", "weblogs.db", "weblogs-log.db")]
    assert order == sorted(order)


@pytest.mark.long
def test_a_state_on_disk_that_is_ahead_of_a_restored_log_is_named_and_read_anew(tmp_path: Path) -> None:
    log, _ = simulate(tmp_path, 100)
    with Flow(tmp_path / "var") as flow:

        def vote(*names: str) -> None:
            status, answer = post(flow.url(), "/votes/", [{"candidate_id": 1, "vote_id": name} for name in names])
            assert status == 200, answer

        flow.start_worker()
        flow.wait_started()
        flow.replay_all(log)
        vote("a", "b")
        flow.wait_drained()
        assert shell(flow, BACK_UP).returncode == 0
        vote("c", "d", "e", "f")
        flow.wait_drained()
        flow.stop_worker()
        assert shell(flow, RESTORE).returncode == 0
        shutil.copytree(flow.folder.parent / "var.old" / "tables", flow.folder / "tables")
        flow.start_worker()
        flow.wait_started()
        vote("c", "d", "b")
        flow.wait_drained()
        assert "on disk is ahead of its changelog" in flow.log_text()
        assert check(flow).returncode == 0
        assert flow.get("result/")[0] == [{"candidate_id": 1, "num_vote": 4}]  # type: ignore[index]


@pytest.mark.long
def test_a_store_that_is_ahead_of_a_restored_log_is_named_by_check(tmp_path: Path) -> None:
    """The log gives offsets a second time, and lines without ids have their ids from them."""
    log, _ = simulate(tmp_path, 40)
    lines = log.read_bytes().splitlines(keepends=True)

    def send(flow: Flow, some: list[bytes]) -> None:
        status, _, answer = call(flow.url(), "/weblogs/", b"".join(some), {"Content-Type": "text/plain"})
        assert status == 200, answer
        flow.wait_drained()

    with Flow(tmp_path / "var", FORMAT="weblog_tsv") as flow:
        flow.start_worker()
        flow.wait_started()
        send(flow, lines[1:11])
        assert shell(flow, BACK_UP).returncode == 0
        send(flow, lines[11:21])
        flow.stop_worker()
        assert shell(flow, RESTORE).returncode == 0
        for name in ("weblogs.db", "weblogs.db-wal", "weblogs.db-shm"):
            if (newer := flow.folder.parent / "var.old" / name).exists():
                shutil.copy(newer, flow.folder)
        flow.start_worker()
        flow.wait_started()
        send(flow, lines[21:31])
        told = check(flow)
        assert told.returncode == 1 and "altered" in told.stdout, told.stdout + told.stderr


def test_the_high_water_mark_that_the_page_names_is_the_next_offset_of_each_partition(tmp_path: Path) -> None:
    with closing(EmbeddedLog(tmp_path / "log.db")) as log:
        log.create_topic("weblogs", 1)
        log.append([Message("weblogs", 0, None, b"a line\n", {}, 0.0)])
    with closing(sqlite3.connect(tmp_path / "log.db")) as db:
        assert db.execute("SELECT next_offset FROM partitions").fetchall() == [(1,)]


# -- upgrade


@pytest.mark.long
def test_a_folder_of_older_forms_is_read_and_its_unread_messages_count_once(tmp_path: Path) -> None:
    """The folder: 500 lines of `simulate weblogs --seed 5`, 100 of them read by the flow alone and 100 by nobody, three votes, one payment."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert UPGRADE.splitlines() == ["git pull", "make setup"] and "setup" in targets
    log = tmp_path / "access.log"
    whole, _ = simulate(tmp_path, 600, seed=5)
    log.write_bytes(b"".join(whole.read_bytes().splitlines(keepends=True)[:501]))
    with Flow(tmp_path / "var", PARTITIONS=2) as flow:
        with tarfile.open(FOLDERS / "folder-1.tar.xz") as packed:
            packed.extractall(flow.folder, filter="data")
        flow.start_worker()
        flow.wait_started()
        flow.replay_all(log)  # sends nothing: its checkpoint is read, too
        assert_all_is_counted_once(flow, log)
        told = check(flow).stdout
        assert "sqlite: 3 votes in the store" in told and "sqlite: 1 transaction in the store" in told


@pytest.mark.long
def test_a_folder_from_before_forms_had_numbers_ends_with_78_and_a_sentence_and_stays_as_it_is(tmp_path: Path) -> None:
    with Flow(tmp_path / "var", PARTITIONS=1) as flow:
        with tarfile.open(FOLDERS / "folder-0.tar.xz") as packed:
            packed.extractall(flow.folder, filter="data")
        before = (flow.folder / "weblogs.db").read_bytes()
        worker = flow.start_worker()
        assert worker.wait(60) == EXIT_REFUSED
        (line,) = [line for line in flow.log_text().splitlines() if "Worker stopped" in line]
        assert re.search(r"has no form number; this program knows form \d; use the program that wrote it", line)
        assert (flow.folder / "weblogs.db").read_bytes() == before
