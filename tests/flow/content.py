"""What a store holds, and what must be in it: for comparison to the last byte."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

from app.domain.records import Delivery
from app.domain.windows import Rules
from app.reducing.job import Job, Statistics
from app.reducing.run import deliveries_of
from app.settings import load
from app.stores import open_store

Content = dict[tuple[str, str, str, float], tuple[Any, ...]]
COMPARED = (
    "first", "last", "ranges", "missing", "covered_bytes", "total_bytes", "size_known",
    "verdict", "evidence", "reason", "hits", "bytes_sent", "flags", "hit_ids",
)  # fmt: skip
TRUE_FIELDS = tuple(name for name in COMPARED if name not in ("flags", "hit_ids"))


def _row(delivery: Delivery, fields: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(getattr(delivery, name) for name in fields)


def stored(folder: Path, fields: tuple[str, ...] = COMPARED) -> Content:
    """The visible deliveries of the store in a data folder."""

    async def read() -> Content:
        store = open_store("sqlite", load({"WEBLOGS_DATA_DIR": str(folder)}), read_only=True)
        await store.open()
        found = {delivery[:4]: _row(delivery, fields) async for delivery in store.reads.all_deliveries()}
        await store.close()
        return found

    return asyncio.run(read())


def stored_raw(folder: Path) -> tuple[Counter[str], Counter[str]]:
    """How often each raw id is among the hits and among the rejects."""

    async def read() -> tuple[Counter[str], Counter[str]]:
        store = open_store("sqlite", load({"WEBLOGS_DATA_DIR": str(folder)}), read_only=True)
        await store.open()
        hits = Counter([hit.raw_id async for hit in store.reads.all_hits()])
        rejects = Counter([reject.raw_id async for reject in store.reads.all_rejects()])
        await store.close()
        return hits, rejects

    return asyncio.run(read())


def reduced(
    *paths: Path, rules: Rules = Rules(), fields: tuple[str, ...] = COMPARED, **job: Any
) -> tuple[Content, Statistics]:
    """What `reduce` makes of files."""
    statistics = Statistics()
    found = {
        d[:4]: _row(d, fields)
        for d in deliveries_of(Job([str(path) for path in paths], rules=rules, **job), statistics)
    }
    return found, statistics


def truth(path: Path) -> Content:
    """What the simulator says."""
    found = {}
    for line in path.read_text().splitlines():
        answer = json.loads(line)
        key = (answer["ip_address"], answer["user_agent"], answer["request"], answer["window_start"])
        found[key] = tuple(answer[name] for name in TRUE_FIELDS)
    return found


def differences(found: Content, wanted: Content) -> str:
    """In words, bounded; empty where they are equal."""
    lacking = [key for key in wanted if key not in found]
    extra = [key for key in found if key not in wanted]
    other = [(key, found[key], wanted[key]) for key in wanted if key in found and found[key] != wanted[key]]
    if not (lacking or extra or other):
        return ""
    return f"{len(lacking)} lack {lacking[:2]}, {len(extra)} extra {extra[:2]}, {len(other)} differ {other[:2]}"
