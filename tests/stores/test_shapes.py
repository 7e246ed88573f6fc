"""A table or index that somebody made by hand under our name is refused, with the difference and what mends it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from app.errors import OtherShape
from app.process.exit import EXIT_REFUSED
from app.stores import open_store
from app.stores.cassandra.store import CassandraStore
from app.stores.sqlite.store import SqliteStore
from tests import ROOT
from tests.flow.running import Flow
from tests.stores import elastic
from tests.stores.cassandra_stores import cql, fresh_keyspace, with_cassandra


async def refused_after(path: Path, statement: str) -> str:
    """What an open store says of a file in which somebody did this."""
    with closing(sqlite3.connect(path)) as by_hand:
        by_hand.executescript(statement)
    store = SqliteStore(path)
    with pytest.raises(OtherShape) as told:
        await store.open()
    await store.close()
    return str(told.value)


async def test_a_table_made_by_hand_is_refused_with_what_differs_and_what_to_do(tmp_path: Path) -> None:
    told = await refused_after(tmp_path / "s.db", "CREATE TABLE hits (hit_no TEXT, request TEXT)")
    assert "the table hits of" in told and "was not made by this program" in told
    assert "is missing" in told and "Move that file away" in told


async def test_a_table_of_which_a_column_was_altered_by_hand_is_refused(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    await store.close()
    told = await refused_after(tmp_path / "s.db", "DROP TABLE rejects; CREATE TABLE rejects (reject_no TEXT)")
    assert "the table rejects of" in told and "reject_no is TEXT, not INTEGER PRIMARY KEY" in told


def test_a_worker_on_such_a_file_ends_with_78_and_that_sentence(tmp_path: Path) -> None:
    with Flow(tmp_path / "var") as flow:
        with closing(sqlite3.connect(tmp_path / "var" / "weblogs.db")) as by_hand:
            by_hand.execute("CREATE TABLE deliveries (ip_address TEXT)")
        done = flow.refused_worker()
    assert done.returncode == EXIT_REFUSED, done.stderr
    assert "the table deliveries of" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.live
async def test_an_index_made_by_hand_is_refused_with_what_differs_and_what_to_do() -> None:
    own = elastic.own_settings()
    async with elastic.opened(own) as store:
        index = store.names.first("reduced")
        await store.retention.drop(["reduced"])
        mapping = {"mappings": {"properties": {"hits": {"type": "text"}}}}
        await store.connection.call("PUT", f"/{index}", mapping)
        again = open_store("elasticsearch", own)
        with pytest.raises(OtherShape, match=rf"the index {index} of .* hits is text, not .*DELETE /{index}"):
            await again.open()
        await again.close()
        await store.connection.call("DELETE", f"/{index}")


def test_commands_that_find_no_store_name_the_setting(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WEBLOGS_")}
    for command in (["app.client", "-i", "a", "-u", "b", "-r", "/c"], ["app", "check"], ["app", "candidates", "list"]):
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            env=environment | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "WEBLOGS_STORES" in done.stderr, (command, done.stderr)


def test_make_run_es_app_uses_the_stores_of_env(tmp_path: Path) -> None:
    """Also in a test run by make, whose own flags are no business of another make."""
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text() + "\ntold:\n\t@echo '[$(strip $(ON_ES))]'\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WEBLOGS_", "MAKE"))}
    for env, told in (
        ("", "[WEBLOGS_BROKER=kafka://127.0.0.1:9092 WEBLOGS_STORES=elasticsearch]"),
        ("WEBLOGS_STORES=elasticsearch,cassandra\n", "[WEBLOGS_BROKER=kafka://127.0.0.1:9092]"),
        ("WEBLOGS_STORES=cassandra\nWEBLOGS_BROKER=kafka://a:1\n", "[]"),
    ):
        (tmp_path / ".env").write_text(env)
        done = subprocess.run(
            ["make", "--no-print-directory", "told"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == told


@pytest.mark.live
def test_a_table_of_cassandra_made_by_hand_is_refused_with_what_differs_and_what_to_do() -> None:
    async def nothing(_: CassandraStore) -> None:
        pass

    with fresh_keyspace() as keyspace:
        with_cassandra(keyspace, nothing)
        with_cassandra(keyspace, nothing)  # its own tables are taken
        cql(keyspace, "DROP TABLE KS.rejects", "CREATE TABLE KS.rejects (raw_id int PRIMARY KEY)")
        with pytest.raises(OtherShape, match=rf"the table {keyspace}\.rejects of .* raw_id is int, not .*DROP TABLE"):
            with_cassandra(keyspace, nothing)
