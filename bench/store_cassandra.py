"""`python -m bench.store_cassandra`: rows a second of the store beside those of a bare bulk loader, on one server in one run.

The bare loader executes rows that were prepared and encoded before the clock started: the same statements in batches of the same
size, with as many under way, and nothing else. It comes in two kinds: all rows that the store writes (lookup and index rows, too),
and the rows of the two record tables alone.
"""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import click
import msgspec

from app.domain.records import Delivery, Hit, raw_ids
from app.process.memory import collect_seldom
from app.settings import Settings, settings
from app.stores.cassandra.encoding import Encoder
from app.stores.cassandra.memory import Written
from app.stores.cassandra.rows import CqlRow
from app.stores.cassandra.store import CassandraStore
from app.stores.cassandra.writes import cut

CALL = 40_000
"""Records of one write call at most: a store that is behind takes 4 MB of tokens at once; 60,000 hits were seen in a worker."""
START = 1_596_200_000.0
_AGENTS = [f"Mozilla/5.0 (X11; Linux x86_64; rv:{n}.0) Gecko/20100101 Firefox/{n}.0" for n in range(60, 100)]


def make_hits(count: int, source: str) -> list[Hit]:
    """Eight hits a key, those of a key near one another, as players ask."""
    ids = raw_ids(source)
    hits = []
    for n in range(count):
        key = n // 64 * 8 + n % 8
        place = key * 2654435761 % 2**32
        address = f"{place >> 24}.{place >> 16 & 255}.{place >> 8 & 255}.{key % 255}"
        lo = n % 64 // 8 * 500_000
        request = f"GET /media/{source[:6]}/{key}.mp4"
        hits.append(
            Hit(
                START + n / 50,
                address,
                _AGENTS[key % 40],
                request,
                "GET",
                206,
                lo,
                lo + 499_999,
                500_000,
                None,
                0,
                {},
                ids(n),
                source,
                n * 200,
            )
        )
    return hits


def make_deliveries(count: int, source: str) -> list[Delivery]:
    """One a key, as eight hits make them."""
    made = []
    for n in range(count):
        first = make_hits_key(n, source)
        made.append(
            Delivery(
                *first, START + n / 6, START + n / 6, START + n / 6 + 300, [[0, 3_999_999]], [], 4_000_000, None, False, "complete",
                "ranges", None, 8, 4_000_000, [], [f"{(n * 8 + i) * 0x9E3779B97F4A7C15 % 2**64:016x}" for i in range(8)], False, 64, None, [],
            )
        )  # fmt: skip
    return made


def make_hits_key(key: int, source: str) -> tuple[str, str, str]:
    place = key * 2654435761 % 2**32
    address = f"{place >> 24}.{place >> 16 & 255}.{place >> 8 & 255}.{key % 255}"
    return address, _AGENTS[key % 40], f"GET /media/{source[:6]}/{key}.mp4"


def load(store: CassandraStore, batches: Sequence[Sequence[CqlRow]], in_flight: int) -> float:
    """Seconds that the bare loader takes: driver calls and nothing else."""
    from cassandra.query import BatchStatement, BatchType

    connection = store.connection
    free = threading.Semaphore(in_flight)
    failed: list[Exception] = []

    def broke(error: Exception) -> None:
        failed.append(error)
        free.release()

    began = time.perf_counter()
    for batch in batches:
        statement = BatchStatement(BatchType.UNLOGGED)
        for row in batch:
            statement.add(connection.bound(row.statement, row.values))
        free.acquire()
        connection.session.execute_async(statement).add_callbacks(lambda _: free.release(), broke)
    for _ in range(in_flight):
        free.acquire()
    if failed:
        raise failed[0]
    return time.perf_counter() - began


