"""A worker whose stores somebody alters, blocks or empties under it: told, nothing refused for good, well again within a minute."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.stores.cassandra.rows import TABLES
from tests.live.contents import STORES, live_into_stores, stored_raw
from tests.live.running import Live
from tests.live.test_kafka_losses import app, problems, send_lines
from tests.services.server import Server
from tests.stores.cassandra_stores import cql

pytestmark = [pytest.mark.live, pytest.mark.timeout(400)]
HEALED_S = 60


@pytest.fixture
def live(tmp_path: Path, broker: Server) -> Iterator[Live]:
    with live_into_stores(tmp_path / "live", broker, FORMAT="combined") as made:
        made.start_worker()
        made.wait_started()
        send_lines(made, 10)
        made.wait_drained()
        yield made


def call(live: Live, method: str, path: str, body: Any = None) -> Any:
    """As an operator does it with curl; `P` in the path is the prefix."""
    url = live.settings.elasticsearch_url + path.replace("P", live.settings.elasticsearch_prefix)
    data = None if body is None else json.dumps(body).replace("P-", live.settings.elasticsearch_prefix).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def set_cluster(live: Live, settings: dict[str, Any]) -> None:
    call(live, "PUT", "/_cluster/settings", {"persistent": settings})


WATERMARK = "cluster.routing.allocation.disk.watermark"
STAGES = ("low", "high", "flood_stage")
WATCHED = {"cluster.routing.allocation.disk.threshold_enabled": True, "cluster.info.update.interval": "10s"}


def fill_disk(live: Live) -> None:
    """So that the disk is beyond its flood stage: the server blocks the writes to every index on it."""
    set_cluster(live, {f"{WATERMARK}.{stage}": "1%" for stage in STAGES} | WATCHED)


def empty_disk(live: Live) -> None:
    set_cluster(live, dict.fromkeys([*(f"{WATERMARK}.{stage}" for stage in STAGES), *WATCHED]))


def block(live: Live) -> None:
    call(live, "PUT", "/P*/_settings", {"index.blocks.write": True})


def unblock(live: Live) -> None:
    call(live, "PUT", "/P*/_settings", {"index.blocks.write": None})


def write_index(live: Live, *, there: bool) -> None:
    if not there:
        call(live, "PUT", "/Preduced_weblogs-copy", {})
    first, copy = ({"index": f"P-reduced_weblogs-{end}", "alias": "P-reduced_weblogs"} for end in ("1", "copy"))
    second = {"remove_index": {"index": copy["index"]}} if there else {"add": copy | {"is_write_index": False}}
    call(live, "POST", "/_aliases", {"actions": [{"add": first | {"is_write_index": there}}, second]})


def without_write_index(live: Live) -> None:
    write_index(live, there=False)


def with_write_index(live: Live) -> None:
    write_index(live, there=True)


def drop_column(live: Live) -> None:
    cql(live.settings.cassandra_keyspace, "ALTER TABLE KS.raw_weblogs DROP method")


def add_column(live: Live) -> None:
    cql(
        live.settings.cassandra_keyspace,
        f"ALTER TABLE KS.raw_weblogs ADD method {TABLES['raw_weblogs'].types['method']}",
    )


Deed = Callable[[Live], None]


@pytest.mark.parametrize(
    ("store", "alter", "undo", "told", "lost"),
    [
        ("elasticsearch", fill_disk, empty_disk, "flood", ""),
        ("elasticsearch", block, unblock, "index write (api)", ""),
        ("elasticsearch", without_write_index, with_write_index, "no write index is defined", ""),
        ("cassandra", drop_column, add_column, "was altered", "cassandra: 10 hits altered"),
    ],
    ids=["full disk", "blocked index", "alias without its index", "dropped column"],
)
def test_what_somebody_altered_in_a_store_is_told_and_its_records_wait_until_it_is_undone(
    live: Live, store: str, alter: Deed, undo: Deed, told: str, lost: str
) -> None:
    alter(live)
    try:
        other = next(name for name in STORES if name != store)

        def sent_and_told() -> bool:
            send_lines(live, 2)
            return any(store in each.lower() and told in each for each in problems(live))

        live.wait_until(sent_and_told, "the store in /health/", 120)
        send_lines(live, 20)
        live.wait_until(
            lambda: len(stored_raw(other, live.settings)[0]) == len(live.raw_ids()[0]), "the other", HEALED_S
        )
    finally:
        undo(live)
    live.wait_drained(HEALED_S)
    live.wait_until(lambda: problems(live) == [], "a healthy worker", HEALED_S)
    worker = live.workers["worker"]
    assert worker.exits == [] and "for good" not in worker.text() and "Traceback" not in worker.text()
    if lost:  # what stood in the column before is gone until somebody repairs it
        checked = app(live, "check", "--quiet")
        assert checked.returncode == 1 and lost in checked.stdout, checked.stdout + checked.stderr
        assert app(live, "repair", "--quiet", "--store", store).returncode == 0
    checked = app(live, "check", "--quiet")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def delete_indices(live: Live) -> None:
    for index in call(live, "GET", "/Praw_weblogs-*,Preduced_weblogs-*/_alias"):
        call(live, "DELETE", f"/{index}")


def drop_keyspace(live: Live) -> None:
    cql(live.settings.cassandra_keyspace, "DROP KEYSPACE KS")


def truncate(live: Live) -> None:
    cql(live.settings.cassandra_keyspace, "TRUNCATE KS.raw_weblogs", "TRUNCATE KS.reduced_weblogs")


@pytest.mark.parametrize(
    ("store", "empty"),
    [("elasticsearch", delete_indices), ("cassandra", drop_keyspace), ("cassandra", truncate)],
    ids=["indices deleted", "keyspace dropped", "tables truncated"],
)
def test_a_store_that_somebody_emptied_goes_on_and_check_names_what_is_gone_and_repair_brings_it_back(
    live: Live, store: str, empty: Deed
) -> None:
    empty(live)
    send_lines(live, 20)
    live.wait_drained(HEALED_S)
    live.wait_until(lambda: problems(live) == [], "a healthy worker", HEALED_S)
    checked = app(live, "check", "--quiet")
    assert checked.returncode == 1 and f"{store}: 10 hits missing" in checked.stdout, checked.stdout + checked.stderr
    mended = app(live, "repair", "--quiet", "--store", store)
    assert mended.returncode == 0, mended.stdout + mended.stderr
    checked = app(live, "check", "--quiet")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert len(stored_raw(store, live.settings)[0]) == 30
    assert live.workers["worker"].exits == []
