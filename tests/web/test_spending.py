"""`/spending/…`: what is taken, and that list, buckets and sum agree to the cent."""

from __future__ import annotations

import json
import random
import time
from typing import Any
from urllib.parse import quote

import pytest

from app.domain.counted import Sum
from app.flows.spending import SPENDING, Transaction, spend_buckets
from app.messages.events import read_events
from app.settings import Settings
from app.stores.contract import Store
from app.transports.embedded.file import log_path
from app.transports.embedded.log import EmbeddedLog
from tests.together import together
from tests.web.conftest import Client


def logged(settings: Settings) -> list[Transaction]:
    log = EmbeddedLog(log_path(settings.broker))
    try:
        partitions = log.partitions("spend") if "spend" in log.topics else 0
        values = [record.value or b"" for partition in range(partitions) for record in log.read("spend", partition, 0)]
    finally:
        log.close()
    return [each for value in values for each in read_events(SPENDING, value).events]


async def fill(store: Store, paid: list[Transaction]) -> None:
    """As the flow would: two partitions' sums, written in two batches that share buckets."""
    sums: dict[tuple[Any, ...], Sum] = {}
    for half in (paid[::2], paid):
        for each in half:
            if each in paid[::2] and half is paid:
                continue
            for bucket in spend_buckets(each):
                key = (*bucket[:3], len(each.transaction_id) % 2, 0)
                known = sums.get(key, Sum(*key, 0, 0, 0))
                sums[key] = known._replace(events=known.events + 1, amount=known.amount + each.cents)
        await store.ledgers.write_events(SPENDING, half)
        await store.ledgers.write_sums(SPENDING, list(sums.values()))


async def asked(client: Client, path: str, status: int = 200) -> dict[str, Any]:
    answer = await client.get(path)
    body = await answer.json()
    assert answer.status == status, body
    if status != 200:
        assert body["success"] is False and body["error_message"]
    return body


async def test_a_transaction_is_durable_when_it_is_answered(client: Client, settings: Settings) -> None:
    one = await client.post(
        "/spending/", json={"user_id": "u1", "cents": 2000, "transaction_id": "a", "time": "1970-01-02T00:00:00Z"}
    )
    assert (one.status, await one.json()) == (200, {"success": True, "transactions": 1, "transaction_ids": ["a"]})
    many = await client.post(
        "/spending/", json=[{"user_id": 7, "cents": -1}, {"user_id": "u1", "cents": 5, "time": 0.5}]
    )
    assert many.status == 200
    found = logged(settings)
    assert {each[1:] for each in found if each.time < 1e6} == {("u1", 86400.0, 2000), ("u1", 0.5, 5)}
    assert [each.cents for each in found if each.user_id == "7"] == [-1]


@pytest.mark.parametrize("body", [b'{"a":' * 100_000, b"\xff", b'{"user_id": '])
async def test_a_body_that_is_no_json_is_refused(client: Client, body: bytes) -> None:
    answer = await client.post("/spending/", data=body, headers={"Content-Type": "application/json"})
    assert answer.status == 400 and "is no JSON" in (await answer.json())["error_message"]


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ({"cents": 1}, "user_id is required!"),
        ({"user_id": "u"}, "cents is required!"),
        ({"user_id": "u", "cents": 1.5}, "neither a transaction nor a list"),
        ({"user_id": "u", "cents": 10**13}, "at most 1000000000000"),
        ({"user_id": "", "cents": 1}, "user_id has 0 characters"),
        ({"user_id": "u", "cents": 1, "time": "x"}, "is no time"),
        ({"user_id": "u", "cents": 1, "time": 1e12}, "a day ahead"),
        ([], "send 1 to 10000"),
        ([{"user_id": "u", "cents": 1}, {}], "1 of 2 transactions are bad and none was taken. Number 1: user_id"),
    ],
)
async def test_a_bad_transaction_is_refused_and_stands_nowhere(
    client: Client, settings: Settings, payload: dict[str, Any] | list[Any], says: str
) -> None:
    answer = await client.post("/spending/", json=payload)
    assert answer.status == 400 and says in (await answer.json())["error_message"]
    assert logged(settings) == []


