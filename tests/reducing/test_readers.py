"""Processes that read change nothing but the time it takes."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.columns.blocks import Ints
from app.domain.lines import BadAt
from app.domain.records import Delivery
from app.domain.windows import Rules
from app.errors import WeblogsError
from app.reducing import readers
from app.reducing.job import Job, Statistics
from app.reducing.readers import Processes, Readers
from app.reducing.run import deliveries_of
from app.sources.files.read_options import ReadOptions
from simulator.log import LogPlan, SimulatedLog
from tests import ROOT

RULES = Rules("last_touch", 3600.0, 600.0)
Reduced = tuple[list[Delivery], Statistics, list[tuple[str, BadAt]]]


def simulated(folder: Path, form: str, lines: int = 4000) -> Path:
    path = folder / f"{form}-{lines}.log"
    log = SimulatedLog(LogPlan(lines, 7, "mixed", form))
    blocks = list(log.blocks())
    blocks.insert(1, "no line of any log\n")
    path.write_text(log.head() + "".join(blocks), "utf-8")
    return path


def reduced(paths: list[Path], processes: int, order: str = "file") -> Reduced:
    rejects: list[tuple[str, BadAt]] = []
    options = ReadOptions(chunk_bytes=20_000, max_line_bytes=4096)
    job = Job([str(path) for path in paths], options, RULES, order, stretch_bytes=50_000, columns_from_bytes=200_000)
    statistics = Statistics()
    with Readers(RULES, processes) as reading:
        noted = job._replace(on_reject=lambda name, bad: rejects.append((name, bad)))
        deliveries = list(deliveries_of(noted, statistics, reading))
    statistics.seconds = 0.0
    return deliveries, statistics, rejects


@pytest.mark.parametrize("form", ["weblog_tsv", "combined_range"])
def test_any_number_of_processes_gives_the_same_deliveries_in_the_same_order(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.reducing.run._SWEEP_HITS", 1000)
    paths = [simulated(tmp_path, form), simulated(tmp_path, "weblog_tsv", 500)]
    wanted = reduced(paths, 0)
    assert wanted[1].rejects and any(delivery.final for delivery in wanted[0])
    assert reduced(paths, 1) == wanted
    assert reduced(paths, 3) == wanted


def test_head_lines_that_change_on_the_way_are_in_force_for_whoever_reads(tmp_path: Path) -> None:
    one = "#Fields: date time c-ip cs(User-Agent) cs-method cs-uri-stem sc-status sc-bytes\n"
    other = "#Fields: date time cs-uri-stem cs-method c-ip cs(User-Agent) sc-status sc-bytes\n"
    text = ["#Version: 1.0\n"]
    for block in range(60):
        text.append(other if block % 2 else one)
        for at in range(100):
            client, name = f"10.0.{block}.{at % 50}", f"/film-{at % 7}.mp4"
            place = f"{name} GET {client} curl/8" if block % 2 else f"{client} curl/8 GET {name}"
            text.append(f"2020-07-31 16:{block:02}:{at % 60:02} {place} 200 {1000 + at}\n")
    path = tmp_path / "extended.log"
    path.write_text("".join(text))
    wanted = reduced([path], 0)
    assert wanted[1].hits == 6000 and not wanted[1].rejects
    assert {delivery.ip_address[:5] for delivery in wanted[0]} == {"10.0."}
    assert reduced([path], 3) == wanted


@pytest.mark.parametrize("order", ["reverse", "random"])
def test_another_order_of_lines_may_be_read_by_processes_too(order: str, tmp_path: Path) -> None:
    paths = [simulated(tmp_path, "weblog_tsv")]
    assert reduced(paths, 2, order) == reduced(paths, 0, order)


def test_what_was_good_before_an_archive_breaks_counts(tmp_path: Path) -> None:
    whole, broken = simulated(tmp_path, "weblog_tsv"), tmp_path / "broken.log.gz"
    broken.write_bytes(gzip.compress(whole.read_bytes())[:-3000])
    deliveries, statistics, _ = reduced([broken, simulated(tmp_path, "combined_range", 500)], 2)
    assert len(statistics.errors) == 1 and "broken.log.gz" in statistics.errors[0]
    assert (deliveries, statistics) == reduced([broken, simulated(tmp_path, "combined_range", 500)], 0)[:2]
    assert statistics.lines > 1000


class Columns:
    """Work whose results are columns of so many bytes."""

    def read(self, sizes: list[int]) -> dict[str, list[Ints]]:
        return {"columns": [np.arange(size, dtype=np.int64) + at for at, size in enumerate(sizes)]}

    def packed(self, result: dict[str, list[Ints]]) -> object:
        return result

    def unpacked(self, packed: Any) -> dict[str, list[Ints]]:
        found: dict[str, list[Ints]] = packed
        return found


@pytest.mark.parametrize("room", [4096, 9 << 20])
def test_columns_that_a_process_hands_back_are_whole_whether_they_fit_in_shared_memory_or_not(
    room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_SHARED_BYTES", room)
    asked = [[3, 0, 5], [], [400, 100], [511, 1], [513], [1, 2, 3, 4], [100_000]]
    with Processes(Columns(), 2) as processes:
        found = list(processes.results(iter(asked)))  # all are kept: none may change when the memory is used again
    for sizes, result in zip(asked, found, strict=True):
        wanted = Columns().read(sizes)
        assert [each.tolist() for each in result["columns"]] == [each.tolist() for each in wanted["columns"]]


def test_a_reader_that_is_killed_ends_the_work_with_one_sentence(tmp_path: Path) -> None:
    path = simulated(tmp_path, "weblog_tsv")
    with pytest.raises(WeblogsError, match="ended from outside"), Readers(RULES, 2) as reading:
        os.kill(reading.pids[0], signal.SIGKILL)
        list(deliveries_of(Job([str(path)], rules=RULES, stretch_bytes=50_000), Statistics(), reading))


def test_readers_end_with_the_process_that_started_them() -> None:
    program = (
        "import sys, time\n"
        "from app.domain.windows import Rules\n"
        "from app.reducing.readers import Readers\n"
        "readers = Readers(Rules(), 2)\n"
        "print(*readers.pids, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = list(map(int, process.stdout.readline().split()))
        process.kill()
    assert len(pids) == 2
    until = time.monotonic() + 30
    while any(map(is_alive, pids)):
        assert time.monotonic() < until, "readers outlive the process they read for"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
