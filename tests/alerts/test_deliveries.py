"""A file that is delivered whole less often than in its own four weeks is told; chance and few deliveries are not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.__main__ import main
from app.alerts.events import DELIVERY_FIELDS
from app.alerts.rules import read_rules
from app.alerts.run import AlertRun
from app.alerts.sources import of_deliveries
from app.domain.records import Delivery
from app.settings import settings
from app.stores import open_store
from tests import ROOT

SAMPLE = ROOT / "samples/delivery-alerts.toml"
BEGIN = 1_700_006_400.0 // 86_400 * 86_400
DAY_S = 86_400.0
DAYS = 40
FALLEN = range(32, 36)
"""Days on which /film breaks off."""


def delivery(number: int, at: float, request: str, whole: bool, final: bool = True) -> Delivery:
    verdict = "complete" if whole else "partial"
    ranges = [[0, 99]] if whole else [[0, 49]]
    missing = [] if whole else [[50, 99]]
    rest: tuple[Any, ...] = (verdict, "ranges", None, 1, 100, [], [], final, 1, None, [])
    return Delivery(
        f"10.0.{number // 250}.{number % 250}", "agent", request, at, at, at, ranges, missing, 100, 100, True, *rest
    )


def deliveries(*, falls_: bool) -> list[Delivery]:
    """Sixty a day of each of two files, 90 % whole; and a file with three a day, never whole after day 32."""
    chance = random.Random(7)
    made: list[Delivery] = []
    for day in range(DAYS):
        for number in range(60):
            at = BEGIN + day * DAY_S + number * 1400.0
            for request in ("GET /film", "GET /song"):
                share = 0.5 if falls_ and request == "GET /film" and day in FALLEN else 0.9
                made.append(delivery(len(made), at, request, chance.random() < share))
        made += [delivery(len(made), BEGIN + day * DAY_S + 7.0 * at, "GET /rare", day < 32) for at in range(3)]
    chance.shuffle(made)
    return made


def told(folder: Path, made: list[Delivery]) -> list[tuple[str, dict[str, str], int]]:
    async def each() -> AsyncIterator[Delivery]:
        for one in made:
            yield one

    found: list[tuple[str, dict[str, str], int]] = []

    class Kept:
        name = "kept"

        def deliver(self, notice: object) -> None:
            found.append((notice.status, notice.series, round((notice.at - BEGIN) / DAY_S)))  # type: ignore[attr-defined]  # a notice

    with AlertRun(read_rules(SAMPLE, DELIVERY_FIELDS), folder / "state", [Kept()]) as run:
        asyncio.run(of_deliveries(each(), run.take))
        run.settle()
    return found


def test_a_fall_of_one_file_is_told_once_and_its_end_once_and_a_second_look_tells_nothing(tmp_path: Path) -> None:
    made = deliveries(falls_=True)
    film = {"request": "GET /film"}
    assert told(tmp_path, made) == [("firing", film, 33), ("resolved", film, 37)]
    assert told(tmp_path, made) == []


def test_chance_and_few_deliveries_are_not_told(tmp_path: Path) -> None:
    assert told(tmp_path, deliveries(falls_=False)) == []


def test_a_delivery_that_is_not_over_is_not_counted(tmp_path: Path) -> None:
    made = [one._replace(final=one.verdict == "complete") for one in deliveries(falls_=True)]
    assert told(tmp_path, made) == []


def test_the_command_reads_the_store(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEBLOGS_DATA_DIR", str(tmp_path))
        settings.cache_clear()

        async def stored() -> None:
            store = open_store("sqlite", settings())
            await store.open()
            await store.writes.write_deliveries(deliveries(falls_=True))
            await store.close()

        asyncio.run(stored())
        result = CliRunner().invoke(main, ["alerts", "--rules", str(SAMPLE)])
        settings.cache_clear()
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) == 2 and "fewer whole deliveries (request GET /film) firing: " in lines[0]
    assert "resolved" in lines[1]