async def encoded(store: CassandraStore, encode: str, records: Sequence[Any], only: str | None) -> list[list[CqlRow]]:
    """The batches that the store would send of these records; `only` those of one statement."""
    encoder = Encoder(604_800, 7_776_000, Written(3600), 3600, store.connection.unset)
    more: tuple[Any, ...] = ({},) if encode == "deliveries" else ()
    batches: list[list[CqlRow]] = []
    for start in range(0, len(records), CALL):
        rows = getattr(encoder, encode)(records[start : start + CALL], *more).rows
        batches += [batch async for batch in cut([row for row in rows if only is None or row.statement == only])]
    return batches


async def store_seconds(write: Callable[[Sequence[Any]], Any], records: Sequence[Any]) -> float:
    began = time.perf_counter()
    for start in range(0, len(records), CALL):
        refused = await write(records[start : start + CALL])
        assert not refused, refused[0]
    return time.perf_counter() - began


@click.command()
@click.option("--hits", "hit_count", default=100_000, show_default=True, help="Hits of one run.")
@click.option("--deliveries", "delivery_count", default=30_000, show_default=True, help="Deliveries of one run.")
@click.option("--runs", default=3, show_default=True, help="Runs of each; the middle one counts.")
def main(hit_count: int, delivery_count: int, runs: int) -> None:
    """Rates of the Cassandra store and of a bare bulk loader, on the server that the settings name, in a keyspace that is dropped."""
    collect_seldom()  # as a worker does, for all ways
    for kind, rates in asyncio.run(measure(settings(), hit_count, delivery_count, runs)).items():
        bare = statistics.median(rates["bare, all its rows"])
        for name, found in rates.items():
            middle = statistics.median(found)
            click.echo(
                f"{kind:<11} {name:<20} {middle:>8,.0f}/s  {min(found):>8,.0f} to {max(found):,.0f}  {middle / bare:>5.0%}"
            )


async def measure(given: Settings, hit_count: int, delivery_count: int, runs: int) -> dict[str, dict[str, list[float]]]:
    """Kind of record -> way -> records a second of each run; in a keyspace that is dropped."""
    measured = {}
    keyspace = f"bench_{uuid.uuid4().hex[:12]}"
    own = msgspec.structs.replace(given, cassandra_keyspace=keyspace)
    store = CassandraStore(own)
    await store.open()
    try:
        for kind, count, make, write, main_row in (
            ("hits", hit_count, make_hits, store.writes.write_hits, "hit"),
            ("deliveries", delivery_count, make_deliveries, store.writes.write_deliveries, "delivery"),
        ):
            warm = make(min(CALL, count), uuid.uuid4().hex)
            await store_seconds(write, warm)
            ways: dict[str, Callable[[], Awaitable[float]]] = {
                "store": partial(_by_store, write, make, count),
                "bare, all its rows": partial(_bare, store, kind, make, count, None, own.cassandra_in_flight),
                "bare, records alone": partial(_bare, store, kind, make, count, main_row, own.cassandra_in_flight),
            }
            rates: dict[str, list[float]] = {way: [] for way in ways}
            for run in range(
                runs
            ):  # in turn, so that a slow minute of the machine hits all; what one leaves to compact hits another each time
                for way in [*ways][run % 3 :] + [*ways][: run % 3]:
                    rates[way].append(count / await ways[way]())
            measured[kind] = rates
    finally:
        await asyncio.to_thread(store.connection.execute, f"DROP KEYSPACE {keyspace}", None, 60.0)
        await store.close()
    return measured


async def _by_store(
    write: Callable[[Sequence[Any]], Any], make: Callable[[int, str], Sequence[Any]], count: int
) -> float:
    return await store_seconds(write, make(count, uuid.uuid4().hex))


async def _bare(
    store: CassandraStore,
    kind: str,
    make: Callable[[int, str], Sequence[Any]],
    count: int,
    only: str | None,
    in_flight: int,
) -> float:
    batches = await encoded(store, kind, make(count, uuid.uuid4().hex), only)
    return await asyncio.to_thread(load, store, batches, in_flight)


if __name__ == "__main__":
    main(prog_name="python -m bench.store_cassandra")
