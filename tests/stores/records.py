"""Records to put into stores, and ways to look at what is in one."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from app.domain.extras import EXTRAS
from app.domain.records import Delivery, Hit, Reject, raw_ids
from app.domain.totals import Judged, Totals
from app.stores.contract import Store
from app.stores.sqlite.store import SqliteStore

SOURCE = "5f" * 16
TIME = 1596213967.0

TABLES = ("keys", "sources", "hits", "rejects", "deliveries", "tallies")


def hit(position: int = 0, **changes: Any) -> Hit:
    """A hit whose raw id follows from source and position, unless one is given."""
    source = changes.get("source", SOURCE)
    fields: dict[str, Any] = {
        "time": TIME + position,
        "ip_address": "10.0.0.1",
        "user_agent": "curl/8_1",
        "request": "GET /a",
        "method": "GET",
        "status": 206,
        "lo": 0,
        "hi": 499,
        "bytes_sent": 500,
        "total_bytes": None,
        "flags": 0,
        "extras": {"referer": "https://example.com/a b"},
        "raw_id": raw_ids(source)(position),
        "source": source,
        "position": position,
    }
    return Hit(**(fields | changes))


def reject(position: int = 0, **changes: Any) -> Reject:
    fields: dict[str, Any] = {
        "reason": "bad_time",
        "detail": "no date",
        "line": "x",
        "raw_id": raw_ids(SOURCE)(position),
        "source": SOURCE,
        "position": position,
        "time": TIME,
    }
    return Reject(**(fields | changes))


def delivery(version: int = 8, **changes: Any) -> Delivery:
    fields: dict[str, Any] = {
        "ip_address": "10.0.0.1",
        "user_agent": "curl/8_1",
        "request": "GET /a",
        "window_start": TIME,
        "first": TIME,
        "last": TIME + 10,
        "ranges": [[0, 499]],
        "missing": [],
        "covered_bytes": 500,
        "total_bytes": None,
        "size_known": False,
        "verdict": "complete",
        "evidence": "ranges",
        "reason": None,
        "hits": 1,
        "bytes_sent": 500,
        "flags": [],
        "hit_ids": ["00000000000000ff"],
        "final": False,
        "version": version,
        "superseded_by": None,
        "doubtful": [],
    }
    return Delivery(**(fields | changes))


def with_store(path: Path, work: Callable[[SqliteStore], Coroutine[Any, Any, Any]], **options: Any) -> Any:
    """What `work` returns, on a store that is open meanwhile."""

    async def run() -> Any:
        store = SqliteStore(path, **options)
        await store.open()
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def dump(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the tables that hold records."""
    connection = sqlite3.connect(path)
    try:
        return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}
    finally:
        connection.close()


async def counted(store: Store) -> Totals:
    """The counts, taken by reading every record."""
    rejects: dict[str, int] = {}
    judged: dict[Judged, int] = {}
    merged = covered = sent = 0
    async for one in store.reads.all_rejects():
        rejects[one.reason] = rejects.get(one.reason, 0) + 1
    async for d in store.reads.all_deliveries():
        name = d.verdict, d.reason, d.evidence
        judged[name] = judged.get(name, 0) + 1
        merged += d.hits
        covered += d.covered_bytes
        sent += d.bytes_sent or 0
    hits = len([one async for one in store.reads.all_hits()])
    return Totals(hits, rejects, judged, merged, covered, sent)


texts = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["", "\0", "'\"; --", "a_b", "\ud800", "\udfff\ud800", "é😀", "x" * 3000]
)
"""Any text, lone surrogates and NUL among them."""
integers = st.integers(0, 2**70) | st.sampled_from([0, 2**63 - 1, 2**63, 2**64, 10**4000])
positions = st.integers(0, 2**64 - 1)
times = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def hits(draw: st.DrawFn) -> Hit:
    source = draw(texts)
    position = draw(positions)
    given_id = draw(st.none() | st.binary(min_size=16, max_size=16))
    return Hit(
        time=draw(times),
        ip_address=draw(st.none() | texts),
        user_agent=draw(st.none() | texts),
        request=draw(st.none() | texts),
        method=draw(st.none() | texts),
        status=draw(st.integers(0, 999)),
        lo=draw(st.none() | integers),
        hi=draw(st.none() | integers),
        bytes_sent=draw(st.none() | integers),
        total_bytes=draw(st.none() | integers),
        flags=draw(st.integers(0, 3)),
        extras=draw(st.dictionaries(st.sampled_from(sorted(EXTRAS)), texts, max_size=3)),
        raw_id=raw_ids(source)(position) if given_id is None else given_id.hex(),
        source=source,
        position=position,
        logged_request=draw(st.none() | texts),
    )


@st.composite
def rejects(draw: st.DrawFn) -> Reject:
    source, position = draw(texts), draw(positions)
    return Reject(draw(texts), draw(texts), draw(texts), raw_ids(source)(position), source, position, draw(times))


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    pairs = st.lists(st.tuples(integers, integers).map(list), max_size=4)
    return Delivery(
        draw(texts),
        draw(texts),
        draw(texts),
        draw(st.floats(allow_nan=False)),
        draw(times),
        draw(times),
        draw(pairs),
        draw(pairs),
        draw(integers),
        draw(st.none() | integers),
        draw(st.booleans()),
        draw(st.sampled_from(["complete", "partial", "unknown"])),
        draw(st.sampled_from(["ranges", "bytes"])),
        draw(st.sampled_from([None, "gap", "start_missing"])),
        draw(integers),
        draw(st.none() | integers),
        draw(st.lists(st.sampled_from(["beyond_size", "cut_off"]), unique=True).map(sorted)),
        draw(st.lists(st.binary(min_size=8, max_size=8).map(bytes.hex), max_size=3)),
        draw(st.booleans()),
        draw(integers),
        draw(st.none() | times),
        draw(pairs),
    )
