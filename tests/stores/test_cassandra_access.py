"""Cassandra with login and TLS, its own limits of batches, absent, killed and back."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cassandra import InvalidRequest

from app.errors import SettingsError, StoreError, StoreUnreachable
from app.settings import Settings, settings
from app.stores import open_store
from app.stores.cassandra import access as cassandra_access
from app.stores.cassandra.connection import CassandraConnection, StatementRefused
from app.stores.cassandra.retention import CassandraRetention
from app.stores.cassandra.rows import TABLES
from app.stores.cassandra.store import CassandraStore
from tests.services.cassandra_node import HOST, CassandraNode
from tests.stores import records
from tests.stores.cassandra_stores import cql, fresh_keyspace, own_settings, with_cassandra
from tests.stores.records import delivery, hit, reject

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CassandraNode]:
    """Asks for a password over TLS, and refuses batches as a server does by default: above 50 KiB."""
    node = CassandraNode(
        tmp_path_factory.mktemp("cassandra"),
        CASS_AUTH="1",
        CASS_TLS="1",
        CASS_BATCH_WARN="5KiB",
        CASS_BATCH_FAIL="50KiB",
    )
    node.start()
    try:
        wait_for_login(node)
        yield node
    finally:
        node.stop()


def access(node: CassandraNode, **changes: object) -> Settings:
    fields = {
        "cassandra_hosts": HOST,
        "cassandra_port": node.port,
        "cassandra_ca": str(node.ca),
        "cassandra_user": "cassandra",
        "cassandra_password": "cassandra",
        "cassandra_consistency": "LOCAL_ONE",
    }
    return msgspec.structs.replace(settings(), **(fields | changes))


def wait_for_login(node: CassandraNode) -> None:
    """A new node makes its first user some seconds after it listens."""
    give_up = time.monotonic() + 90
    while True:
        connection = CassandraConnection(access(node), cassandra_access.why_not)
        try:
            connection.connect()
            connection.shutdown()
            return
        except (SettingsError, StoreUnreachable):
            if time.monotonic() > give_up:
                raise
            time.sleep(1)


def why_not(own: Settings) -> Exception:
    async def attempt() -> Exception:
        store = open_store("cassandra", own)
        try:
            await store.open()
        except (SettingsError, StoreError) as error:
            return error
        finally:
            await store.close()
        raise AssertionError("it was opened")

    return asyncio.run(attempt())


def test_a_store_opens_with_user_and_password_over_tls(node: CassandraNode) -> None:
    async def work() -> None:
        store = CassandraStore(access(node))
        await store.open()
        assert await store.writes.write_hits([hit(1)]) == []
        assert await store.writes.write_deliveries([delivery()]) == []
        await store.ping()
        assert await store.reads.deliveries_of(*delivery()[:3]) == [delivery()]
        await store.close()

    asyncio.run(work())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cassandra_password": "wrong"}, "refuses the user 'cassandra' or the password"),
        ({"cassandra_user": "nobody"}, "refuses the user 'nobody' or the password"),
        ({"cassandra_user": "", "cassandra_password": ""}, "asks for a user and a password"),
    ],
)
def test_wrong_credentials_give_one_clear_sentence(node: CassandraNode, changes: dict[str, Any], said: str) -> None:
    error = why_not(access(node, **changes))
    assert isinstance(error, SettingsError)
    assert (
        str(error)
        == f"Cassandra at {HOST}:{node.port} {said}; set WEBLOGS_CASSANDRA_USER and WEBLOGS_CASSANDRA_PASSWORD"
    )


def test_a_wrong_data_centre_is_named_with_those_there_are(node: CassandraNode) -> None:
    error = why_not(access(node, cassandra_datacenter="moon"))
    assert isinstance(error, SettingsError)
    assert "WEBLOGS_CASSANDRA_DATACENTER='moon'" in str(error) and "datacenter1" in str(error)
    asyncio.run(_opens(access(node, cassandra_datacenter="datacenter1")))


async def _opens(own: Settings) -> None:
    store = CassandraStore(own)
    await store.open()
    await store.close()


def foreign_ca(folder: Path) -> Path:
    """A certificate that has nothing to do with the node's."""
    store, pem = folder / "other.p12", folder / "other.pem"
    made = ["-alias", "other", "-keystore", str(store), "-storepass", "for-tests-only"]
    subprocess.run(
        ["keytool", "-genkeypair", "-keyalg", "RSA", "-dname", "CN=other", *made], check=True, capture_output=True
    )
    subprocess.run(["keytool", "-exportcert", "-rfc", "-file", str(pem), *made], check=True, capture_output=True)
    return pem


