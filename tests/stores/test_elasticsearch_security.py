"""Security on: users, API keys, and one clear sentence for who is not let in.

The server of these tests is started here, beside the one without security; start.sh unpacks it from Maven's local repository.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.errors import StoreError, StoreRefused
from app.settings import Settings
from app.stores.contract import KINDS
from app.stores.elasticsearch.store import ElasticsearchStore
from tests.ports import free_port
from tests.stores import elastic
from tests.stores.records import delivery, hit

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
START = Path(__file__).resolve().parents[1] / "services" / "elasticsearch" / "start.sh"
PASSWORD = "s3cret-password"


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def secure() -> Iterator[Settings]:
    """Settings of a server with security on, as its user elastic."""
    base = Path(tempfile.mkdtemp(prefix="es-secure-"))
    base.chmod(0o755)
    ports = free_port(), free_port()
    environment = {
        **os.environ, "ES_BASE": str(base), "ES_HTTP_PORT": str(ports[0]), "ES_TRANSPORT_PORT": str(ports[1]), "ES_HEAP": "512m",
        "ES_PASSWORD": PASSWORD,
    }  # fmt: skip
    with (base / "start.log").open("w") as log:
        server = subprocess.Popen(
            [START], env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        until = time.monotonic() + 400
        while not _answers(ports[0]):
            assert server.poll() is None and time.monotonic() < until, (base / "start.log").read_text()[-2000:]
            time.sleep(0.5)
        own = elastic.own_settings(elasticsearch_url=f"http://127.0.0.1:{ports[0]}", elasticsearch_api_key="")
        yield msgspec.structs.replace(own, elasticsearch_user="elastic", elasticsearch_password=PASSWORD)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)
        shutil.rmtree(base, ignore_errors=True)


async def _round(store: ElasticsearchStore) -> None:
    await store.open()
    assert await store.writes.write_hits([hit(1)]) == [] and await store.writes.write_deliveries([delivery(8)]) == []
    assert await store.reads.deliveries_of(*delivery()[:3]) == [delivery(8)]
    assert (await store.reads.counts()).hits == 1


async def _ready(store: ElasticsearchStore) -> None:
    """The port is open some seconds before users are known."""
    until = time.monotonic() + 120
    while True:
        try:
            return await store.ping()
        except StoreError:
            if time.monotonic() > until:
                raise


async def test_a_user_with_the_right_password_writes_and_reads(secure: Settings) -> None:
    store = ElasticsearchStore(secure)
    await _ready(store)
    await _round(store)
    await store.retention.drop(KINDS)
    await store.close()


async def test_an_api_key_writes_and_reads(secure: Settings) -> None:
    owner = ElasticsearchStore(secure)
    await _ready(owner)
    made: dict[str, Any] = await owner.connection.call("POST", "/_security/api_key", {"name": "weblogs"})
    store = ElasticsearchStore(
        msgspec.structs.replace(secure, elasticsearch_user="", elasticsearch_api_key=made["encoded"])
    )
    await _round(store)
    await store.retention.drop(KINDS)
    await store.close()
    await owner.close()


@pytest.mark.parametrize(
    ("wrong", "who"),
    [
        ({"elasticsearch_password": "wrong"}, "the user 'elastic'"),
        ({"elasticsearch_user": ""}, "a request without a user"),
        ({"elasticsearch_user": "", "elasticsearch_api_key": "bm8gc3VjaDprZXk="}, "the API key"),
    ],
)
async def test_wrong_credentials_give_one_clear_sentence(secure: Settings, wrong: dict[str, Any], who: str) -> None:
    owner = ElasticsearchStore(secure)
    await _ready(owner)
    await owner.close()
    store = ElasticsearchStore(msgspec.structs.replace(secure, **wrong))
    for call in (store.open, store.reads.counts, lambda: store.writes.write_deliveries([delivery(8)])):
        with pytest.raises(StoreRefused) as told:
            await call()
        assert f"refuses {who}: set WEBLOGS_ELASTICSEARCH_USER and" in str(told.value) and "\n" not in str(told.value)
    await store.close()


async def test_a_user_who_may_not_write_is_told_so_and_may_read(secure: Settings) -> None:
    owner = ElasticsearchStore(secure)
    await _ready(owner)
    await _round(owner)
    role = {
        "indices": [{"names": [f"{secure.elasticsearch_prefix}*"], "privileges": ["read", "view_index_metadata"]}],
        "cluster": ["monitor"],
    }
    await owner.connection.call("PUT", "/_security/role/reader", role)
    await owner.connection.call("PUT", "/_security/user/reader", {"password": PASSWORD, "roles": ["reader"]})
    own = msgspec.structs.replace(secure, elasticsearch_user="reader")
    reader = ElasticsearchStore(own, read_only=True)
    await reader.open()
    assert (
        await reader.reads.deliveries_of(*delivery()[:3]) == [delivery(8)] and (await reader.reads.counts()).hits == 1
    )
    await reader.close()
    writer = ElasticsearchStore(own)
    with pytest.raises(StoreError, match="security_exception"):
        await writer.writes.write_deliveries([delivery(16)])
    await writer.close()
    await owner.retention.drop(KINDS)
    await owner.close()
