"""Files of form 1 that tests read: `python -m tests.stores.forms` writes those that are missing, and never one that is there."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from app.domain.fields import DELIVERY, HIT, REJECT
from app.domain.records import Delivery, Hit, Reject
from app.stores.cassandra import encoding, rows, values
from app.stores.elasticsearch.documents import HITS as HIT_DOCUMENTS
from app.stores.elasticsearch.documents import REJECTS as REJECT_DOCUMENTS
from app.stores.elasticsearch.documents import delivery_document
from app.stores.sqlite.store import SqliteStore
from tests.stores.records import delivery, hit, reject

FOLDER = Path(__file__).resolve().parents[1] / "data" / "forms"
_ADDED = {
    table.record: {field.name: field.absent for field in table.fields if not field.needed}
    for table in (HIT, REJECT, DELIVERY)
}
"""Fields that came after form 1, as records that were stored before have them."""
HITS: list[Hit] = [
    hit(1),
    hit(2, raw_id="ab" * 16, lo=2**70, hi=2**70 + 9, ip_address=None),
    hit(3, request="GET /\ud800", method=None, status=404, bytes_sent=None),
]
REJECTS: list[Reject] = [reject(4), reject(5, detail="\ud800", line="é" * 9)]
DELIVERIES: list[Delivery] = [
    delivery(8),
    delivery(16, request="GET /b", ranges=[[0, 9], [20, 2**70]], missing=[[10, 19]], covered_bytes=2**70),
    delivery(9, request="GET /c", verdict="partial", reason="gap", flags=["beyond_size", "cut_off"], final=True),
]

HITS = [one._replace(**_ADDED[Hit]) for one in HITS]
REJECTS = [one._replace(**_ADDED[Reject]) for one in REJECTS]
DELIVERIES = [one._replace(**_ADDED[Delivery]) for one in DELIVERIES]


def documents() -> dict[str, list[Any]]:
    """The documents of Elasticsearch with their ids."""
    return {
        "raw": [[one.raw_id, json.loads(HIT_DOCUMENTS.json(one, 0))] for one in HITS],
        "rejects": [[one.raw_id, json.loads(REJECT_DOCUMENTS.json(one, 0))] for one in REJECTS],
        "reduced": [[one.request, json.loads(delivery_document(one, 0))] for one in DELIVERIES],
    }


def encoded_rows() -> dict[str, dict[str, list[Any]]]:
    """Columns, and rows of hexadecimal values (null is null), of the tables of Cassandra."""

    def written(values: list[Any]) -> list[str | None]:
        return [None if value is None else value.hex() for value in values]

    found: dict[str, tuple[rows.Rows, list[Any]]] = {
        "raw_weblogs": (
            rows.HITS,
            [
                encoding.hit_values(
                    one,
                    encoding.key_bytes((one.ip_address, one.user_agent, one.request)),
                    values.date(one.time),
                    None,
                )
                for one in HITS
            ],
        ),
        "rejects": (rows.REJECTS, [encoding.reject_values(one) for one in REJECTS]),
        "reduced_weblogs": (
            rows.DELIVERIES,
            [
                encoding.delivery_values(one, encoding.key_bytes((one.ip_address, one.user_agent, one.request)), None)
                for one in DELIVERIES
            ],
        ),
    }
    return {
        name: {"columns": list(table.types), "rows": [written(values) for values in many]}
        for name, (table, many) in found.items()
    }


async def sqlite_dump() -> str:
    """A store as SQL text."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "s.db", clock=lambda: 0.0)
        await store.open()
        assert await store.writes.write_hits(HITS) == []
        assert await store.writes.write_rejects(REJECTS) == []
        assert await store.writes.write_deliveries(DELIVERIES) == []
        await store.close()
        connection = sqlite3.connect(Path(folder) / "s.db")
        connection.text_factory = lambda text: text.decode("utf-8", "surrogatepass")
        form = connection.execute("PRAGMA user_version").fetchone()[0]
        lines = [*connection.iterdump(), f"PRAGMA user_version = {form};"]
        connection.close()
        return "\n".join(lines) + "\n"


def main() -> None:
    """Writes what is missing."""
    made = {
        "store-form-1.sql": asyncio.run(sqlite_dump()),
        "documents-form-1.json": json.dumps(documents(), indent=1) + "\n",
        "rows-form-1.json": json.dumps(encoded_rows(), indent=1) + "\n",
    }
    for name, text in made.items():
        if not (FOLDER / name).exists():
            (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