def test_a_ca_that_does_not_cover_the_node_is_told(node: CassandraNode, tmp_path: Path) -> None:
    missing = why_not(access(node, cassandra_ca="/nosuch/ca.pem"))
    assert isinstance(missing, SettingsError) and "WEBLOGS_CASSANDRA_CA='/nosuch/ca.pem'" in str(missing)
    other = why_not(access(node, cassandra_ca=str(foreign_ca(tmp_path))))
    assert isinstance(other, SettingsError) and "shows a certificate that WEBLOGS_CASSANDRA_CA" in str(other)
    plain = why_not(access(node, cassandra_ca=""))
    assert isinstance(plain, StoreUnreachable)


def test_large_writes_stay_below_the_limits_that_a_server_has_by_default(node: CassandraNode) -> None:
    agent = "x" * 900
    hits = [hit(n, user_agent=agent, request=f"GET /{n % 7}") for n in range(3000)]
    deliveries = [
        delivery(user_agent=agent, request=f"GET /{n}", ranges=[[2 * i, 2 * i] for i in range(n)])
        for n in range(0, 3000, 50)
    ]

    async def work() -> None:
        store = CassandraStore(access(node))
        await store.open()
        assert await store.writes.write_hits(hits) == []
        assert await store.writes.write_deliveries(deliveries) == []
        assert await store.writes.write_rejects([reject(n, line="y" * 3000) for n in range(500)]) == []
        assert sorted([one async for one in store.reads.all_deliveries() if one.user_agent == agent]) == sorted(
            deliveries
        )
        assert await store.reads.counts() == await records.counted(store)
        await store.close()

    asyncio.run(work())


def test_a_killed_node_fails_the_call_in_words_and_the_same_call_succeeds_when_it_is_back(node: CassandraNode) -> None:
    hits = [hit(n, request="GET /killed") for n in range(500)]

    async def work() -> float:
        store = CassandraStore(access(node))
        await store.open()
        await store.writes.write_hits(hits[:100])
        await asyncio.to_thread(node.kill)
        with pytest.raises(StoreUnreachable, match=f"Cassandra at {HOST}:{node.port}"):
            await store.writes.write_hits(hits)
        with pytest.raises(StoreUnreachable):
            await store.ping()
        await asyncio.to_thread(node.start)
        back = time.monotonic()
        while True:
            try:
                assert await store.writes.write_hits(hits) == []
                break
            except StoreUnreachable:
                assert time.monotonic() - back < 60
                await asyncio.sleep(0.5)
        assert await store.reads.hits_of("10.0.0.1", "curl/8_1", "GET /killed") == (hits, 500)
        await store.close()
        return time.monotonic() - back

    assert asyncio.run(work()) < 60


def test_a_table_that_somebody_altered_refuses_no_record_for_good() -> None:
    """A column that is gone is the same for every record: they wait until it is back."""
    with fresh_keyspace() as keyspace:

        async def work() -> None:
            store = CassandraStore(own_settings(keyspace))
            await store.open()
            assert await store.writes.write_hits([hit(1)]) == []
            await asyncio.to_thread(cql, keyspace, "ALTER TABLE KS.raw_weblogs DROP method")
            with pytest.raises(StoreError, match=r"a table of the keyspace .* was altered .*method"):
                await store.writes.write_hits([hit(2), hit(3)])
            column = f"method {TABLES['raw_weblogs'].types['method']}"
            await asyncio.to_thread(cql, keyspace, f"ALTER TABLE KS.raw_weblogs ADD {column}")
            assert await store.writes.write_hits([hit(2), hit(3)]) == []
            assert (await store.reads.counts()).hits == 3
            await store.close()

        asyncio.run(work())


@pytest.mark.parametrize("server", ["disk usage exceeds failure threshold", "this consistency level is not allowed"])
def test_what_a_limit_of_the_servers_operator_refuses_is_no_fault_of_a_record(server: str) -> None:
    connection = CassandraConnection(settings(), cassandra_access.why_not)
    told = connection.failure(InvalidRequest(server))
    assert isinstance(told, StoreUnreachable) and server in str(told)
    assert isinstance(connection.failure(InvalidRequest("a number is too large")), StatementRefused)


def test_no_node_is_told_in_one_sentence() -> None:
    error = why_not(msgspec.structs.replace(settings(), cassandra_port=1))
    assert isinstance(error, StoreUnreachable)
    assert str(error).startswith("Cassandra at 127.0.0.1:1 does not answer: ")


# -- on the node of the settings


