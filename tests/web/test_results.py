"""`/result/` and `/voting_distribution`: what the store holds, never too old, made by one at a time."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import time
from xml.etree import ElementTree

import msgspec
import pytest

from app.domain.counted import Sum
from app.errors import StoreError
from app.flows.votes import VOTES
from app.settings import Settings
from app.stores.contract import Store
from app.transports.producers import MessageProducer
from app.web.counted.cached import Cached, Found, Times
from app.web.service.parts import PARTS
from tests.web.conftest import Client, ToldStatus, served

SVG = "{http://www.w3.org/2000/svg}"


def window_now() -> int:
    return int(time.time()) // 600 * 600


async def fill(store: Store, counts: dict[tuple[int, int], int], partition: int = 0) -> None:
    """(candidate, window start) -> votes, as one partition knows them."""
    totals: dict[int, int] = {}
    for (candidate, _), number in counts.items():
        totals[candidate] = totals.get(candidate, 0) + number
    sums = [
        Sum("window", str(candidate), start, partition, 0, number, 0, 0)
        for (candidate, start), number in counts.items()
    ]
    sums += [Sum("total", str(candidate), 0, partition, 0, number, 0, 1) for candidate, number in totals.items()]
    await store.ledgers.write_sums(VOTES, sums)


async def test_results_add_the_partitions_and_leave_out_candidates_without_votes(client: Client, store: Store) -> None:
    start = window_now()
    await fill(store, {(1, start): 5, (3, start): 0}, 0)
    await fill(store, {(1, start): 2, (2, start - 600): 1}, 1)
    await store.ledgers.write_sums(
        VOTES, [Sum("second", "", int(time.time()) - age, 0, 0, 1, 0, 0) for age in (0, 595, 605, -60)]
    )
    answer = await client.get("/result/")
    assert await answer.json() == [
        [{"candidate_id": 1, "num_vote": 7}, {"candidate_id": 2, "num_vote": 1}],
        [{"total_vote_10_min": 2}],
    ]
    shown = await (await client.get("/voting_distribution")).json()
    assert (shown["total_vote"], shown["total_vote_10_min"], shown["repeats"]) == (8, 2, 4)
    assert [(row["candidate_id"], row["num_vote"]) for row in shown["windows"]] == [(2, 1), (1, 7)]
    assert shown["last_update_time"] < shown["expires"] and shown["age_s"] < 10


async def test_the_last_ten_minutes_fall_when_voting_stops(client: Client, store: Store) -> None:
    await fill(store, {(2, window_now()): 1})
    await store.ledgers.write_sums(VOTES, [Sum("second", "", int(time.time()) - 597, 0, 0, 1, 0, 0)])
    assert (await (await client.get("/result/")).json())[1] == [{"total_vote_10_min": 1}]
    await asyncio.sleep(4.2)
    assert await (await client.get("/result/")).json() == [
        [{"candidate_id": 2, "num_vote": 1}],
        [{"total_vote_10_min": 0}],
    ]


async def test_an_answer_says_how_old_it_is_and_the_same_one_is_not_sent_twice(client: Client, store: Store) -> None:
    await fill(store, {(2, window_now()): 1})
    answer = await client.get("/result/")
    assert re.fullmatch(r"max-age=([0-9]|10)", answer.headers["Cache-Control"])
    assert all(name in answer.headers for name in ("ETag", "Last-Modified", "Expires", "Age"))
    again = await client.get("/result/", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304 and await again.read() == b""
    await fill(store, {(2, window_now()): 2})
    newer = await client.get("/result/", headers={"If-None-Match": answer.headers["ETag"], "Cache-Control": "no-cache"})
    assert newer.status == 200 and newer.headers["ETag"] != answer.headers["ETag"]


async def test_no_cache_forces_and_a_cached_answer_is_not_older_than_it_may_be(
    store: Store, status: ToldStatus, producer: MessageProducer, settings: Settings
) -> None:
    own = msgspec.structs.replace(settings, cache_refresh=0.4, cache_max_age=0.8)
    async with served(store, status, producer, own) as client:
        await fill(store, {(2, window_now()): 1})
        assert (await (await client.get("/result/")).json())[0] == [{"candidate_id": 2, "num_vote": 1}]
        await fill(store, {(2, window_now()): 2})
        forced = await client.get("/result/", headers={"Cache-Control": "no-cache"})
        assert (await forced.json())[0] == [{"candidate_id": 2, "num_vote": 2}]
        for number in (3, 4):
            await fill(store, {(2, window_now()): number})
            await asyncio.sleep(0.85)
            assert (await (await client.get("/result/")).json())[0] == [{"candidate_id": 2, "num_vote": number}]


async def test_thousands_ask_and_one_reads_the_store(client: Client, store: Store) -> None:
    await fill(store, {(2, window_now()): 1})
    results = client.app[PARTS].results
    for _ in range(5):
        entries = await asyncio.gather(*(results.votes() for _ in range(1000)))
        assert len({id(entry) for entry in entries}) == 1
    assert results._votes.makes <= 2


async def test_a_range_shows_its_windows_and_their_totals(client: Client, store: Store) -> None:
    await fill(store, {(1, 600 * at): at for at in range(1, 10)})
    for query, expected in (
        ("from=1200&to=3000", [2, 3, 4]),
        ("from=1970-01-01T00:20:01Z&to=1970-01-01T00:30:01%2B00:00", [2, 3]),
        ("from=0&to=0", []),
    ):
        shown = await (await client.get(f"/voting_distribution?{query}")).json()
        assert [row["num_vote"] for row in shown["windows"]] == expected
        assert shown["total_vote"] == sum(expected)
    for bad in (
        "from=2&to=1",
        "from=x",
        "from=2020-01-01T00:00:00",
        "from=0&to=9e9",
        "from=0&to=9000000000",
        "form=csv",
        "format=pdf",
    ):
        answer = await client.get(f"/voting_distribution?{bad}")
        assert answer.status == 400 and (await answer.json())["error_message"]


async def test_the_table_has_a_line_for_each_window_and_candidate(client: Client, store: Store) -> None:
    start = window_now()
    await fill(store, {(1, start): 5, (2, start): 7})
    answer = await client.get("/voting_distribution?format=csv")
    assert answer.content_type == "text/csv"
    rows = list(csv.DictReader(io.StringIO(await answer.text())))
    assert [(row["candidate_id"], row["num_vote"]) for row in rows] == [("1", "5"), ("2", "7")]


def heights(svg: str) -> dict[str, float]:
    """Id of each bar -> its height as drawn."""
    found = {}
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        if re.match("total-|window-", group.get("id", "")):
            path = group.find(f"{SVG}path")
            assert path is not None
            ys = [float(y) for y in re.findall(r"[ML] \S+ (\S+)", path.get("d", ""))]
            found[group.get("id", "")] = max(ys) - min(ys)
    return found


async def test_the_bars_of_the_picture_equal_the_counts(client: Client, store: Store) -> None:
    start = window_now()
    counts = {(1, start): 40, (2, start): 10, (2, start - 600): 30, (3, start - 1200): 1}
    await fill(store, counts)
    await store.ledgers.put_names("candidates", {"1": "$x^2$ <&> \u202e", "2": "Ada", "3": "N" * 256})
    answer = await client.get("/voting_distribution.svg")
    assert answer.content_type == "image/svg+xml"
    drawn = heights(await answer.text())
    totals = {"total-1-40": 40, "total-2-40": 40, "total-3-1": 1}
    windows = {f"window-{at}-{candidate}-{number}": number for (candidate, at), number in counts.items()}
    assert drawn.keys() == totals.keys() | windows.keys()
    for bars in (totals, windows):
        unit = {name: drawn[name] / number for name, number in bars.items()}
        assert max(unit.values()) == pytest.approx(min(unit.values()), rel=1e-3)
    png = await client.get("/voting_distribution", headers={"Accept": "image/png"})
    assert png.content_type == "image/png" and (await png.read()).startswith(b"\x89PNG")
    assert (await client.get("/voting_distribution.svg?from=0&to=600")).status == 200


async def test_while_the_store_is_away_the_last_result_is_given_out_until_it_is_too_old() -> None:
    now = [100.0]
    problems: list[bool] = []

    async def make() -> float:
        if problems:
            raise StoreError("away")
        return now[0]

    cached = Cached("votes", make, Times(1.0, 10.0), clock=lambda: now[0])
    assert (await cached.get()).value == 100.0
    problems.append(True)
    now[0] = 109.0
    assert (await cached.get()).value == 100.0
    now[0] = 110.5
    with pytest.raises(StoreError):
        await cached.get()
    problems.clear()
    assert (await cached.get()).value == 110.5


class Memory:
    """A shared cache as two workers see it."""

    def __init__(self) -> None:
        self.found: dict[str, Found] = {}
        self.locked: set[str] = set()

    async def get(self, name: str) -> Found | None:
        return self.found.get(name)

    async def put(self, name: str, found: Found, keep_s: float) -> None:
        self.found[name] = found

    async def try_lock(self, name: str, hold_s: float) -> bool:
        if name in self.locked:
            return False
        self.locked.add(name)
        return True

    async def unlock(self, name: str) -> None:
        self.locked.discard(name)


async def test_workers_that_share_a_cache_make_a_result_once_between_them() -> None:
    shared, made = Memory(), []

    async def make() -> int:
        made.append(1)
        await asyncio.sleep(0.1)
        return len(made)

    workers = [Cached("votes", make, Times(1.0, 10.0), shared) for _ in range(3)]
    entries = await asyncio.gather(*(worker.get() for worker in workers for _ in range(10)))
    assert {entry.value for entry in entries} == {1} and made == [1]
    assert (await workers[0].get(newer_than=time.time())).value == 2
