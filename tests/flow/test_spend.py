"""Spending on a worker of the embedded default: what the simulator says, to the cent, also under kills. Payments: N (100,000)."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.counted import added
from app.flows.spending import SPENDING, Transaction
from app.settings import Settings
from app.stores import open_store
from app.stores.contract import Store
from tests import ROOT
from tests.flow.running import Flow
from tests.flow.voting import call, get, kill_while, post, simulate
from tests.ports import free_port

PAYMENTS = int(os.environ.get("N", "100000"))


@pytest.fixture
def flow(tmp_path: Path) -> Iterator[Flow]:
    with Flow(tmp_path / "var", WEB_PORT=free_port(), PARTITIONS=8) as flow:
        flow.start_worker()
        flow.wait_started()
        yield flow
        if flow.worker is not None and flow.worker.poll() is None:
            flow.stop_worker()


async def stored(store: Store) -> tuple[list[Transaction], dict[str, dict[tuple[str, int], tuple[int, int]]]]:
    """Transactions, and by resolution (user, start) -> cents, transactions."""
    await store.ping()
    try:
        paid = [each async for each in store.ledgers.all_events(SPENDING)]
        sums = [each async for each in store.ledgers.all_sums(SPENDING)]
    finally:
        await store.close()
    return paid, {
        resolution: {
            at: (cents, events) for at, (events, cents, _) in added(each for each in sums if each.resolution == resolution).items() if events
        }
        for resolution in ("minute", "hour", "day", "total")
    }  # fmt: skip


def assert_spending_is_true(
    found: tuple[list[Transaction], dict[str, dict[tuple[str, int], tuple[int, int]]]], truth: dict[str, Any]
) -> None:
    paid, sums = found
    assert sums["total"] == {(user, 0): (cents, events) for user, (cents, events) in truth["users"].items()}
    for resolution, rows in truth["buckets"].items():
        assert {at: cents for at, (cents, _) in sums[resolution].items()} == {
            (user, start): cents for user, start, cents in rows
        }
    assert len(paid) == len({each[:2] for each in paid}) == truth["transactions"]
    by_user: Counter[str] = Counter()
    for each in paid:
        by_user[each.user_id] += each.cents
    assert by_user == {user: cents for user, (cents, _) in truth["users"].items()}


def in_store(flow: Flow) -> Any:
    return asyncio.run(stored(open_store("sqlite", Settings(data_dir=flow.folder), read_only=True)))


def config(folder: Path, **values: object) -> Path:
    path = folder / "spend.toml"
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
    return path


@pytest.mark.long
def test_every_resolution_is_what_the_simulator_says_and_a_second_batch_of_the_same_hours_adds_to_it(
    flow: Flow, tmp_path: Path
) -> None:
    truth = tmp_path / "truth.json"
    days = {"from": "2020-07-31T00:00:00Z", "to": "2020-08-02T00:00:00Z"}
    file = config(tmp_path, users=12, mean_gap_s=900, seed=5, repeats=0.2, **days)
    assert simulate(flow, "spend", "--config", file, "--truth", truth).wait(120) == 0, (
        flow.folder / "simulate.log"
    ).read_text()
    flow.wait_drained()
    true = json.loads(truth.read_text())
    assert_spending_is_true(in_store(flow), true)
    hour = 1596153600 + 3600 * 5
    before = get(flow.url(), f"/spending/u1?from={hour}&to={hour + 3600}&resolution=hour")["buckets"]
    more = [{"user_id": "u1", "time": hour + 30, "cents": 1, "transaction_id": f"more{i}"} for i in range(2)]
    assert post(flow.url(), "/spending/", more)[0] == 200
    flow.wait_drained()
    after = get(flow.url(), f"/spending/u1?from={hour}&to={hour + 3600}&resolution=hour")["buckets"]
    assert after[0]["cents"] == (before[0]["cents"] if before else 0) + 2
    for user in ("u1", "u10", "u12"):
        total = get(flow.url(), f"/spending/{user}/sum?from=2020-07-31T00:00:00Z&to=2020-08-02T00:00:00Z")
        assert total["cents"] == true["users"][user][0] + (2 if user == "u1" else 0)
    status, _, body = call(flow.url(), "/spending/top?limit=12")
    assert status == 200
    tops = [(each["user_id"], each["cents"]) for each in json.loads(body)["top"]]
    expected = {user: cents + (2 if user == "u1" else 0) for user, (cents, _) in true["users"].items()}
    assert tops == sorted(expected.items(), key=lambda item: (-item[1], item[0]))


@pytest.mark.long
def test_the_canary_sees_its_own_sums_and_tells_them_as_metrics(flow: Flow, tmp_path: Path) -> None:
    port = free_port()
    file = config(tmp_path, users=5, mean_gap_s=0.2)
    canary = simulate(flow, "spend", "--config", file, "--live", "--for", 12, "--metrics-port", port)
    seen = 0.0
    while canary.poll() is None:
        try:
            _, _, metrics = call(f"http://127.0.0.1:{port}", "/metrics")
        except OSError:
            continue
        values = dict(line.split() for line in metrics.decode().splitlines() if line.startswith("weblogs_canary"))
        seen = max(seen, float(values["weblogs_canary_seen_cents"]))
        assert seen <= float(values["weblogs_canary_sent_cents_total"])
        assert float(values["weblogs_canary_wrong_sums"]) == 0
        time.sleep(0.2)
    assert canary.returncode == 0, (flow.folder / "simulate.log").read_text()
    assert seen > 0
    assert "0 dropped; 0 sums differ" in (flow.folder / "simulate.log").read_text()


def test_the_sample_config_shows_the_defaults() -> None:
    import tomllib

    from simulator.spend import SpendPlan

    values = tomllib.loads((ROOT / "samples" / "spend.toml").read_text())
    defaults = SpendPlan()
    assert {name: value for name, value in values.items() if name in SpendPlan._fields} == {
        name: getattr(defaults, name) for name in ("users", "mean_gap_s", "min_cents", "max_cents", "seed", "repeats")
    }


@pytest.mark.long
@pytest.mark.timeout(900)
def test_ten_kills_at_random_change_no_cent(flow: Flow, tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    file = config(tmp_path, users=200, mean_gap_s=200 * 86400 / PAYMENTS, seed=9, repeats=0.2, rate=PAYMENTS / 40)
    client = simulate(flow, "spend", "--config", file, "--truth", truth)
    assert kill_while(flow, client, 10, 11, 4.0) == 10
    assert client.wait(600) == 0, (flow.folder / "simulate.log").read_text()
    flow.wait_drained(300)
    assert_spending_is_true(in_store(flow), json.loads(truth.read_text()))
