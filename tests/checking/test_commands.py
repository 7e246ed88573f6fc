"""The commands: their exit codes, what they print, and `reduce --stores` beside the worker."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.domain.records import Delivery, Hit, Reject
from app.settings import load
from tests import ROOT
from tests.called import call_app
from tests.checking.world import World, some_lines
from tests.flow.running import Flow
from tests.flow.test_flow import simulate


def app(folder: Path, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return call_app(arguments, folder.parent, {"DATA_DIR": folder, "PARTITIONS": 2} | options)


def app_process(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """As users start it."""
    environment = Flow(folder, PARTITIONS=2).environment()
    command = [sys.executable, "-m", "app", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.send(some_lines())
    made.reject(5)
    made.content()
    return made


def test_check_and_repair_tell_by_their_exit_codes(world: World) -> None:
    folder = world.folder
    done = app(folder, "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "sqlite: 41 lines: 40 hits and 1 reject" in done.stdout and "no differences" in done.stdout
    world.sql("DELETE FROM hits WHERE hit_no = 3")
    world.sql("UPDATE deliveries SET verdict = 'complete' WHERE delivery_no = 1")
    done = app_process(folder, "check")
    assert (done.returncode, done.stderr) == (1, "")
    assert "sqlite: 1 hit missing" in done.stdout and "altered" in done.stdout
    done = app(folder, "repair", "--dry-run")
    assert done.returncode == 1
    assert "would be written" in done.stdout
    done = app(folder, "repair")
    assert (done.returncode, done.stderr) == (0, "")
    assert "sqlite: 1 hit written" in done.stdout and "sqlite: no differences" in done.stdout
    assert app(folder, "check").returncode == 0
    done = app(folder, "repair", "--dry-run")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "sqlite: no differences")


def test_check_names_every_difference_as_json(world: World) -> None:
    world.sql("DELETE FROM hits WHERE hit_no <= 30")
    done = app(world.folder, "check", "--json")
    *differences, summary = map(json.loads, done.stdout.splitlines())
    hits = [each for each in differences if each["record"] == "hit"]
    assert len(hits) == 30 and {each["kind"] for each in hits} == {"missing"}
    assert ["sqlite", "hit", "missing", 30] in summary["found"]
    assert summary["lines"] == {"sqlite": {"hits": 40, "rejects": 1}}, (
        "the store's own count, which is named as wrong, too"
    )
    assert len(summary["checksums"]["sqlite"]["hit"]) == 48


def test_people_are_shown_a_bounded_number(world: World) -> None:
    world.sql("DELETE FROM hits WHERE hit_no <= 30")
    assert "and 10 more; --json names all" in app(world.folder, "check").stdout


def test_what_can_not_be_mended_is_said(world: World) -> None:
    world.trim()
    world.sql("DELETE FROM hits")
    world.sql("UPDATE deliveries SET covered_bytes = 1 WHERE delivery_no = 1")
    done = app(world.folder, "repair")
    assert done.returncode == 1
    assert "1 could not be repaired" in done.stderr


def test_a_store_or_a_log_that_is_not_there_is_said_in_one_sentence(world: World, tmp_path: Path) -> None:
    done = app(tmp_path / "nowhere", "check")
    assert done.returncode == 4
    assert done.stderr.count("Error:") == 1 and done.stderr.count("\n") == 1
    assert app(world.folder, "check", BROKER="nats://x").returncode == 2
    assert app(world.folder, "check", "--store", "nosuch").returncode == 2
    (world.folder / "weblogs-log.db").write_bytes(b"no log" * 2000)
    assert app(world.folder, "check").returncode == 4


def test_repair_names_one_store_and_one_origin(world: World) -> None:
    world.sql("DELETE FROM hits WHERE hit_no = 3")
    assert app(world.folder, "repair", "--store", "sqlite", "--from", "raw").returncode == 0
    assert world.found() == [("hit", "missing")], "that one the topic alone has"
    assert app(world.folder, "repair", "--store", "sqlite", "--from", "topic").returncode == 0


def rows(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "weblogs.db")) as db:
        return db.execute(statement).fetchall()


def content(folder: Path) -> tuple[list[Hit], list[Reject], dict[tuple[Any, ...], tuple[Delivery, int]]]:
    """Hits, rejects without their arrival, deliveries with how many hits their version counts."""
    world = World.__new__(World)
    world.settings = load({"WEBLOGS_DATA_DIR": str(folder)})
    hits, rejects, deliveries, _ = world.content()
    shown = {record[:4]: (record._replace(version=0, final=False), record.version >> 3) for record in deliveries}
    return hits, [reject._replace(time=0.0) for reject in rejects], shown


@pytest.mark.parametrize("window", ["last_touch", "first_touch"])
@pytest.mark.long
def test_reduce_fills_a_store_as_a_worker_does_and_each_after_the_other_changes_nothing(
    tmp_path: Path, window: str
) -> None:
    log, _ = simulate(tmp_path, 3000, "--window", window)
    log.write_bytes(
        log.read_bytes() + b"no line at all\n" + b"\t".join(log.read_bytes().splitlines()[5].split(b"\t")[:3]) + b"\n"
    )
    worker, reduced = tmp_path / "worker", tmp_path / "reduced"
    with Flow(worker, WINDOW=window) as flow:
        flow.start_worker()
        flow.wait_started()
        flow.replay_all(log)
        flow.wait_drained()
        flow.stop_worker()
    done = app(reduced, "reduce", log, "--stores", "sqlite", "-q", WINDOW=window)
    assert done.returncode == 0, done.stderr
    wanted = content(worker)
    assert len(wanted[0]) >= 3000 and len(wanted[1]) == 2
    assert content(reduced) == wanted
    # each after the other
    assert app(worker, "reduce", log, "--stores", "sqlite", "-q", WINDOW=window).returncode == 0
    assert content(worker) == wanted
    assert app(worker, "check", WINDOW=window, PARTITIONS=4).returncode == 0
    with Flow(reduced, WINDOW=window) as flow:
        flow.start_worker()
        flow.wait_started()
        flow.replay_all(log)
        flow.wait_drained()
        flow.stop_worker()
    assert content(reduced) == wanted
    assert app(reduced, "check", WINDOW=window, PARTITIONS=4).returncode == 0


def test_reduce_keeps_of_raw_lines_what_the_setting_says(tmp_path: Path) -> None:
    lines = ROOT / "samples" / "nine-lines.tsv"
    log = tmp_path / "log.tsv"
    log.write_bytes(lines.read_bytes() + b"no line\n")
    for kept, counts in (("all", (9, 1)), ("rejected", (0, 1)), ("none", (0, 0))):
        assert app(tmp_path / kept, "reduce", log, "--stores", "sqlite", "-q", STORE_RAW=kept).returncode == 0
        found = rows(tmp_path / kept, "SELECT (SELECT count(*) FROM hits), (SELECT count(*) FROM rejects)")
        assert found == [counts]
        assert len(rows(tmp_path / kept, "SELECT * FROM deliveries")) == 2


def test_reduce_says_which_stores_there_are(tmp_path: Path) -> None:
    log = ROOT / "samples" / "nine-lines.tsv"
    assert "there is no store 'nosuch'" in app(tmp_path, "reduce", log, "--stores", "nosuch").stderr
    assert app(tmp_path, "reduce", log, "--stores", "nosuch").returncode == 2
    assert app(tmp_path, "reduce", log, "--stores", " , ").returncode == 2
