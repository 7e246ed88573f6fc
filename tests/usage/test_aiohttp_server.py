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
async def served(log: UsageLog, path: Path | None = None) -> AsyncIterator[str]:
    """`path`: of a file that is served."""

    async def file(request: web.Request) -> web.StreamResponse:
        assert path is not None
        return web.FileResponse(path.with_name("none") if "missing" in request.query else path)

    async def nothing_returned(request: web.Request) -> None: ...

    app = web.Application()
    record_calls(app, log)
    app.router.add_get("/file", file)
    app.router.add_get("/nothing_returned", nothing_returned)  # type: ignore[arg-type]  # the fault
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


async def test_a_file_is_recorded_as_it_was_sent_and_a_handler_that_returns_no_response_as_a_fault(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_bytes(b"x" * 5000)
    log = opened(tmp_path / "spool")
    asked = [("GET", "/file"), ("HEAD", "/file"), ("GET", "/file?missing"), ("GET", "/nothing_returned")]
    async with served(log, tmp_path / "file") as address, aiohttp.ClientSession() as session:
        statuses = []
        for method, path in asked:
            async with session.request(method, address + path) as answer:
                statuses.append((answer.status, len(await answer.read())))
        async with session.get(f"{address}/file", headers={"Range": "bytes=0-99"}) as answer:
            statuses.append((answer.status, len(await answer.read())))
    made = [(answer.outcome, answer.status, answer.response_bytes) for _, answer in calls_of(log)]
    assert statuses[:2] == [(200, 5000), (200, 0)] and statuses[2][0] == 404 and statuses[4] == (206, 100)
    assert made[:2] == [("done", 200, 5000), ("done", 200, 0)] and made[2][:2] == ("done", 404)
    assert statuses[3][0] == 500 and made[3] == ("exception", None, 0) and made[4] == ("done", 206, 100)


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
