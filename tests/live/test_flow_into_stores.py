"""From Kafka into Elasticsearch and Cassandra at once, with the stores and the worker killed on the way. Lines: N (50,000)."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.domain.records import Delivery, Hit
from app.domain.windows import Rules
from app.messages.records import decode_rejects
from app.messages.tokens import decode_tokens, encode_tokens
from app.stores.contract import Store
from app.stores.refused import refusal_id
from tests import ROOT
from tests.flow.content import COMPARED, TRUE_FIELDS, differences, reduced, truth
from tests.flow.running import KILLED
from tests.flow.test_flow import CHROME, FIREFOX, NINE, simulate
from tests.live.contents import STORES, ask_store, live_into_stores, stored, stored_raw
from tests.live.running import KILLS, LINES, SCALE, Live, Supervised
from tests.services.server import Server
from tests.stores import elastic
from tests.stores.cassandra_stores import cql
from tests.stores.test_unreadable import FOREIGN_ROWS

PEAK_BYTES = 400_000_000
BAD = b"no hit at all\n\n31.12.1999\tx\n"
pytestmark = [pytest.mark.live, pytest.mark.timeout(900 * SCALE)]


@pytest.fixture
def live(tmp_path: Path, broker: Server) -> Iterator[Live]:
    with live_into_stores(tmp_path / "live", broker) as made:
        yield made


Logs = tuple[list[Path], list[Path]]
"""The logs, and the truth of each."""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Logs:
    folder = tmp_path_factory.mktemp("logs")
    made = [simulate(folder, LINES // 4, seed=seed) for seed in range(11, 15)]
    with made[0][0].open("ab") as file:
        file.write(BAD)
    return [log for log, _ in made], [answers for _, answers in made]


def run(live: Live, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *map(str, words)]
    return subprocess.run(
        command, cwd=ROOT, env=live.environment("asking"), capture_output=True, text=True, check=False
    )


def assert_check_is_clean(live: Live) -> None:
    done = run(live, "app", "check", "--quiet")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


def assert_stores_are_right(live: Live, logs: list[Path], answers: Sequence[Path] = (), rules: Rules = Rules()) -> None:
    live.wait_drained(400)
    content, statistics = reduced(*logs, rules=rules)
    wanted = {key: row for path in answers for key, row in truth(path).items()}
    for name in STORES:
        assert differences(stored(name, live.settings), content) == "", name
        if wanted:
            assert differences(stored(name, live.settings, TRUE_FIELDS), wanted) == "", name
        hits, rejects = stored_raw(name, live.settings)
        assert hits.total() == len(hits) == statistics.hits, name
        assert rejects.total() == len(rejects) == statistics.rejects.total(), name
        assert statistics.lines == hits.total() + rejects.total() + statistics.heads
    assert_check_is_clean(live)


def ask(live: Live, store: str, *words: object) -> subprocess.CompletedProcess[str]:
    return run(live, "app.client", "--store", store, *words)


def test_simulated_lines_give_the_deliveries_of_reduce_in_both_stores(live: Live, logs: Logs) -> None:
    live.start_worker()
    live.wait_started()
    live.replay(*logs[0]).wait(300)
    assert_stores_are_right(live, *logs)
    for key in list(reduced(logs[0][0])[0])[:3]:
        answers = [ask(live, store, "-i", key[0], "-u", key[1], "-r", key[2], "--json") for store in STORES]
        assert answers[0].returncode == answers[1].returncode, answers[0].stderr + answers[1].stderr
        assert answers[0].stdout == answers[1].stdout


def test_the_nine_lines_are_answered_alike_by_both_stores(live: Live) -> None:
    live.start_worker()
    live.replay(NINE).wait()
    assert_stores_are_right(live, [NINE])
    for store in STORES:
        keys = {key[0]: key for key in stored(store, live.settings)}
        for address, part, code in (
            (FIREFOX, ("-l", 0, "-h", 1156), 0),
            (FIREFOX, ("-l", 0, "-h", 1157), 1),
            (CHROME, ("-l", 0, "-h", 1795), 1),
            (CHROME, ("-l", 718, "-h", 1795), 0),
        ):
            _, agent, request, _ = keys[address]
            assert ask(live, store, "-i", address, "-u", agent, "-r", request, *part).returncode == code
            assert ask(live, store, "-k", f"{address}_{agent}_{request}", *part).returncode == code
        assert ask(live, store, "-i", "192.0.2.1", "-u", "x", "-r", "/y").returncode == 3


@pytest.mark.parametrize(("window", "starts"), [("day", 3), ("first_touch", 3), ("last_touch", 2), ("all", 1)])
def test_each_window_mode_cuts_the_four_requests_alike_in_both_stores(live: Live, window: str, starts: int) -> None:
    log = ROOT / "samples" / "windows.tsv"
    live.options["WEBLOGS_WINDOW"] = window
    live.start_worker()
    live.replay(log).wait()
    live.wait_drained()
    content, _ = reduced(log, rules=Rules(window))
    assert len(content) == starts
    for store in STORES:
        assert differences(stored(store, live.settings), content) == ""


@pytest.mark.parametrize("kind", STORES)
def test_a_store_killed_many_times_holds_everything_afterwards(live: Live, logs: Logs, kind: str) -> None:
    rng = random.Random(kind)
    server = Server.beside(kind)
    live.start_worker()
    live.wait_started()
    replay = live.replay("--rate", LINES / 120, "--chunk-bytes", 16 << 10, *logs[0])
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.5, 5))
        server.kill()
        server.start()
        server.wait_ready()
    replay.wait(400)
    assert_stores_are_right(live, *logs)


def test_the_worker_killed_many_times_leaves_both_stores_right(live: Live, logs: Logs) -> None:
    rng = random.Random(5)
    worker = live.start_worker()
    replay = live.replay("--rate", LINES / 30, "--chunk-bytes", 16 << 10, *logs[0])
    for _ in range(KILLS):
        time.sleep(rng.uniform(1.5, 5))
        worker.kill()
    replay.wait(300)
    assert_stores_are_right(live, *logs)
    assert worker.exits.count(KILLED) == KILLS


def get(live: Live, path: str) -> dict[str, Any]:
    """The worker's answer in JSON, whatever its status."""
    url = live.workers["worker"].text().rpartition("listening on ")[2].split()[0]
    try:
        with urllib.request.urlopen(url + path, timeout=20) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def peak_bytes(worker: Supervised) -> int:
    """The most memory that it had so far."""
    return int(Path(f"/proc/{worker.process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024


def test_a_worker_holds_little_of_the_backlog_of_stores_that_are_away_and_of_what_it_then_writes(
    live: Live, logs: Logs
) -> None:
    worker = live.start_worker()
    live.wait_started()
    for server in map(Server.beside, STORES):
        server.stop()
    live.replay(*logs[0]).wait(600)
    live.wait_until(lambda: flow_lag(live) == 0, "the flow to read everything", 60 * SCALE)
    time.sleep(10)
    away = peak_bytes(worker)
    for server in map(Server.beside, STORES):
        server.start()
        server.wait_ready()
    live.wait_drained(400)
    print(f"{LINES} lines: {away >> 20} MiB with the stores away, {peak_bytes(worker) >> 20} MiB after")
    assert away <= peak_bytes(worker) < PEAK_BYTES
    assert worker.exits == []


def flow_lag(live: Live) -> int:
    return sum(live.standing.positions([live.settings.flow_id]).lag.values())


def test_with_one_store_away_and_then_both_the_rest_goes_on_and_everything_arrives(live: Live, logs: Logs) -> None:
    away_s = float(os.environ.get("AWAY_S", "20"))
    elasticsearch, cassandra = map(Server.beside, STORES)
    worker = live.start_worker(STALL_AFTER=5)
    live.wait_started()
    cassandra.stop()
    live.replay(logs[0][0]).wait()
    lagging = live.settings.app_id + "-cassandra"
    live.wait_until(lambda: get(live, "health/")["lag_messages"].get(lagging, 0) > 0, "the lag to be seen", 30)
    live.wait_until(
        lambda: any("cassandra" in each.lower() for each in get(live, "health/")["problems"]), "health to tell", 60
    )
    content, _ = reduced(logs[0][0])
    live.wait_until(
        lambda: len(stored("elasticsearch", live.settings)) == len(content),
        "the other store to have everything",
        120 * SCALE,
    )
    elasticsearch.stop()
    live.replay(logs[0][1]).wait()
    time.sleep(away_s)
    assert peak_bytes(worker) < PEAK_BYTES
    cassandra.start()
    elasticsearch.start()
    for server in (cassandra, elasticsearch):
        server.wait_ready()
    live.replay(*logs[0][2:]).wait()
    assert_stores_are_right(live, *logs)
    live.wait_until(lambda: get(live, "health/")["healthy"], "health to be well again", 60)
    assert worker.exits == []


def test_a_topic_created_anew_and_a_wiped_data_folder_leave_old_documents_right(live: Live, logs: Logs) -> None:
    worker = live.start_worker()
    live.replay(logs[0][0]).wait()
    live.wait_drained()
    worker.stop()
    live.fresh_topics()
    shutil.rmtree(live.folder / "worker")
    live.start_worker()
    live.replay(logs[0][1]).wait()
    live.wait_drained()
    content, statistics = reduced(*logs[0][:2])
    for name in STORES:
        assert differences(stored(name, live.settings), content) == "", name
        assert stored_raw(name, live.settings)[0].total() == statistics.hits
    live.replay("--again", logs[0][0]).wait()  # the wiped state learns it once more, and the documents are the same
    assert_stores_are_right(live, logs[0][:2], logs[1][:2])


POISON = (1 << 31) - 1
"""A status that no server writes and a message may have."""


def refuse_in_elasticsearch(live: Live) -> None:
    """As an operator's own ingest pipeline does it."""
    server = live.settings.elasticsearch_url
    pipeline = {"processors": [{"fail": {"if": f"ctx.status == {POISON}L", "message": "this is poison"}}]}
    name = f"{live.settings.elasticsearch_prefix}poison"
    settings = {"index.final_pipeline": name}
    for path, body in (
        (f"/_ingest/pipeline/{name}", pipeline),
        (f"/{live.settings.elasticsearch_prefix}raw_weblogs/_settings", settings),
    ):
        request = urllib.request.Request(
            server + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="PUT"
        )
        assert json.load(urllib.request.urlopen(request, timeout=30))["acknowledged"]


def test_a_hit_that_one_store_refuses_lands_in_the_rejects_with_its_reason_and_holds_nothing_up(
    live: Live, logs: Logs
) -> None:
    worker = live.start_worker()
    live.replay(logs[0][0]).wait()
    live.wait_drained()
    refuse_in_elasticsearch(live)
    message = next(
        each for each in map(decode_tokens, live.values("weblogs_tokens")) if each.groups and each.groups[0].rows
    )
    group = message.groups[0]
    poison = group.rows[0][:5] + (POISON,) + group.rows[0][6:12] + ("0" * 31 + "7",) + group.rows[0][13:]
    message.groups = [msgspec.structs.replace(group, rows=[poison])]
    live.send("weblogs_tokens", 0, encode_tokens(message)[0])
    live.replay(logs[0][1]).wait()
    live.wait_drained()
    content, statistics = reduced(*logs[0][:2])
    for name in STORES:
        hits, refused = stored_raw(name, live.settings)
        assert hits.total() == len(hits) == statistics.hits + (name != "elasticsearch"), name
        assert refused.total() == statistics.rejects.total() + 1, "the store tells why it refused, in both"
        assert refused[refusal_id("elasticsearch", poison[12])] == 1
        assert not set(content) - set(stored(name, live.settings))
    rejects = [reject for value in live.values("weblogs_rejects") for reject in decode_rejects(value)]
    assert any("this is poison" in reject.detail for reject in rejects)
    assert worker.exits == []
    assert_check_is_clean(live)


HOSTILE = """'"; DROP TABLE weblogs.raw_weblogs; -- {"query": {"match_all": {}}} AND (a:b* OR ~c)\\ <script>é😀"""


def test_hostile_agents_and_requests_of_8_kb_are_stored_and_found_as_they_are(live: Live, tmp_path: Path) -> None:
    agent = (HOSTILE * 90)[: 8 << 10]
    request = "/" + (HOSTILE * 90)[: 8 << 10]
    log = tmp_path / "hostile.tsv"
    log.write_text(
        f"date\ttime\tip\tagent\trequest\tstatus\trange\n2020-07-31\t2020-07-31 16:46:07\t10.0.0.1\t{agent}\t{request}\t206\t0-9\n"
    )
    live.start_worker()
    live.replay("--format", "weblog_tsv", log).wait()
    assert_stores_are_right(live, [log])
    for store in STORES:
        answer = ask(live, store, "-k", f"10.0.0.1_{agent}_{request}", "--json")
        assert answer.returncode == 0, answer.stderr
        assert json.loads(answer.stdout)["deliveries"][0]["user_agent"] == agent


async def _two_hits(store: Store) -> list[Hit]:
    found = store.reads.all_hits()
    assert isinstance(found, AsyncGenerator)
    async with aclosing(found) as hits:
        return [await anext(hits), await anext(hits)]


async def _first_delivery(store: Store) -> Delivery:
    found = store.reads.all_deliveries()
    assert isinstance(found, AsyncGenerator)
    async with aclosing(found) as deliveries:
        return await anext(deliveries)


@pytest.mark.parametrize("name", STORES)
def test_check_names_what_is_lacking_altered_or_doubled_and_repair_mends_it(live: Live, logs: Logs, name: str) -> None:
    live.start_worker()
    live.replay(logs[0][0]).wait()
    live.wait_drained()
    lost, doubled = ask_store(name, live.settings, _two_hits)
    altered: Delivery = ask_store(name, live.settings, _first_delivery)

    async def damage(store: Store) -> None:
        await store.mending.remove_hits([lost])
        await store.mending.mend_deliveries([altered._replace(covered_bytes=altered.covered_bytes + 1)])
        assert await store.writes.write_hits([doubled._replace(time=doubled.time + 86400)]) == []

    ask_store(name, live.settings, damage, read_only=False)
    told = run(live, "app", "check", "--quiet", "--json")
    assert told.returncode == 1, told.stdout + told.stderr
    for named in (lost.raw_id, doubled.raw_id, altered.request):
        assert json.dumps(named)[1:-1] in told.stdout
    mended = run(live, "app", "repair", "--quiet", "--store", name)
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert_stores_are_right(live, logs[0][:1], logs[1][:1])
    again = run(live, "app", "repair", "--quiet", "--store", name, "--dry-run")
    assert again.returncode == 0, again.stdout + again.stderr


@pytest.mark.parametrize("name", STORES)
def test_check_ends_with_5_for_a_record_that_cannot_be_read_and_repair_mends_it(
    live: Live, logs: Logs, name: str
) -> None:
    live.start_worker()
    live.replay(logs[0][0]).wait()
    live.wait_drained()
    assert run(live, "app", "check", "--quiet").returncode == 0

    async def damage(store: Any) -> None:
        if name == "elasticsearch":
            first = next(one for one in await elastic.documents(store) if "reduced" in one["_index"])
            await store.connection.call(
                "PUT", f"/{first['_index']}/_doc/{first['_id']}", {**first["_source"], "hits": "7"}
            )
        else:
            await asyncio.to_thread(cql, live.settings.cassandra_keyspace, FOREIGN_ROWS["delivery"][0])

    ask_store(name, live.settings, damage, read_only=False)
    told = run(live, "app", "check", "--quiet")
    field = "hits: " if name == "elasticsearch" else "hit_ids: "
    assert told.returncode == 5 and field in told.stdout, told.stdout + told.stderr
    mended = run(live, "app", "repair", "--quiet", "--store", name)
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert_stores_are_right(live, logs[0][:1], logs[1][:1])
    again = run(live, "app", "check", "--quiet")
    assert again.returncode == 0, again.stdout + again.stderr


def test_two_workers_by_roles_feed_both_stores(live: Live, logs: Logs) -> None:
    live.start_worker("flow", ROLES="flow")
    for store in STORES:
        live.start_worker(store, ROLES=store)
    live.replay(*logs[0]).wait(300)
    assert_stores_are_right(live, *logs)


def test_reduce_writes_into_the_stores_what_the_worker_writes(live: Live, logs: Logs) -> None:
    done = run(live, "app", "reduce", "--quiet", "--stores", ",".join(STORES), *logs[0])
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    content, statistics = reduced(*logs[0])
    for name in STORES:
        assert differences(stored(name, live.settings), content) == "", name
        assert stored_raw(name, live.settings)[0].total() == statistics.hits
    live.start_worker()
    live.replay(*logs[0]).wait(300)
    live.wait_drained(400)
    for name in STORES:
        assert differences(stored(name, live.settings, COMPARED), content) == "", name
        assert stored_raw(name, live.settings)[0].total() == statistics.hits
