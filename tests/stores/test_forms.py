"""What form 1 wrote is read for ever; what has an unknown form is named; what lacks a field gets it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.domain.fields import DELIVERY, HIT, Kind
from app.domain.records import Delivery, Hit, Reject
from app.errors import SettingsError, StoreRefused, UnknownForm, UnknownStoreForm
from app.stores.contract import Store
from app.stores.elasticsearch.documents import DOCUMENTS
from app.stores.elasticsearch.reads import record_reader
from app.stores.elasticsearch.writes import _is_of
from app.stores.sqlite.schema import VIEWS, columns_of
from app.stores.sqlite.store import SqliteStore
from tests.stores import forms
from tests.stores.records import counted, delivery, hit, with_store
from tests.together import together


def stored_form_1(path: Path, changes: str = "", name: str = "store-form-1.sql") -> Path:
    """A store as form 1 wrote it."""
    connection = sqlite3.connect(path)
    connection.executescript((forms.FOLDER / name).read_text() + changes)
    connection.close()
    return path


async def everything(store: SqliteStore) -> tuple[list[Hit], list[Reject], list[Delivery]]:
    return (
        [one async for one in store.reads.all_hits()],
        [one async for one in store.reads.all_rejects()],
        [one async for one in store.reads.all_deliveries(superseded=True)],
    )


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_of_form_1_is_read(tmp_path: Path, read_only: bool) -> None:
    found = with_store(stored_form_1(tmp_path / "s.db"), everything, read_only=read_only)
    assert found == (forms.HITS, forms.REJECTS, forms.DELIVERIES)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_without_counts_by_evidence_tells_them_and_gets_them_if_it_is_written(
    tmp_path: Path, read_only: bool
) -> None:
    path = stored_form_1(tmp_path / "s.db")

    async def counts(store: SqliteStore) -> list[Any]:
        return [await store.reads.counts(), await counted(store), await store.mending.miscounted()]

    found, right, miscounted = with_store(path, counts, read_only=read_only)
    assert found == right and not miscounted
    assert sum(found.complete.values()) == sum(one.verdict == "complete" for one in forms.DELIVERIES) > 0

    async def write(store: SqliteStore) -> list[Any]:
        await store.writes.write_deliveries([delivery(99, evidence="resumed")])
        return await counts(store)

    found, right, miscounted = with_store(path, write)
    assert found == right and not miscounted and found.complete["resumed"] == 1


def test_documents_of_form_1_are_read() -> None:
    found = json.loads((forms.FOLDER / "documents-form-1.json").read_text())
    for kind, written in (("raw", forms.HITS), ("rejects", forms.REJECTS), ("reduced", forms.DELIVERIES)):
        assert [record_reader(DOCUMENTS[kind])(name, source) for name, source in found[kind]] == written


def test_a_document_of_before_a_field_is_that_of_its_delivery_and_none_of_another() -> None:
    found = json.loads((forms.FOLDER / "documents-form-1.json").read_text())["reduced"]
    for (name, source), own in zip(found, forms.DELIVERIES, strict=True):
        assert _is_of(name, own, source | {"ingested": 7})
        assert not _is_of(name, own._replace(doubtful=[[0, 3]]), source)
        assert not _is_of(name, own, source | {"covered_bytes": 1})
        assert not _is_of(name, own, {"form": source["form"]})
        with pytest.raises(UnknownForm, match=f"the document {name} of Elasticsearch"):
            _is_of(name, own, source | {"form": 2})


def test_rows_of_form_1_are_what_is_written_today_column_by_column() -> None:
    found = json.loads((forms.FOLDER / "rows-form-1.json").read_text())
    for name, today in forms.encoded_rows().items():
        here = [today["columns"].index(column) for column in found[name]["columns"]]
        assert found[name]["rows"] == [[row[at] for at in here] for row in today["rows"]]


@pytest.mark.parametrize("form", [2, 99])
def test_a_file_of_an_unknown_form_is_named_and_left_as_it_is(tmp_path: Path, form: int) -> None:
    path = stored_form_1(tmp_path / "s.db", f"PRAGMA user_version = {form};")
    for read_only in (True, False):
        with pytest.raises(UnknownStoreForm, match=f"s.db has form {form}; this program knows form 1"):
            with_store(path, everything, read_only=read_only)


async def test_a_file_that_gets_another_form_under_an_open_store_is_noticed(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    await store.open()
    await store.writes.write_hits([hit(1)])
    assert (await store.reads.counts()).hits == 1
    other = sqlite3.connect(tmp_path / "s.db")
    other.execute("PRAGMA user_version = 2")
    other.close()
    with pytest.raises(UnknownStoreForm):
        await store.reads.counts()
    with pytest.raises(UnknownStoreForm):
        await store.writes.write_hits([hit(2)])
    await store.close()


@together("form", [None, 0, 2, "1"])
@together("kind", DOCUMENTS)
def test_a_document_of_an_unknown_form_is_named(kind: str, form: object) -> None:
    name, source = json.loads((forms.FOLDER / "documents-form-1.json").read_text())[kind][0]
    source["form"] = form
    with pytest.raises(UnknownForm, match=f"the document {name} of Elasticsearch"):
        record_reader(DOCUMENTS[kind])(name, source)


def test_an_unknown_form_is_nothing_that_waiting_mends() -> None:
    assert issubclass(UnknownStoreForm, StoreRefused)


def test_a_file_that_lacks_columns_and_views_gets_them_and_keeps_its_records(tmp_path: Path) -> None:
    """As a file of an older program is: without a field that was added since."""
    path = stored_form_1(tmp_path / "s.db")
    connection = sqlite3.connect(path)
    for view in ("reduced_weblogs", "raw_weblogs"):
        connection.execute(f"DROP VIEW {view}")
    connection.execute("ALTER TABLE hits DROP COLUMN method")
    connection.execute("ALTER TABLE deliveries DROP COLUMN reason")
    connection.close()
    lacking = [one._replace(method=None) for one in forms.HITS], [one._replace(reason=None) for one in forms.DELIVERIES]
    hits, _, deliveries = with_store(path, everything, read_only=True)
    assert (hits, deliveries) == lacking
    hits, _, deliveries = with_store(path, everything)
    assert (hits, deliveries) == lacking
    connection = sqlite3.connect(path)
    assert "method" in columns_of(connection, "hits") and "reason" in columns_of(connection, "deliveries")
    views = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'").fetchall())
    connection.close()
    assert VIEWS.items() <= views.items()

    async def write(store: SqliteStore) -> list[Any]:
        await store.writes.write_deliveries([delivery(99, verdict="partial", reason="gap")])
        return [one.reason async for one in store.reads.all_deliveries() if one.version == 99]

    assert with_store(path, write) == ["gap"]


def test_a_column_that_had_another_name_is_read_and_renamed_with_all_that_it_holds(tmp_path: Path) -> None:
    """The file was written when `logged_request` was called `asked`."""
    path = stored_form_1(tmp_path / "s.db", name="store-form-1-asked.sql")
    logged = [None, "GET /film.mp4?token=1", "GET /é?sig=\ud800"]
    for read_only in (True, False, True):
        hits, _, deliveries = with_store(path, everything, read_only=read_only)
        assert [one.logged_request for one in sorted(hits, key=lambda one: one.position)] == logged
        assert len(deliveries) == 1
    connection = sqlite3.connect(path)
    columns = columns_of(connection, "hits")
    views = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'").fetchall())
    shown = connection.execute("SELECT logged_request FROM raw_weblogs ORDER BY position").fetchall()
    connection.close()
    assert "asked" not in columns and "logged_request" in columns and VIEWS.items() <= views.items()
    assert [text for (text,) in shown[:2]] == logged[:2]

    async def write(store: SqliteStore) -> list[str | None]:
        await store.writes.write_hits([hit(4, logged_request="GET /a?token=2")])
        return [one.logged_request async for one in store.reads.all_hits() if one.position == 4]

    assert with_store(path, write) == ["GET /a?token=2"]


def test_the_fields_are_those_of_the_records_with_a_sentence_each() -> None:
    for table in (HIT, DELIVERY):
        assert all(field.what for field in table.fields)
        assert {field.kind for field in table.fields} <= set(Kind)


class OnlyWrites:
    """The least that a store is."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ping(self) -> None: ...

    async def write_hits(self, hits: Sequence[Hit]) -> list[tuple[Hit, str]]:
        return []

    async def write_rejects(self, rejects: Sequence[Reject]) -> list[tuple[Reject, str]]:
        return []

    async def write_deliveries(self, deliveries: Sequence[Delivery]) -> list[tuple[Delivery, str]]:
        return []


@pytest.mark.parametrize("capability", ["reads", "mending", "retention", "ledgers"])
def test_a_store_that_lacks_a_capability_says_so_in_one_sentence(capability: str) -> None:
    with pytest.raises(SettingsError, match="the store least cannot "):
        getattr(Store("least", OnlyWrites()), capability)
