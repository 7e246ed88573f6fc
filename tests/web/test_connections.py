"""Clients that say nothing, say it slowly, send no HTTP or do not read: on real sockets, against the real server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from app.settings import Settings
from app.stores.sqlite.store import SqliteStore
from app.transports.producers import SqliteProducer
from app.web.service import connections
from app.web.service.server import WebService
from tests.web.conftest import ToldStatus, application
from tests.web.records import deliveries, pieces

LIMIT = 20
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def served(
    store: SqliteStore, status: ToldStatus, producer: SqliteProducer, settings: Settings
) -> AsyncIterator[WebService]:
    own = msgspec.structs.replace(settings, web_connections=LIMIT)
    service = WebService(application(store, status, producer, own), own)
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
async def service(
    store: SqliteStore, status: ToldStatus, producer: SqliteProducer, settings: Settings
) -> AsyncIterator[WebService]:
    async with served(store, status, producer, settings) as service:
        yield service


async def opened(service: WebService, sent: bytes = b"") -> Streams:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(sent)
    return reader, writer


async def is_closed(reader: asyncio.StreamReader, within_s: float) -> bool:
    try:
        await asyncio.wait_for(reader.read(), within_s)
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def head(path: str = "/health/", method: str = "GET", *more: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *more, "", ""]).encode()


async def status_of(service: WebService) -> int:
    reader, writer = await opened(service, head("/health/", "GET", "Connection: close"))
    answer = await asyncio.wait_for(reader.read(), 1)
    writer.close()
    return int(answer.split()[1])


STARTS = {
    "silent": b"",
    "slow head": b"GET / HTTP/1.1\r\nHost: 127",
    "slow body": head("/weblogs/", "POST", "Content-Length: 1000") + b"x",
    "kept open": head(),
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS.keys())
async def test_a_new_client_is_answered_however_many_others_hold_connections(service: WebService, start: bytes) -> None:
    others = []
    for _ in range(5 * LIMIT):
        others.append(await opened(service, start))
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    assert await status_of(service) == 200
    assert len(service._connections) <= LIMIT
    for _, writer in others:
        writer.close()


async def test_who_has_asked_before_is_closed_after_those_who_never_did(service: WebService) -> None:
    reader, writer = await opened(service, head())
    await reader.readuntil(b"\r\n\r\n")
    others = [await opened(service) for _ in range(3 * LIMIT)]
    await asyncio.sleep(0.1)
    writer.write(head("/result/", "GET", "Connection: close"))
    assert b"total_vote_10_min" in await asyncio.wait_for(reader.read(), 1)
    writer.close()
    for _, other in others:
        other.close()


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"GET /health/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX: y"])
async def test_a_head_that_does_not_end_in_time_ends_its_connection_also_if_bytes_go_on_coming(
    service: WebService, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 0.5)
    reader, writer = await opened(service, start)
    began = time.monotonic()
    closed = asyncio.create_task(is_closed(reader, 5))
    while not closed.done():
        if start:
            writer.write(b"a")
        await asyncio.sleep(0.1)
    assert await closed and time.monotonic() - began < 3
    writer.close()


async def test_a_second_head_on_a_connection_has_the_same_time_and_a_quiet_one_is_kept(
    service: WebService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 0.5)
    reader, writer = await opened(service, head())
    await reader.readuntil(b"}\n")
    assert not await is_closed(reader, 2.5)
    writer.write(b"GET /")
    assert await is_closed(reader, 3)
    writer.close()


async def test_heads_take_a_bounded_memory_together(service: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_HEAD_BYTES", 300_000)
    others = [await opened(service, b"GET /" + b"x" * 100_000) for _ in range(10)]
    await asyncio.sleep(0.2)
    assert service._connections.head_bytes <= 300_000
    assert await status_of(service) == 200
    for _, writer in others:
        writer.close()
    await asyncio.sleep(0.1)
    assert service._connections.head_bytes == 0 and len(service._connections) == 0


async def test_answers_that_nobody_reads_take_a_bounded_memory_and_time(
    service: WebService, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hits = [hit for n in range(1000) for hit in pieces([(0, 9)], 100, ("192.0.2.1", "a" * 4000, f"GET /{n}"), start=n)]
    await store.writes.write_deliveries(deliveries(hits))
    monkeypatch.setattr(connections, "MAX_UNREAD_BYTES", 6 << 20)
    deaf = [await opened(service, head("/deliveries/?limit=1000")) for _ in range(6)]
    for _, writer in deaf:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(3)
    assert 0 < sum(each.unread_bytes(0) for each in service._connections._open) <= 6 << 20
    monkeypatch.setattr(connections, "UNREAD_TIMEOUT_S", 0.5)
    await asyncio.sleep(2.5)
    assert len(service._connections) == 0
    for _, writer in deaf:
        writer.close()


MALFORMED = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\n\r\n",
    b"\r\n\r\nhello\r\n\r\n",
    b"GET / HTTP/1.1\r\nA\x1b[31m: b\r\n\r\n",
    b"POST /vote/ HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
    b"POST /vote/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    b"GET /" + b"y" * 300_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
]


@pytest.mark.parametrize("sent", MALFORMED)
async def test_a_malformed_request_is_one_line_at_info_and_400_in_words(
    service: WebService, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.clear()
    reader, writer = await opened(service, sent)
    answer = await asyncio.wait_for(reader.read(), 2)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")) and b'"error_message"' in answer
    assert b"aiohttp" not in answer and b"nosniff" in answer
    told = [record for record in caplog.records if record.name != "asyncio"]
    assert [record.levelname for record in told] == ["INFO"]
    text = told[0].getMessage()
    assert "127.0.0.1" in text and len(text) < 400 and text.isprintable() and told[0].exc_info is None
    writer.close()


@pytest.mark.parametrize(
    ("head", "more"),
    [
        (b"Content-Length: 100\r\n\r\nabc", b""),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc", b""),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"zz\r\n\r\n"),
        (b"Content-Encoding: gzip\r\nContent-Length: 100\r\n\r\n\x1f\x8b", b""),
    ],
)
async def test_a_body_that_its_client_breaks_off_is_no_error_of_ours(
    service: WebService, caplog: pytest.LogCaptureFixture, head: bytes, more: bytes
) -> None:
    caplog.set_level(logging.INFO)
    caplog.clear()
    for path in (b"/weblogs/", b"/votes/", b"/spending/", b"/login"):
        _, writer = await opened(service, b"POST %b HTTP/1.1\r\nHost: localhost\r\n%b" % (path, head))
        await asyncio.sleep(0.1)
        writer.write(more)
        await asyncio.sleep(0.1)
        writer.close()
    await asyncio.sleep(0.1)
    assert not [record for record in caplog.records if record.levelno > logging.INFO or record.exc_info]


async def test_many_malformed_requests_have_a_bounded_number_of_lines_and_are_counted(
    service: WebService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(130):
        reader, writer = await opened(service, MALFORMED[0])
        await reader.read()
        writer.close()
    service._connections.tell()
    told = [record.getMessage() for record in caplog.records if "malformed" in record.getMessage()]
    assert len(told) == 101 and told[-1] == "web: 30 more malformed requests"


async def test_closed_connections_are_told_in_one_line_with_their_number(
    service: WebService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    others = [await opened(service) for _ in range(3 * LIMIT)]
    await asyncio.sleep(0.1)
    service._connections.tell()
    told = [record.getMessage() for record in caplog.records if "connections" in record.getMessage()]
    assert told == ["web: 40 connections were refused or closed: 40: there were more than 20 (WEBLOGS_WEB_CONNECTIONS)"]
    for _, writer in others:
        writer.close()


async def test_the_body_of_a_refused_request_is_no_head(
    service: WebService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "MAX_HEAD_BYTES", 100_000)
    reader, writer = await opened(service)
    try:
        for _ in range(2):
            writer.write(b"POST /candidates/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 403 ")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
            for _ in range(40):
                writer.write(b"x" * 100_000)
                await writer.drain()
        writer.write(b"GET /health/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b'"healthy"' in await reader.read()
    finally:
        writer.close()
    service._connections.tell()
    assert service._connections.head_bytes == 0
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
