"""Event time decides, not the order of arrival: logs backwards, late, old beside new, with a line from the far future."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from subprocess import run

import pytest

from app.domain.windows import Rules
from tests import ROOT
from tests.flow.content import COMPARED, Content, differences, reduced, stored, stored_raw
from tests.flow.running import Flow
from tests.flow.test_flow import ask

HOUR = 3600
RULES = Rules("last_touch", 900.0, 1800.0)


def line(when: float, client: str, request: str, lo: int, hi: int) -> str:
    day, time = datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S").split()
    return f"{day}\t{time}\t{client}\tplayer/1\tGET /{request}\t206\t{lo}-{hi}\n"


def hours(begin: float, client: str, count: int = 24) -> list[str]:
    """A log of `count` hours: each hour three pieces of a new session, five minutes apart, and one that repeats."""
    lines = []
    for hour in range(count):
        at = begin + hour * HOUR
        lines += [line(at + 300 * piece, client, "file.mp3", 100 * piece, 100 * piece + 100) for piece in range(3)]
        lines.append(line(at + 601, client, "file.mp3", 100, 200))
    return lines


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(lines))
    return path


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """Many logs through one worker that sweeps all the time; every log has clients of its own."""
    folder = tmp_path_factory.mktemp("crossing")
    new, old = datetime(2015, 5, 17, tzinfo=UTC).timestamp(), datetime(1995, 8, 1, tzinfo=UTC).timestamp()
    day = 24 * HOUR
    future = hours(new, "192.0.2.4")
    future.insert(40, line(datetime(2099, 1, 1, tzinfo=UTC).timestamp(), "192.0.2.4", "file.mp3", 0, 9))
    logs = [
        write(folder / "backwards.tsv", hours(new, "192.0.2.1")[::-1]),
        write(folder / "today.tsv", hours(new + day, "192.0.2.2", 24)),
        write(folder / "yesterday.tsv", hours(new, "192.0.2.2", 24)),
        write(folder / "2015.tsv", hours(new, "192.0.2.3")),
        write(folder / "1995.tsv", hours(old, "192.0.2.3")),
        write(folder / "2099.tsv", future),
    ]
    with Flow(
        folder / "var", WINDOW_LENGTH=RULES.length_s, LATENESS=RULES.lateness_s, TICK_INTERVAL=0.1, CHUNK_BYTES=1024
    ) as flow:
        flow.start_worker()
        flow.wait_started()
        side_by_side = [flow.replay("--rate", 60, path) for path in logs[3:]]
        flow.replay_all("--rate", 60, *logs[:3])
        assert [process.wait(60) for process in side_by_side] == [0, 0, 0]
        flow.wait_drained()
        flow.stop_worker()
    return flow.folder, logs


@pytest.mark.long
def test_logs_backwards_late_old_and_from_the_future_give_what_reduce_gives(crossing: tuple[Path, list[Path]]) -> None:
    folder, logs = crossing
    wanted: Content = {}
    for alone in ([logs[0]], logs[1:3], [logs[3]], [logs[4]], [logs[5]]):
        wanted |= reduced(*alone, rules=RULES)[0]
    assert len(wanted) == 24 * 6
    found = stored(folder)
    assert differences(found, wanted) == ""
    assert {row[COMPARED.index("hits")] for row in found.values()} == {4}


@pytest.mark.long
def test_a_line_from_2099_is_a_reject_and_closes_no_window(crossing: tuple[Path, list[Path]]) -> None:
    folder, _ = crossing
    hits, rejects = stored_raw(folder)
    assert hits.total() == len(hits) == 24 * 6 * 4
    assert rejects.total() == 1


@pytest.mark.long
def test_deliveries_are_final_once_the_watermark_has_passed_them(crossing: tuple[Path, list[Path]]) -> None:
    folder, _ = crossing
    final = stored(folder, ("final",))
    of_1995 = [row for key, row in final.items() if key[0] == "192.0.2.3" and key[3] < 1e9]
    assert of_1995.count((True,)) >= 20
    assert (False,) in final.values()  # the newest hours stay open


@pytest.mark.long
@pytest.mark.parametrize(
    ("window", "starts"), [("day", [0, 1, 3]), ("first_touch", [0, 2, 3]), ("last_touch", [0, 3]), ("all", [0])]
)
def test_the_four_requests_of_the_podcast_guideline_are_cut_by_each_window(
    tmp_path: Path, window: str, starts: list[int]
) -> None:
    log = ROOT / "samples" / "windows.tsv"
    with Flow(tmp_path / "var", WINDOW=window, REPLAY=log) as flow:
        flow.start_worker()
        flow.wait_started()
        flow.wait_drained()
        found = stored(flow.folder, ("first",))
        key = next(iter(found))[:3]
        answer = ask(flow.folder, "-i", key[0], "-u", key[1], "-r", key[2], "--all-windows", "--json")
    times = sorted(row[0] for row in reduced(log, rules=Rules("first_touch", 1.0), fields=("first",))[0].values())
    assert sorted(row[0] for row in found.values()) == [times[at] for at in starts]
    assert len(json.loads(answer.stdout)["deliveries"]) == len(starts)


@pytest.mark.long
def test_four_playbacks_through_the_worker_agree_with_reduce(tmp_path: Path) -> None:
    log = tmp_path / "log.tsv"
    run([sys.executable, "-m", "app", "simulate", "weblogs", "-n", "600", "-o", str(log), "-q"], cwd=ROOT, check=True)
    for order in ("file", "reverse", "random", "sample"):
        with Flow(tmp_path / order) as flow:
            flow.start_worker()
            flow.wait_started()
            flow.replay_all("--order", order, "--seed", 5, log)
            flow.wait_drained()
            found = stored(flow.folder)
        assert differences(found, reduced(log, order=order, seed=5)[0]) == "", order


@pytest.mark.long
def test_lines_without_a_client_are_hits_and_no_deliveries(tmp_path: Path) -> None:
    with Flow(tmp_path / "var", REPLAY=ROOT / "samples" / "cdn.tsv") as flow:
        flow.start_worker()
        flow.wait_started()
        flow.wait_drained()
        assert stored(flow.folder) == {}
        hits, rejects = stored_raw(flow.folder)
    assert (hits.total(), rejects.total()) == (10, 0)
