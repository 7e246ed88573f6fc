"""A process that writes batches until it is killed: `python -m tests.stores.writing FILE FIRST COUNT`.

Each batch has a source of its own, so that a batch of which only a part was kept shows. It prints a line after each batch.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from app.stores.sqlite.store import SqliteStore
from tests.stores.records import delivery, hit

BATCH = 1000


async def write(path: Path, first: int, count: int) -> None:
    store = SqliteStore(path)
    await store.open()
    for batch in range(first, first + count):
        source = f"{batch:032x}"
        await store.writes.write_hits([hit(n, source=source, request=f"GET /{batch}/{n % 50}") for n in range(BATCH)])
        await store.writes.write_deliveries([delivery(request=f"GET /{batch}/{n}") for n in range(BATCH)])
        print(batch, flush=True)
    await store.close()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
