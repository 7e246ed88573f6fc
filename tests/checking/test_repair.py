"""`repair` joins late hits, judges by new sizes, stands being killed, and mends any set of damages."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.records import Delivery
from app.domain.windows import Rules
from tests import ROOT
from tests.checking.world import BASE_S, HOUR_S, Line, World, some_lines
from tests.properties import examples
from tests.steps.flow import KEY, Key, reduced

DAY_S = 86400.0


def lines_and_late_ones(window: str) -> tuple[list[Line], list[Line]]:
    """One delivery, later lines by which it is over, and hits of it that come after that."""
    early = [Line(BASE_S + HOUR_S * n, 10 * n, 10 * n + 9, 100 * n) for n in range(3)]
    much_later = [
        Line(BASE_S + 9 * DAY_S, 0, 9, 1000 + n, ("x", "y", f"GET /{n}"), "a log") for n in range(8)
    ]  # in every partition
    late = [
        Line(BASE_S + HOUR_S * 2.5, 30, 39, 2000, source="another log"),
        Line(BASE_S - HOUR_S, 40, 49, 2100, source="another log"),
    ]
    return early + much_later, late


def visible(world: World) -> dict[Key, list[Delivery]]:
    found: dict[Key, list[Delivery]] = {}
    for record in world.content()[2]:
        found.setdefault(record[:3], []).append(record._replace(version=0, final=False))
    return found


@pytest.mark.parametrize("trimmed", [False, True])
@pytest.mark.parametrize("window", ["last_touch", "first_touch", "day"])
def test_a_late_hit_after_the_eviction_is_joined_from_the_raw_records(
    tmp_path: Path, window: str, trimmed: bool
) -> None:
    world = World(tmp_path, window)
    lines, late = lines_and_late_ones(window)
    world.send(lines, now=1.0)
    world.send([], now=2.0, tick=True)
    assert [record for record in world.content()[2] if record.final], "it is evicted"
    world.send(late, now=3.0)
    wanted = reduced(lines + late, Rules(window))
    assert visible(world) != wanted
    assert world.found() != []
    if trimmed:
        world.trim()
    world.repair()
    assert visible(world) == wanted
    assert world.found() == []
    assert world.repair().mended.total() == 0
    if not trimmed:  # what the topic still says is older: written again it changes nothing
        world.send([Line(BASE_S + 9 * DAY_S + 1, 0, 9, 1100, ("x", "y", "GET /z"), "a log")], now=4.0)
        assert visible(world)[KEY] == wanted[KEY]
        assert world.found() == []


def test_a_hit_that_joins_what_repair_joined_before_is_joined_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    lines, late = lines_and_late_ones("last_touch")
    world.send(lines, now=1.0)
    world.send([], now=2.0, tick=True)
    for at, line in enumerate(late):
        world.send([line], now=3.0 + at)
        world.repair()
        assert visible(world) == reduced(lines + late[: at + 1], Rules())
        assert world.found() == []


def test_deliveries_are_judged_anew_when_the_sizes_change(tmp_path: Path) -> None:
    world = World(tmp_path, size_of=lambda request, time: 1000)
    world.send(some_lines())
    assert world.found() == []
    world.size_of = lambda request, time: 25
    assert {kind for _, kind in world.found()} == {"altered"}
    world.repair()
    assert world.found() == []
    assert {record.total_bytes for record in world.content()[2]} == {25}
    assert world.repair().mended.total() == 0


def test_only_from_raw_and_only_from_the_topic(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send(some_lines())
    before = world.content()
    world.sql("UPDATE deliveries SET ranges = '0-1' WHERE delivery_no = 3")
    world.sql("DELETE FROM hits WHERE hit_no = 2")
    report = world.repair(topic=False)
    assert report.mended["sqlite", "delivery", "written"] == 1
    assert world.found() == [("hit", "missing")], "the topic alone knows it"
    world.repair(raw=False)
    assert world.content()[:3] == before[:3]
    world.sql("UPDATE deliveries SET ranges = '0-1' WHERE delivery_no = 3")
    world.repair(raw=False)
    assert world.content()[:3] == before[:3]


@pytest.mark.long
def test_killed_in_the_middle_and_run_again_it_is_level(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.send(some_lines(2500))
    before = world.content()
    world.sql("DELETE FROM hits WHERE hit_no > 100")
    world.sql("UPDATE deliveries SET verdict = 'unknown' WHERE delivery_no < 5")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WEBLOGS_")}
    command = [sys.executable, "-m", "app", "repair"]
    for point in ("mended:2", "mended:1", "mended:3"):
        killed = subprocess.run(
            command,
            cwd=ROOT,
            env=inherited | world.environment | {"WEBLOGS_CRASH_AT": point},
            capture_output=True,
            check=False,
        )
        assert killed.returncode in (-signal.SIGKILL, 0), killed.stderr
        if point == "mended:2":
            assert killed.returncode == -signal.SIGKILL
            assert world.found() != []
    done = subprocess.run(
        command, cwd=ROOT, env=inherited | world.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sqlite: no differences" in done.stdout
    assert world.content() == before


_DAMAGES = (
    "DELETE FROM hits WHERE hit_no % 11 = ?",
    "DELETE FROM deliveries WHERE delivery_no % 5 = ?",
    "DELETE FROM rejects WHERE reject_no = 1 + ?",
    "UPDATE hits SET lo = lo + 3 WHERE hit_no % 11 = ?",
    "UPDATE hits SET time = time + 90000 WHERE hit_no % 11 = ?",
    "UPDATE hits SET key_no = 1 + (key_no + 1) % 7 WHERE hit_no % 11 = ?",
    "UPDATE hits SET position = position + 1 WHERE hit_no % 11 = ? AND position BETWEEN 1000 AND 2500",
    "UPDATE deliveries SET version = version + 8 WHERE delivery_no % 5 = ?",
    "UPDATE deliveries SET version = 8 WHERE delivery_no % 5 = ?",
    "UPDATE deliveries SET ranges = '5-6', covered_bytes = 2 WHERE delivery_no % 5 = ?",
    "UPDATE deliveries SET superseded_by = 1.0 WHERE delivery_no % 5 = ?",
    "UPDATE deliveries SET window_start = window_start + 7 WHERE delivery_no % 5 = ?",
    "UPDATE deliveries SET hits = hits - 1 WHERE delivery_no % 5 = ?",
    "UPDATE rejects SET reason = 'bad_range' WHERE reject_no = 1 + ?",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("whole"))
    world.send(some_lines())
    world.reject(5, 6, 7)
    world.send(some_lines(20, first=100, begin_s=BASE_S + 3 * DAY_S))
    world.content()
    return world


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(_DAMAGES), st.integers(0, 4)), min_size=1, max_size=5, unique=True))
@pytest.mark.timeout(900)
@pytest.mark.long
def test_any_set_of_damages_is_mended(whole: World, damages: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        world = World.__new__(World)
        world.__dict__.update(whole.__dict__)
        world.folder = Path(name)
        shutil.copytree(whole.folder, world.folder, dirs_exist_ok=True)
        world.environment = whole.environment | {"WEBLOGS_DATA_DIR": name}
        world.settings = type(whole.settings)(data_dir=world.folder, partitions=whole.settings.partitions)
        before = world.content()
        for statement, number in damages:
            world.sql(statement.replace("UPDATE", "UPDATE OR IGNORE"), number)
        damaged = world.content()[:3] != before[:3]
        report = world.repair()
        assert (report.differences > 0) >= damaged
        for _ in range(2):
            if world.found():
                world.repair()
        assert world.found() == []
        assert world.content() == before
        assert world.repair().mended.total() == 0
