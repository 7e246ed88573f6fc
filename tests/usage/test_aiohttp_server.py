"""Calls of an aiohttp server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from app.domain.usage.records import UsageRecord
from app.usage.aiohttp_server import record_calls
from app.usage.log import UsageLog
from tests.usage.reading import calls_of, opened, records


async def item(request: web.Request) -> web.Response:
    return web.json_response({"got": len(await request.read())})


async def refused(request: web.Request) -> web.Response:
    raise web.HTTPUnauthorized(text="no")


async def broken(request: web.Request) -> web.Response:
    raise LookupError("no such shelf")


async def late(request: web.Request) -> web.Response:
    async with asyncio.timeout(0.01):
        await asyncio.sleep(10)
    raise AssertionError


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(int(request.query["pieces"])):
        await response.write(b"x" * 1000)
        await asyncio.sleep(0)
    await response.write_eof()
    return response


@asynccontextmanager
async def served(log: UsageLog) -> AsyncIterator[str]:
    app = web.Application()
    record_calls(app, log)
    app.router.add_route("*", "/item", item)
    for handler in (refused, broken, late, stream):
        app.router.add_get(f"/{handler.__name__}", handler)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


async def called(log: UsageLog, *asked: tuple[str, str]) -> list[tuple[UsageRecord, UsageRecord]]:
    async with served(log) as address, aiohttp.ClientSession() as session:
        for method, path in asked:
            async with session.request(method, address + path, data=b"12345" if method == "POST" else None) as answer:
                await answer.read()
    return calls_of(log)


async def test_each_call_has_a_request_and_a_response_record_with_its_status_and_sizes(tmp_path: Path) -> None:
    asked = [("GET", "/item?key=1"), ("POST", "/item"), ("HEAD", "/item"), ("GET", "/nothing"), ("GET", "/refused")]
    found = await called(opened(tmp_path), *asked, ("GET", "/stream?pieces=20"))
    assert [
        (request.method, request.uri, answer.status, answer.outcome, answer.request_bytes, answer.response_bytes)
        for request, answer in found
    ] == [
        ("GET", "/item?key=(secret)", 200, "done", 0, 10),
        ("POST", "/item", 200, "done", 5, 10),
        ("HEAD", "/item", 200, "done", 0, 0),
        ("GET", "/nothing", 404, "done", 0, 14),
        ("GET", "/refused", 401, "done", 0, 2),
        ("GET", "/stream?pieces=20", 200, "done", 0, 20_000),
    ]


async def test_an_exception_and_a_timeout_are_named(tmp_path: Path) -> None:
    found = await called(opened(tmp_path), ("GET", "/broken"), ("GET", "/late"))
    assert [(answer.outcome, answer.detail) for _, answer in found] == [
        ("exception", "LookupError"),
        ("timed_out", "TimeoutError"),
    ]


async def test_a_client_that_leaves_a_stream_is_told(tmp_path: Path) -> None:
    log = opened(tmp_path)
    async with served(log) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(connection, b"GET /stream?pieces=100000 HTTP/1.1\r\nHost: a\r\n\r\n")
            await loop.sock_recv(connection, 4096)
        await asyncio.sleep(0.5)
    ((_, answer),) = calls_of(log)
    assert answer.outcome == "client_gone"


async def test_the_log_is_stopped_with_the_server(tmp_path: Path) -> None:
    async with served(opened(tmp_path)) as address, aiohttp.ClientSession() as session:
        await session.get(address + "/item")
    assert records(tmp_path)[-1].kind == "stop"
