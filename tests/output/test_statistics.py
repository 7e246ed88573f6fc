"""One list of numbers, one set of words: `reduce`, `run`, `check`, the page and the web face say the same of the same lines."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.__main__ import main
from app.checking.report import CheckReport
from app.cli.checking.screen import Listing, tell
from app.cli.run.report import Findings, found_lines
from app.domain.records import Delivery
from app.domain.totals import Totals
from app.settings import Settings, settings
from app.stores import open_store
from app.transports.broker_view import GroupPositions
from app.transports.producers import open_producer
from tests.web.conftest import ToldStatus, served
from tests.web.test_page import page_of

_LINE = '198.51.100.{client} - - [31/Jul/2024:10:00:{second:02} +0000] "{request} HTTP/1.1" {status} {sent} "-" "P" "{range}"'


def _log() -> str:
    def line(client: int, request: str, status: int, sent: int, range_: str, second: int = 0) -> str:
        return _LINE.format(client=client, second=second, request=request, status=status, sent=sent, range=range_)

    whole = [line(1, "GET /whole", 206, 500, f"bytes {lo}-{lo + 499}/1000", lo // 100) for lo in (0, 500)]
    resumed = [
        line(2, "GET /resumed", 206, 400, "bytes 0-999/1000"),
        line(2, "GET /resumed", 206, 600, "bytes 400-999/1000", 9),
    ]
    gap = [line(3, "GET /gap", 206, 500, f"bytes {lo}-{lo + 499}/2000", lo // 100) for lo in (0, 1500)]
    plain = [line(client, "GET /plain", 200, 777, "-") for client in (4, 5, 6)]
    unknown = [line(7, "GET /lone", 200, 5, "-")]
    others = [
        line(8, "POST /whole", 200, 9, "-"),
        line(8, "GET /whole", 404, 9, "-"),
        line(8, "HEAD /whole", 200, 0, "-"),
    ]
    bad = ["no line at all", line(9, "GET /whole", 999, 9, "-")]
    return "\n".join([*whole, *resumed, *gap, *plain, *unknown, *others, *bad]) + "\n"


Told = tuple[dict[str, int], Settings]


def _rows(text: str) -> dict[str, int]:
    """Names and numbers, wherever they are indented to."""
    found = re.findall(r"^ *([a-z][\w ()/]*?)  +([0-9,]+)$", text, re.MULTILINE)
    return {name: int(number.replace(",", "")) for name, number in found}


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """What `reduce` tells of the log, and the settings of the store that it wrote to."""
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    Path("in.log").write_text(_log())
    done = CliRunner().invoke(main, ["reduce", "in.log", "--learn-sizes", "--stores", "sqlite", "-o", "out.jsonl"])
    assert done.exit_code == 0, done.output
    rows = _rows(done.output)
    for name in ("lines", "head lines", "lines/s"):
        rows.pop(name)
    yield rows, settings()
    settings.cache_clear()


async def _deliveries(own: Settings) -> list[Delivery]:
    store = open_store("sqlite", own, read_only=True)
    await store.open()
    try:
        return await store.reads.newest_deliveries(50, "complete")
    finally:
        await store.close()


async def _totals(own: Settings) -> Totals:
    store = open_store("sqlite", own, read_only=True)
    await store.open()
    try:
        return await store.reads.counts()
    finally:
        await store.close()


def test_reduce_run_and_check_tell_the_same_rows(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    reduced, own = told
    wanted = {
        "hits": 13, "not counted": 3, "rejects": 2, "deliveries": 7, "complete": 5, "partial": 1, "unknown": 1,
        "of them resumed after a broken response": 1, "of them by a learned size": 3, "size unknown": 1,
        "start missing": 0, "middle missing (gap)": 1,
    }  # fmt: skip
    assert wanted.items() <= reduced.items()
    totals = asyncio.run(_totals(own))
    assert _rows("\n".join(found_lines(Findings(totals, [])))) == reduced
    (resumed,) = [one for one in asyncio.run(_deliveries(own)) if one.evidence == "resumed"]
    assert found_lines(Findings(totals, [resumed]))[-2:] == [
        "  bytes 400-999; in doubt 0-399; 600 of 1,000 bytes covered by 2 hits from 2024-07-31T10:00:00Z on",
        "  Whole, if the client had received what was sent before the connection broke: bytes 0-399.",
    ]
    report = CheckReport()
    report.totals["sqlite"] = totals
    tell(report, Listing(as_json=False), as_json=False)
    assert _rows(capsys.readouterr().out) == reduced
    tell(report, Listing(as_json=True), as_json=True)
    assert json.loads(capsys.readouterr().out)["statistics"]["sqlite"] == totals.as_json


async def test_the_page_and_the_web_face_tell_the_same_numbers_in_the_same_words(told: Told) -> None:
    reduced, own = told
    totals = await _totals(own)
    store = open_store("sqlite", own)
    await store.open()
    producer = open_producer(own)
    async with served(store, ToldStatus(), producer, own) as client:
        text = " ".join((await page_of(client, "/")).text.split())
        answer = await (await client.get("/statistics/")).json()
        metrics = await (await client.get("/metrics")).text()
    producer.close()
    await store.close()
    assert answer == {"success": True, **totals.as_json, "not_read": []}
    assert answer["hits_not_counted"] == reduced["not counted"]
    assert f"Hits not counted {reduced['not counted']}" in text
    for name in ("of them resumed after a broken response", "of them by a learned size"):
        assert f"complete {name} {reduced[name]}" in text
    for name in ("middle missing (gap)", "size unknown"):
        assert re.search(rf"(partial|unknown) {re.escape(name)} .*? {reduced[name]} ", text)
    for evidence, number in totals.complete.items():
        assert f'weblogs_complete_deliveries{{evidence="{evidence}"}} {float(number)}' in metrics


@pytest.mark.parametrize("topic", ["weblogs_tokens", "weblogs_reduced"])
async def test_while_hits_are_on_their_way_nobody_is_told_that_they_do_not_count(told: Told, topic: str) -> None:
    _, own = told
    store = open_store("sqlite", own)
    await store.open()
    producer, status = open_producer(own), ToldStatus()
    status.say(unread={"column 11 was not read: looks like a request time": 2})
    group = "weblogs" if topic == "weblogs_tokens" else "weblogs-sqlite"
    async with served(store, status, producer, own) as client:
        answers = []
        for stands in (GroupPositions({(group, topic, 0): 1}, {}), None, GroupPositions({(group, topic, 0): 0}, {})):
            status.stands = stands
            answers.append(await (await client.get("/statistics/")).json())
            text = " ".join((await page_of(client, "/")).text.split())
            assert ("Hits not counted not known yet" in text) is (answers[-1]["hits_not_counted"] is None)
    producer.close()
    await store.close()
    assert [answer["hits_not_counted"] is None for answer in answers] == [True, True, False]
    assert answers[0]["not_read"] == ["column 11 was not read: looks like a request time (2 lines)"]
    assert "column 11 was not read: looks like a request time (2 lines)" in text