def test_several_workers_create_the_tables_at_once_and_none_is_dropped() -> None:
    with fresh_keyspace() as keyspace:

        async def work() -> None:
            stores = [CassandraStore(own_settings(keyspace)) for _ in range(4)]
            await asyncio.gather(*[store.open() for store in stores])
            await asyncio.gather(
                *[store.writes.write_deliveries([delivery(request=f"GET /{n}")]) for n, store in enumerate(stores)]
            )
            await asyncio.gather(*[store.close() for store in stores])
            await stores[0].open()
            assert (await stores[0].reads.counts()).deliveries == {"complete": 4}
            await stores[0].close()

        asyncio.run(work())


def test_a_read_only_store_creates_and_writes_nothing() -> None:
    with fresh_keyspace() as keyspace:
        error = None

        async def work() -> None:
            nonlocal error
            store = CassandraStore(own_settings(keyspace), read_only=True)
            with pytest.raises(StoreUnreachable, match=f"lacks tables of the keyspace {keyspace}"):
                await store.open()
            await store.close()
            writer = CassandraStore(own_settings(keyspace))
            await writer.open()
            await writer.writes.write_hits([hit(1)])
            assert (await store.reads.counts()).hits == 1  # opens by itself
            with pytest.raises(StoreError, match="for reading only"):
                await store.writes.write_hits([hit(2)])
            await store.close()
            await writer.close()

        asyncio.run(work())


def test_drop_takes_the_tables_of_a_kind_and_map_brings_them_back_empty() -> None:
    with fresh_keyspace() as keyspace:

        async def work(store: CassandraStore) -> None:
            await store.writes.write_hits([hit(1)])
            await store.writes.write_deliveries([delivery()])
            await store.writes.write_rejects([reject(1)])
            retention = store.retention
            assert isinstance(retention, CassandraRetention)
            await retention.drop(["rejects", "raw"])
            assert set(await retention.missing()) == {"raw_weblogs", "rejects"}
            with pytest.raises(StoreUnreachable, match="lacks tables"):
                await store.writes.write_hits([hit(1)])
            assert await store.reads.deliveries_of(*delivery()[:3]) == [delivery()]
            await store.retention.map(["raw", "rejects"])
            assert await retention.missing() == []
            assert await store.writes.write_hits([hit(2)]) == []
            assert [one.position async for one in store.reads.all_hits()] == [2]
            await store.retention.drop(["raw", "reduced", "rejects"])
            assert len(await retention.missing()) == 10
            with pytest.raises(SettingsError, match="'keys' is no kind of record"):
                await store.retention.drop(["keys"])
            await retention.map()
            assert await store.writes.write_hits([hit(3)]) == []
            assert await store.reads.hits_of("10.0.0.1", "curl/8_1", "GET /a") == ([hit(3)], 1)
            assert len((await store.reads.keys_by_text_part("curl")).keys) == 1

        with_cassandra(keyspace, work)


def test_records_are_gone_when_their_time_to_live_is_over() -> None:
    with fresh_keyspace() as keyspace:

        async def work(store: CassandraStore) -> None:
            await store.writes.write_hits([hit(1)])
            await store.writes.write_rejects([reject(1)])
            await store.writes.write_deliveries([delivery()])
            assert await store.retention.retain(time.time(), 0.0, 0.0) == (0, 0)
            await until_none(store)
            assert await store.reads.deliveries_of(*delivery()[:3]) == [delivery()]
            assert await store.reads.hits_of("10.0.0.1", "curl/8_1", "GET /a") == ([], 0)

        with_cassandra(keyspace, work, retention=f"{2 / 86400},1")


async def until_none(store: CassandraStore) -> None:
    while (await store.reads.counts()).hits or [one async for one in store.reads.all_rejects()]:  # noqa: ASYNC110 - the server's clock decides
        await asyncio.sleep(0.3)


def test_counts_that_take_long_are_answered_with_the_last_known(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = "app.stores.cassandra.counts"
    monkeypatch.setattr(
        f"{counts}.SOON_S", 600.0
    )  # however busy the machine is: counts are taken anew after each write
    with fresh_keyspace() as keyspace:

        async def work(store: CassandraStore) -> None:
            await store.writes.write_hits([hit(n) for n in range(50)])
            monkeypatch.setattr(f"{counts}.WAIT_S", 60.0)
            assert (await store.reads.counts()).hits == 50
            other = CassandraStore(own_settings(keyspace), read_only=True)
            await other.open()
            await store.writes.write_hits([hit(n) for n in range(60)])
            monkeypatch.setattr(f"{counts}.WAIT_S", 0.0)
            assert (await store.reads.counts()).hits == 50
            assert (await other.reads.counts()).hits == 50  # what another process has counted last
            await other.close()
            monkeypatch.setattr(f"{counts}.WAIT_S", 60.0)
            assert (await store.reads.counts()).hits == 60

        with_cassandra(keyspace, work)
