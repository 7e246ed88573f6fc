"""What docs/explanation/beside-goaccess.md says: where the numbers of GoAccess and of `report` differ on the same log, and why."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.reports import questions
from tests.reports.logs import asked, column, head, line, total, written
from tests.test_real_logs import real

ONE, TWO = "192.0.2.1", "192.0.2.2"
CUT_OFF = line("192.0.2.3", "GET /a.mp3 HTTP/1.1", 200, 235).removesuffix('"')


def goaccess(log: Path, folder: Path) -> dict[str, Any]:
    out = folder / "goaccess.json"
    command = [
        "goaccess",
        str(log),
        "-o",
        str(out),
        "--log-format=COMBINED",
        "--no-progress",
        "--no-global-config",
        "--max-items=100000",
    ]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    told: dict[str, Any] = json.loads(out.read_bytes().decode("utf-8", "replace"))
    return told


def panel(told: dict[str, Any], name: str, what: str = "hits") -> dict[str, int]:
    return {row["data"]: row[what]["count"] for row in told[name]["data"]}


@pytest.mark.servers
def test_each_difference_has_its_line(tmp_path: Path) -> None:
    log = written(
        tmp_path / "a.log",
        [
            line(ONE, "GET /a.html?x=1 HTTP/1.1"),
            line(ONE, "GET /a.html?x=2 HTTP/1.1"),
            line(TWO, "GET /gone.html?x=1 HTTP/1.1", 404),
            line(TWO, "GET /gone.html?x=2 HTTP/1.1", 404),
            CUT_OFF,
        ],
    )
    told = goaccess(log, tmp_path)
    report = questions.requests(asked(log), "status")
    # a line that was cut off inside its agent is a request there, and a reject here
    assert told["general"]["valid_requests"] == 5 and (head(report)["hits"], head(report)["rejects"]) == (4, 1)
    assert told["general"]["bandwidth"] - total(report, "bytes") == 235
    # a client that met 4xx alone is no visitor there
    assert told["general"]["unique_visitors"] == 2 and total(questions.visitors(asked(log)), "visitors") == 2
    assert total(questions.visitors(asked(log, statuses=("2xx",))), "visitors") == 1
    # a query makes another file there
    assert panel(told, "not_found") == {"/gone.html?x=1": 1, "/gone.html?x=2": 1}
    assert column(questions.not_found(asked(log)), "requests") == {"/gone.html": 2}


@pytest.mark.real_logs
def test_the_page_has_the_numbers_of_the_apache_log(tmp_path: Path) -> None:
    log = real("apache_logs")
    told = goaccess(log, tmp_path)
    general = told["general"]
    assert (general["valid_requests"], general["failed_requests"], general["bandwidth"]) == (10_000, 0, 2_747_282_740)
    report = questions.requests(asked(log), "status")
    assert (head(report)["hits"], head(report)["rejects"], total(report, "bytes")) == (9999, 1, 2_747_282_740 - 235)
    statuses = {
        int(item["data"][:3]): item["hits"]["count"] for row in told["status_codes"]["data"] for item in row["items"]
    }
    ours = column(report, "requests")
    assert {code: count - ours[code] for code, count in statuses.items() if count != ours[code]} == {200: 1}
    assert panel(told, "visitors") == {"20150517": 1632, "20150518": 2893, "20150519": 2896, "20150520": 2579}
    hosts, theirs = column(questions.hosts(asked(log, top=10**6)), "requests"), panel(told, "hosts")
    assert len(theirs) == len(hosts) == 1753
    assert {host: count - hosts[host] for host, count in theirs.items() if count != hosts[host]} == {
        "46.118.127.106": 1
    }
    assert (
        list(panel(told, "visitors", "visitors").values()) == [523, 570, 643, 359]
        and general["unique_visitors"] == 2095
    )
    all_days = column(questions.visitors(asked(log)), "visitors")
    assert list(all_days.values()) == [365, 660, 586, 532]
    without_4xx = column(questions.visitors(asked(log, statuses=("2xx", "3xx", "5xx"))), "visitors")
    assert list(without_4xx.values()) == [359, 643, 570, 522]
    assert (general["unique_not_found"], total(questions.not_found(asked(log)), "paths")) == (70, 66)
    assert (
        panel(told, "browsers")["Crawlers"] == 1805
        and total(questions.crawlers(asked(log)), "requests of crawlers") == 1955
    )
