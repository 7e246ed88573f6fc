"""Votes and spending through Kafka, two workers, into Elasticsearch and Cassandra, with workers and the broker killed. Events: N (50,000)."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.counted import added
from app.flows.votes import VOTES, Vote
from app.process.crash_points import COUNT_POINTS
from app.stores.contract import Store
from tests.flow.running import KILLED
from tests.flow.test_spend import assert_spending_is_true, stored
from tests.flow.voting import assert_votes_are_true, get
from tests.live.contents import STORES, ask_store, live_into_stores
from tests.live.running import LINES, SCALE, Live, Supervised
from tests.ports import free_port
from tests.services.server import Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(900 * SCALE)]
CAST = 2 * LINES


@pytest.fixture
def live(tmp_path: Path, broker: Server) -> Iterator[Live]:
    with live_into_stores(tmp_path / "live", broker, PARTITIONS=8) as made:
        yield made


def simulate(live: Live, what: str, *arguments: object) -> Supervised:
    """It goes on posting while workers are away."""
    command = [sys.executable, "-m", "app", "simulate", what, "--patience", "600", *map(str, arguments)]
    client = Supervised(command, live.environment("client"), live.folder / f"simulate-{what}.log", until_success=True)
    live.running.append(client)
    return client


def votes_in(live: Live, store: str) -> tuple[dict[str, Vote], dict[str, dict[tuple[str, int], int]]]:
    async def read(open_store: Store) -> Any:
        return [vote async for vote in open_store.ledgers.all_events(VOTES)], [
            each async for each in open_store.ledgers.all_sums(VOTES)
        ]

    votes, sums = ask_store(store, live.settings, read)
    assert len({vote.vote_id for vote in votes}) == len(votes)
    counts = {
        resolution: {
            at: found[0]
            for at, found in added(each for each in sums if each.resolution == resolution).items()
            if found[0]
        }
        for resolution in ("kiosk", "window", "total", "second")
    }
    return {vote.vote_id: vote for vote in votes}, counts


async def spent_in(store: Store) -> Any:
    class Kept:
        """`stored` closes what it reads; here others do."""

        ledgers = store.ledgers
        ping = store.ping

        async def close(self) -> None: ...

    return await stored(Kept())  # type: ignore[arg-type]  # `stored` asks for no more of a store


@pytest.mark.parametrize("rule", ["one a vote id", "one a user"])
def test_workers_and_broker_killed_at_random_change_no_count_and_no_cent(
    live: Live, broker: Server, tmp_path: Path, rule: str
) -> None:
    rng = random.Random(rule)
    votes_truth, spend_truth = tmp_path / "votes.json", tmp_path / "spend.json"
    options: list[object] = []
    if rule == "one a user":
        live.options["WEBLOGS_VOTE_ONE_PER_USER"] = "true"
        options = ["--users", CAST // 3, "--one-per-user"]
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    live.start_worker("one", WEB_PORT=port)
    live.start_worker("two")
    live.wait_started("one")
    live.wait_started("two")
    config = tmp_path / "spend.toml"
    config.write_text(f"users = 50\nmean_gap_s = {50 * 86400 / (LINES / 2)}\nrepeats = 0.2\nrate = {LINES / 80}\n")
    voting = simulate(
        live, "votes", "-n", CAST, "--seed", 7, "--truth", votes_truth, "--rate", CAST / 40, "--url", url, *options
    )
    paying = simulate(live, "spend", "--config", config, "--truth", spend_truth, "--url", url)
    kills = 0
    while not (voting.ended and paying.ended) and kills < 12:
        time.sleep(rng.uniform(1.0, 5.0))
        kills += 1
        if kills == 4:
            broker.kill()
            broker.start()
            broker.wait_ready()
        else:
            live.workers[rng.choice(["one", "two"])].kill()
    assert kills >= 6
    voting.wait(400)
    paying.wait(400)
    live.wait_drained(400)
    true_votes, true_spend = json.loads(votes_truth.read_text()), json.loads(spend_truth.read_text())
    for store in STORES:
        assert_votes_are_true(*votes_in(live, store), true_votes)
        assert_spending_is_true(ask_store(store, live.settings, spent_in), true_spend)
    live.wait_until(lambda: live.workers["one"].process.poll() is None, "worker one")
    shown = {row["candidate_id"]: row["num_vote"] for row in get(url, "/result/")[0]}
    assert shown == {int(candidate): number for candidate, number in true_votes["candidates"].items()}
    assert get(url, "/spending/u1/sum")["cents"] == true_spend["users"]["u1"][0]


@pytest.mark.parametrize("point", [*COUNT_POINTS, "changelog", "applied", "store_written"])
def test_a_worker_killed_at_a_named_point_counts_every_vote_once(live: Live, tmp_path: Path, point: str) -> None:
    truth, port = tmp_path / "truth.json", free_port()
    live.start_worker("one", WEB_PORT=port, CRASH_AT=f"{point}:2", CHANGELOG_BATCH_BYTES=8192)
    live.start_worker("two", CHANGELOG_BATCH_BYTES=8192)
    live.wait_started("one")
    client = simulate(
        live,
        "votes",
        "-n",
        8000,
        "--seed",
        9,
        "--rate",
        2000,
        "--batch",
        200,
        "--truth",
        truth,
        "--url",
        f"http://127.0.0.1:{port}",
    )
    client.wait(300)
    live.wait_drained(300)
    assert KILLED in live.workers["one"].exits, f"{point} was not reached"
    for store in STORES:
        assert_votes_are_true(*votes_in(live, store), json.loads(truth.read_text()))
