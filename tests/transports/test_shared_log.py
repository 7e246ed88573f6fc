from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.errors import Fenced, LogError
from app.transports.changelog import SqliteChangelog
from app.transports.embedded.log import EmbeddedLog
from app.transports.embedded.shared_log import SharedLog, shared_log
from app.transports.messages import Message


@pytest_asyncio.fixture
async def shared(tmp_path: Path) -> AsyncIterator[SharedLog]:
    shared = shared_log(tmp_path / "log.db", keep_s=0.0)
    await shared.submit(lambda tx: tx.create_topic("lines", 1))
    yield shared
    await shared.release()


def line(value: bytes = b"x") -> Message:
    return Message("lines", 0, None, value, {}, 0.0)


def appending(*values: bytes) -> Any:
    return lambda tx: tx.append([line(value) for value in values])


async def test_what_is_sent_while_one_transaction_is_synced_shares_the_next(shared: SharedLog) -> None:
    before = shared.transactions
    offsets = await asyncio.gather(*(shared.submit(appending(b"%d" % i)) for i in range(500)))
    assert offsets == [[i] for i in range(500)]
    assert shared.operations >= 500
    assert shared.transactions - before < 100


async def test_a_future_completes_when_another_process_could_read_the_record(shared: SharedLog) -> None:
    other = EmbeddedLog(shared.log.path)
    for i in range(20):
        (offset,) = await shared.submit(appending(b"%d" % i))
        assert [row.value for row in other.read("lines", 0, offset)] == [b"%d" % i]
    other.close()


async def test_own_appends_and_those_of_others_wake_a_listener(shared: SharedLog) -> None:
    news = asyncio.Event()
    shared.listen(news.set)
    await shared.submit(appending(b"own"))
    await asyncio.wait_for(news.wait(), 10)
    assert shared.ends["lines", 0] == 1
    news.clear()
    other = EmbeddedLog(shared.log.path)
    await asyncio.to_thread(other.append, [line(b"theirs"), line(b"theirs")])
    await asyncio.wait_for(news.wait(), 10)
    assert shared.ends["lines", 0] == 3
    shared.unlisten(news.set)
    other.close()


async def test_a_refused_operation_fails_alone(shared: SharedLog) -> None:
    good, bad, more = (
        shared.submit(appending(b"a")),
        shared.submit(lambda tx: tx.append([line()._replace(topic="nowhere")])),
        shared.submit(appending(b"b")),
    )
    assert await good == [0]
    with pytest.raises(LogError, match="no topic nowhere"):
        await bad
    assert await more == [1]


async def test_when_the_writer_fails_everyone_who_waits_hears_of_it(shared: SharedLog) -> None:
    def fill(tx: Any) -> None:
        tx._db.execute("PRAGMA max_page_count=60")

    await shared.submit(fill)
    sends = [shared.submit(appending(b"x" * 100_000)) for _ in range(8)]
    results = await asyncio.gather(*sends, return_exceptions=True)
    failed = [result for result in results if isinstance(result, LogError)]
    assert len(failed) >= 6
    assert all("is full: free space there" in str(error) for error in failed)
    await shared.submit(lambda tx: tx._db.execute("PRAGMA max_page_count=1000000") and None)
    (offset,) = await shared.submit(appending(b"again"))
    assert offset == len(results) - len(failed)


async def test_one_log_serves_all_users_of_a_process_until_the_last_leaves(tmp_path: Path) -> None:
    first = shared_log(tmp_path / "log.db")
    second = shared_log(tmp_path / "log.db")
    assert first is second
    await first.release()
    await second.submit(lambda tx: tx.create_topic("lines", 1))
    pending = second.submit(appending(b"last"))
    await second.release()
    assert await pending == [0]
    third = shared_log(tmp_path / "log.db")
    assert third is not first
    assert third.ends == {("lines", 0): 1}
    await third.release()


async def test_consumed_messages_are_trimmed_by_themselves(shared: SharedLog) -> None:
    await shared.submit(lambda tx: tx.register_group("g", ["lines"]))
    await shared.submit(appending(b"a", b"b", b"c"))
    await shared.submit(lambda tx: tx.commit("g", {("lines", 0): 2}))
    async with asyncio.timeout(20):
        while await shared.run(shared.log.earliest_offset, "lines", 0) < 2:  # noqa: ASYNC110 — nothing tells of a trim
            await asyncio.sleep(0.05)
    assert [row.value for row in shared.log.read("lines", 0, 0)] == [b"c"]


async def test_a_changelog_is_written_by_its_newest_owner_alone(shared: SharedLog) -> None:
    old, new = (SqliteChangelog(shared.acquire(), "changes", 2) for _ in range(2))
    with pytest.raises(Fenced, match="was not taken by this process"):
        await old.append(0, [(b"k", b"v")])
    await old.take(0)
    assert await old.append(0, [(b"k", b"1"), (b"l", b"1")]) == 2
    await new.take(0)
    with pytest.raises(Fenced, match="has a newer owner"):
        await old.append(0, [(b"k", b"stale")])
    assert await new.append(0, [(b"k", b"2")]) == 3
    assert [pair async for pairs in new.read(0) for pair in pairs] == [(b"k", b"1"), (b"l", b"1"), (b"k", b"2")]
    assert [pair async for pairs in new.read(0, 2) for pair in pairs] == [(b"k", b"2")]
    assert (await new.end_offset(0), await new.end_offset(1)) == (3, 0)
    await old.close()
    await new.close()


async def test_a_changelog_reader_that_is_cancelled_leaves_the_log_usable(shared: SharedLog) -> None:
    changelog = SqliteChangelog(shared.acquire(), "changes", 1)
    await changelog.take(0)
    for i in range(20):
        await changelog.append(0, [(b"k%d" % i, b"x" * 500_000)])

    async def read() -> int:
        return sum([len(pairs) async for pairs in changelog.read(0)])

    for delay in (0.0, 0.001, 0.005):
        task = asyncio.ensure_future(read())
        await asyncio.sleep(delay)
        task.cancel()
        await asyncio.wait([task])
    assert await read() == 20
    await changelog.close()
