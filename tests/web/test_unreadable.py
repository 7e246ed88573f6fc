"""A damaged row: one sentence for that record, and the rest is answered."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.client.__main__ import main
from app.domain.counted import Sum
from app.domain.records import key_hash, key_text
from app.flows.votes import VOTES
from app.settings import settings
from app.stores.contract import Store
from tests.web.conftest import Client
from tests.web.records import deliveries, pieces

KEY = ("192.0.2.7", "Player_1.0", "GET /film_1.mp4")
OTHER = ("192.0.2.8", "b", "GET /whole")
ASKED = dict(zip(("ip_address", "user_agent", "request"), KEY, strict=True))
PAGE = {"ip": KEY[0], "ua": KEY[1], "request": KEY[2]}


@pytest.fixture
async def filled(client: Client, store: Store) -> Client:
    hits = [*pieces([(0, 9), (50, 99)], 100, KEY), *pieces([(0, 99)], 100, OTHER, start=9)]
    await store.writes.write_hits(hits)
    await store.writes.write_deliveries(deliveries(hits))
    return client


def damage(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        assert connection.execute(statement).rowcount == 1, statement


DELIVERY = (
    "UPDATE deliveries SET ranges = x'ff' WHERE key_no = (SELECT key_no FROM keys WHERE request = 'GET /film_1.mp4')"
)
HIT = "UPDATE hits SET status = 'ok' WHERE hit_no = 1"
SENTENCE = "in the store sqlite cannot be read"


async def test_a_damaged_delivery_is_one_sentence_and_the_others_are_answered(filled: Client, tmp_path: Path) -> None:
    damage(tmp_path / "var" / "weblogs.db", DELIVERY)
    newest = await (await filled.get("/deliveries/")).json()
    assert [each["request"] for each in newest["deliveries"]] == ["GET /whole"]
    (told,) = newest["unreadable"]
    assert SENTENCE in told and "GET /film_1.mp4" in told
    for asked in (ASKED, {"key": key_text(*KEY)}):
        answer = await filled.get("/deliveries/", params=asked)
        assert answer.status == 503 and SENTENCE in (await answer.json())["error_message"]
    answer = await filled.get(f"/deliveries/{key_hash(key_text(*KEY))}")
    assert answer.status == 503
    page = await (await filled.get("/")).text()
    assert page.count(SENTENCE) == 1 and "GET /whole" in page and "is unreachable" not in page
    answer = await filled.get("/delivery", params=PAGE)
    page = await answer.text()
    assert answer.status == 200 and page.count(SENTENCE) == 1 and "No delivery" not in page


async def test_a_damaged_hit_takes_no_delivery_away(filled: Client, tmp_path: Path) -> None:
    damage(tmp_path / "var" / "weblogs.db", HIT)
    answer = await filled.get("/delivery", params=PAGE)
    page = await answer.text()
    assert answer.status == 200 and page.count(SENTENCE) == 1 and "partial" in page
    assert "unreadable" not in await (await filled.get("/deliveries/", params=ASKED)).json()


async def test_a_damaged_sum_is_one_sentence_and_not_another_result(
    filled: Client, store: Store, tmp_path: Path
) -> None:
    await store.ledgers.write_sums(VOTES, [Sum("total", "1", 0, 0, 0, 5, 0, 0), Sum("total", "2", 0, 0, 0, 7, 0, 0)])
    damage(tmp_path / "var" / "weblogs.db", "UPDATE vote_sums SET events = 'x' WHERE grp = '1'")
    answer = await filled.get("/result/")
    assert answer.status == 503 and SENTENCE in await answer.text()
    page = await (await filled.get("/")).text()
    assert SENTENCE in page and "GET /whole" in page


@pytest.mark.parametrize(("statement", "code"), [(DELIVERY, 5), (HIT, 1)])
async def test_the_client_says_it_in_one_sentence(
    filled: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    statement: str,
    code: int,
) -> None:
    damage(tmp_path / "var" / "weblogs.db", statement)
    monkeypatch.setenv("WEBLOGS_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("WEBLOGS_STORES", "sqlite")
    asked = ["-i", KEY[0], "-u", KEY[1], "-r", KEY[2]]
    settings.cache_clear()
    given = await asyncio.to_thread(main, asked)
    settings.cache_clear()
    out, err = capsys.readouterr()
    assert given == code, out + err
    assert err.count(SENTENCE) == err.count("\n") == 1
    assert ("partial" in out.lower() or "missing" in out.lower()) is (code == 1)
