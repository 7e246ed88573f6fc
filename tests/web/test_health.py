"""`/health/` and `/metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from app.errors import StoreUnreachable
from app.settings import Settings
from app.stores import open_store
from app.stores.contract import Store
from app.transports.producers import MessageProducer
from app.web.service import health
from app.web.service.health import StoreState, progress_problems, store_state
from app.web.service.metrics import MAX_SOURCES
from app.web.service.status import Snapshot, WaitingGroups
from tests.web.conftest import NOW, Client, ToldStatus, served
from tests.web.records import deliveries, pieces

LAG = {("flow", "weblogs", 0): 3}


async def health_of(client: Client, status: int) -> dict[str, Any]:
    answer = await client.get("/health/")
    payload = await answer.json()
    assert answer.status == status, payload
    assert payload["healthy"] is (status == 200)
    assert bool(payload["problems"]) is (status != 200)
    return payload


async def test_a_worker_without_lag_is_healthy_however_long_ago_it_committed(
    client: Client, status: ToldStatus
) -> None:
    status.say(committed_at=NOW - 86400)
    await health_of(client, 200)


async def test_lag_with_a_recent_commit_is_healthy(client: Client, status: ToldStatus) -> None:
    status.say(lag=LAG, committed_at=NOW - 30)
    assert (await health_of(client, 200))["lag_messages"] == {"flow": 3}


async def test_lag_without_commit_for_longer_than_the_setting_is_a_stall(client: Client, status: ToldStatus) -> None:
    status.say(lag=LAG, committed_at=NOW - 31)
    payload = await health_of(client, 503)
    assert payload["problems"] == ["Group flow is stalled: 3 messages wait and nothing was committed for 31 s."]


async def test_lag_without_any_commit_counts_from_the_start(client: Client, status: ToldStatus) -> None:
    status.say(lag=LAG, committed_at=None, started=NOW - 29)
    await health_of(client, 200)
    status.say(started=NOW - 31)
    await health_of(client, 503)


async def test_a_worker_that_never_started_is_not_healthy(client: Client, status: ToldStatus) -> None:
    status.told = Snapshot(started=None, now=NOW)
    assert "has not started" in (await health_of(client, 503))["problems"][0]


async def test_what_the_worker_itself_finds_wrong_is_told(client: Client, status: ToldStatus) -> None:
    status.say(problems=("The disk is full.",))
    assert (await health_of(client, 503))["problems"] == ["The disk is full."]


async def test_a_store_that_takes_too_long_is_slow_not_unreachable() -> None:
    class Slow:
        name = "small"

        async def ping(self) -> None:
            await asyncio.sleep(3600)

    slow: Any = Slow()
    told = StoreState("Store small is slow: it did not answer within 0.01 s.")
    assert await store_state(slow, 0.01) == told == await store_state(slow, 0.01)
    gone = await store_state(slow, 0.01, down_after_s=0.01)
    assert not gone.up and "Store small is unreachable: it has not answered for" in gone.problem


async def test_a_slow_ping_that_fails_in_the_end_was_that_of_a_store_that_is_not_reachable() -> None:
    fails = asyncio.Event()

    async def ping() -> None:
        await fails.wait()
        raise StoreUnreachable("nobody is there")

    slow: Any = Away(ping)
    assert (await store_state(slow, 0.01)).up
    fails.set()
    assert await store_state(slow, 5) == StoreState("Store away is unreachable: nobody is there", up=False)


async def test_an_unreachable_store_is_not_healthy(
    status: ToldStatus, producer: MessageProducer, settings: Settings
) -> None:
    store = open_store("sqlite", settings, read_only=True)
    async with served(store, status, producer, settings) as client:
        assert "Store sqlite is unreachable" in (await health_of(client, 503))["problems"][0]
    await store.close()


def test_one_stalled_group_is_seen_beside_one_that_commits() -> None:
    lag = {
        ("flow", "weblogs", 0): 1,
        ("flow-sqlite", "weblogs_reduced", 0): 9,
        ("flow-sqlite", "weblogs_reduced", 1): 1,
    }
    snapshot = Snapshot(
        started=0.0, now=100.0, lag=lag, committed_at=99.0, waiting_since={"flow": 99.0, "flow-sqlite": 60.0}
    )
    assert progress_problems(snapshot, 30.0) == [
        "Group flow-sqlite is stalled: 10 messages wait and nothing was committed for 40 s."
    ]


@given(st.lists(st.tuples(st.sampled_from(["lag", "none", "commit"]), st.floats(0.1, 20)), max_size=30))
def test_a_group_waits_since_the_later_of_its_first_lag_and_its_last_commit(
    steps: list[tuple[str, float]],
) -> None:
    progress, now = WaitingGroups(), 0.0
    since: float | None = None
    for what, pause in steps:
        now += pause
        if what == "commit":
            progress.saw_commit("flow", now)
            since = now if since is not None else None
        else:
            progress.saw_lag({("flow", "weblogs", 0): 5 if what == "lag" else 0}, now)
            since = None if what == "none" else now if since is None else since
        assert progress.waiting_since.get("flow") == since


async def metrics_of(client: Client) -> dict[tuple[Any, ...], float]:
    answer = await client.get("/metrics")
    assert answer.status == 200
    assert answer.content_type == "text/plain"
    families = text_string_to_metric_families(await answer.text())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }


async def test_the_metrics_parse_and_say_what_the_worker_and_the_store_say(
    client: Client, store: Store, status: ToldStatus
) -> None:
    hits = [*pieces([(0, 99)], 100), *pieces([(0, 9)], 100, ("192.0.2.1", "b", "GET /part"), start=5)]
    await store.writes.write_hits(hits)
    await store.writes.write_deliveries(deliveries(hits))
    status.say(
        lines=12,
        hits=10,
        rejects={"bad_time": 2},
        lag=LAG,
        watermarks={"a.log": 1.5e9},
        state_entries=7,
        backlog={"sqlite": 4},
    )
    metrics = await metrics_of(client)
    assert metrics[("weblogs_lines_total",)] == 12
    assert metrics[("weblogs_hits_total",)] == 10
    assert metrics["weblogs_rejects_total", ("reason", "bad_time")] == 2
    assert metrics["weblogs_lag_messages", ("group", "flow"), ("partition", "0"), ("topic", "weblogs")] == 3
    assert metrics["weblogs_watermark_seconds", ("source", "a.log")] == 1.5e9
    assert metrics[("weblogs_state_entries",)] == 7
    assert metrics["weblogs_store_backlog_messages", ("store", "sqlite")] == 4
    assert metrics["weblogs_deliveries", ("verdict", "complete")] == 1
    assert metrics["weblogs_deliveries", ("verdict", "partial")] == 1
    assert metrics["weblogs_store_up", ("store", "sqlite")] == 1
    assert metrics[("weblogs_progressing",)] == 1
    assert metrics[("process_resident_memory_bytes",)] > 0


@pytest.mark.parametrize("name", ['quote"back\\slash', "new\nline", "nul\x00", "\ud800", "ا\u202e"])
async def test_hostile_source_names_do_not_break_the_metrics(client: Client, status: ToldStatus, name: str) -> None:
    status.say(watermarks={name: 5.0})
    metrics = await metrics_of(client)
    assert [value for (metric, *_), value in metrics.items() if metric == "weblogs_watermark_seconds"] == [5.0]


async def test_of_many_sources_only_the_newest_have_a_watermark_and_all_are_counted(
    client: Client, status: ToldStatus
) -> None:
    status.say(watermarks={f"{n}.log": float(n) for n in range(1000)})
    metrics = await metrics_of(client)
    told = [value for (metric, *_), value in metrics.items() if metric == "weblogs_watermark_seconds"]
    assert sorted(told) == [float(n) for n in range(1000 - MAX_SOURCES, 1000)]
    assert metrics[("weblogs_sources",)] == 1000


class Away:
    """A second store, which this worker feeds, and which hangs, slowly answers, or refuses."""

    name = "away"

    def __init__(self, answer: Callable[[], Awaitable[None]]) -> None:
        self.ping = answer


async def _nothing() -> None:
    pass


async def _refusal() -> None:
    raise StoreUnreachable("nobody is there")


async def _silence() -> None:
    await asyncio.sleep(3600)


@pytest.mark.parametrize(("answer", "up"), [(_nothing, 1), (_refusal, 0), (_silence, 1)])
async def test_each_store_that_the_worker_feeds_is_up_as_it_answers_a_ping_whatever_its_last_write_did(
    store: Store,
    status: ToldStatus,
    producer: MessageProducer,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[], Awaitable[None]],
    up: int,
) -> None:
    monkeypatch.setattr(health, "STORE_TIMEOUT_S", 0.05)
    status.say(
        failing={"sqlite": False, "away": True},
        store_retries={"sqlite": 0, "away": 9},
        store_refused={"sqlite": 0, "away": 2},
        backlog={"sqlite": 0, "away": 5},
    )
    async with served(store, status, producer, settings, fed=[store, Away(answer)]) as client:
        metrics = await metrics_of(client)
        payload = await (await client.get("/health/")).json()
    told = {name: metrics[name, ("store", "away")] for name, *rest in metrics if ("store", "away") in rest}
    assert told == {
        "weblogs_store_up": up,
        "weblogs_store_slow": int(answer is _silence),
        "weblogs_store_failing": 1,
        "weblogs_store_retries_total": 9,
        "weblogs_store_refused_total": 2,
        "weblogs_store_backlog_messages": 5,
    }
    assert metrics["weblogs_store_up", ("store", "sqlite")] == 1
    assert any("Store away is" in problem for problem in payload["problems"]) is (answer is not _nothing)


async def test_metrics_go_on_without_the_store(
    status: ToldStatus, producer: MessageProducer, settings: Settings
) -> None:
    store = open_store("sqlite", settings, read_only=True)
    async with served(store, status, producer, settings) as client:
        metrics = await metrics_of(client)
    await store.close()
    assert metrics["weblogs_store_up", ("store", "sqlite")] == 0
    assert not [name for name, *_ in metrics if name == "weblogs_deliveries"]
