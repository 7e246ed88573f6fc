"""`/usage/USER` and `/caller`: the monitored calls of a user, by time."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import pytest

from app.domain.usage.records import UsageRecord, sealed
from app.flows.usage import MONITORED
from app.stores.contract import Store
from tests.web.conftest import Client

HOSTILE = "<b>O'Hara/é</b>"


def call(seq: int, user: str, at: float, kind: str = "request", **fields: Any) -> UsageRecord:
    one = UsageRecord(kind, "shop", "m1", "0" * 32, seq, at, 7, "", user_id=user, monitored=True, method="GET")
    return sealed(one._replace(**fields))


@pytest.fixture
async def calls(store: Store) -> list[UsageRecord]:
    """Two of one user, one of another."""
    now = time.time() - 60
    found = [
        call(1, "u1", now, uri="/cart?x=<script>"),
        call(2, "u1", now + 1, "response", request_seq=1, status=502, outcome="exception", duration_us=1_234_000),
        call(3, HOSTILE, now + 2, uri="/"),
    ]
    assert await store.ledgers.write_events(MONITORED, found) == []
    return found


async def test_the_records_of_a_user_are_listed_by_time_within_a_range(
    client: Client, calls: list[UsageRecord]
) -> None:
    body = await (await client.get("/usage/u1")).json()
    assert body["calls"] == [each._asdict() for each in calls[:2]] and not body["more"]
    body = await (await client.get("/usage/u1?limit=1")).json()
    assert [each["seq"] for each in body["calls"]] == [1] and body["more"]
    body = await (await client.get(f"/usage/u1?from={calls[1].time}")).json()
    assert [each["seq"] for each in body["calls"]] == [2]
    body = await (await client.get(f"/usage/{quote(HOSTILE, safe='')}")).json()
    assert [each["seq"] for each in body["calls"]] == [3]
    assert (await (await client.get("/usage/u")).json())["calls"] == []


@pytest.mark.parametrize("query", ["?limit=0", "?limit=10001", "?to=yesterday", "?colour=red"])
async def test_a_wrong_question_is_answered_with_a_sentence(client: Client, query: str) -> None:
    answer = await client.get(f"/usage/u1{query}")
    assert answer.status == 400 and (await answer.json())["error_message"]


async def test_the_page_of_a_caller_shows_each_call_that_ended_with_its_request(
    client: Client, calls: list[UsageRecord]
) -> None:
    page = await (await client.get("/caller?user=u1")).text()
    assert "GET /cart?x=&lt;script&gt;" in page and "502" in page and "exception" in page and "1,234" in page
    assert "<script>alert" not in page and "x=<script>" not in page
    other = await (await client.get("/caller", params={"user": HOSTILE})).text()
    assert "No call of this user has ended." in other and "<b>O" not in other
    assert (await client.get("/caller")).status == 400