async def test_list_buckets_and_sum_agree_for_aligned_limits_and_the_sum_inside_buckets_too(
    client: Client, store: Store
) -> None:
    rng = random.Random(3)
    base = 1_600_000_000 // 86400 * 86400
    paid = [
        Transaction("x" * rng.randint(1, 2) + str(i), rng.choice(["u1", "u10", "a/b ü"]), base + rng.randint(0, 3 * 86400 * 4) / 4, rng.randint(2000, 10_000))
        for i in range(2000)
    ]  # fmt: skip
    await fill(store, paid)
    for user in ("u1", "u10", "a/b ü"):
        own = [each for each in paid if each.user_id == user]
        path = f"/spending/{quote(user, safe='')}"
        whole = await asked(client, f"{path}/sum")
        assert (whole["cents"], whole["transactions"]) == (sum(each.cents for each in own), len(own))
        for _ in range(12):
            length_s = rng.choice([60, 3600, 86400])
            begin = base + rng.randint(0, 2 * 86400) // length_s * length_s
            end = begin + length_s * rng.randint(1, 20)
            true = sum(each.cents for each in own if begin <= each.time < end)
            resolution = {60: "minute", 3600: "hour", 86400: "day"}[length_s]
            listed = await asked(client, f"{path}/transactions?from={begin}&to={end}&limit=10000")
            buckets = await asked(client, f"{path}?from={begin}&to={end}&resolution={resolution}")
            summed = await asked(client, f"{path}/sum?from={begin}&to={end}")
            assert sum(each["cents"] for each in listed["transactions"]) == true
            assert sum(each["cents"] for each in buckets["buckets"]) == true
            assert summed["cents"] == true
            since, until = base + rng.randint(0, 86400 * 8) / 8, base + 86400 + rng.randint(0, 86400 * 8) / 8
            inside = await asked(client, f"{path}/sum?from={since}&to={until}")
            assert inside["cents"] == sum(each.cents for each in own if since <= each.time < until)
    exact = paid[0].time
    at = await asked(client, f"/spending/{quote(paid[0].user_id, safe='')}/sum?from={exact}&to={exact}")
    assert at["cents"] == 0


async def test_top_spenders_come_most_first(client: Client, store: Store) -> None:
    now = time.time()
    await fill(
        store,
        [
            Transaction(f"{user}{i}", user, now, cents)
            for user, cents in (("u1", 500), ("u10", 700), ("b", 100))
            for i in range(3)
        ],
    )
    body = await asked(client, "/spending/top?limit=2")
    assert body["top"] == [
        {"user_id": "u10", "cents": 2100, "transactions": 3},
        {"user_id": "u1", "cents": 1500, "transactions": 3},
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/spending/u?from=2&to=1",
        "/spending/u?from=x",
        "/spending/u?from=2020-01-01",
        "/spending/u?resolution=year",
        "/spending/u?resolution=minute&from=0&to=now",
        "/spending/u/sum?until=1",
        "/spending/u/transactions?limit=0",
        "/spending/u/transactions?limit=10001",
        "/spending/top?limit=x",
    ],
)
async def test_a_bad_question_is_told_what_is_allowed(client: Client, path: str) -> None:
    await asked(client, path, 400)


async def test_a_long_list_says_that_there_is_more(client: Client, store: Store) -> None:
    await fill(store, [Transaction(str(i), "u", 1000.0 + i, 1) for i in range(5)])
    body = await asked(client, "/spending/u/transactions?from=0&limit=3")
    assert [each["transaction_id"] for each in body["transactions"]] == ["0", "1", "2"] and body["more"] is True
    assert json.dumps(body)


LONG_AGO = 1_000_000.0


async def test_to_alone_means_from_the_beginning_and_from_alone_until_now(client: Client, store: Store) -> None:
    now = time.time()
    times = (LONG_AGO, now - 3 * 86400, now - 60)
    await fill(store, [Transaction(f"t{n}", "u", at, 10**n) for n, at in enumerate(times)])
    for query, cents in (("?to=now", 111), ("?to=-2d", 11), ("?from=-4d", 110), ("?from=-4d&to=-2d", 10)):
        assert (await asked(client, f"/spending/u/sum{query}"))["cents"] == cents, query
        found = await asked(client, f"/spending/u/transactions{query}")
        assert sum(each["cents"] for each in found["transactions"]) == cents, query
        buckets = await asked(client, f"/spending/u/buckets{query}&resolution=day")
        assert sum(each["cents"] for each in buckets["buckets"]) == cents, query
    none = await asked(client, "/spending/nobody/buckets?to=now&resolution=minute")
    assert none["buckets"] == []


@together("path", ["/spending/u/sum", "/spending/u/transactions", "/spending/u/buckets", "/voting_distribution"])
@together("name", ["from", "to"])
@together("bad", ["", "yesterday", "2026-07-31", "2026-07-31T16:00:00", "nan", "-", "1e999", "%00"])
async def test_a_single_bad_time_is_400_that_names_it(client: Client, path: str, name: str, bad: str) -> None:
    told = await asked(client, f"{path}?{name}={bad}", 400)
    assert told["error_message"].startswith(f"{name}: ") and "is no time" in told["error_message"]


async def test_to_alone_never_complains_of_a_from_that_was_not_given(client: Client) -> None:
    for path in ("/spending/u/sum", "/spending/u/transactions", "/spending/u/buckets", "/voting_distribution"):
        for to in ("-10d", "0", "-62135596800", "1970-01-01T00:00:00Z", "now"):
            await asked(client, f"{path}?to={to}")
