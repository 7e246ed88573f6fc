"""Calls of a FastAPI application under uvicorn: one request and one response record each, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from app.domain.usage.records import UsageRecord
from app.usage.asgi import UsageASGI
from app.usage.log import UsageLog
from tests import ROOT
from tests.usage.reading import calls_of, opened, records
from tests.usage.served import gone_after, served_by_uvicorn

if TYPE_CHECKING:
    from fastapi import FastAPI


def shop() -> FastAPI:
    from tests.usage import fastapi_shop

    return fastapi_shop.shop()


def called(log: UsageLog, *asked: tuple[str, str], **options: object) -> list[tuple[UsageRecord, UsageRecord]]:
    with served_by_uvicorn(UsageASGI(shop(), log)) as port:
        for method, path in asked:
            requests.request(method, f"http://127.0.0.1:{port}{path}", timeout=30, **options)  # type: ignore[arg-type]
    return calls_of(log)


def test_each_call_has_a_request_and_a_response_record_with_its_status_and_sizes(tmp_path: Path) -> None:
    asked = [("GET", "/item"), ("POST", "/items"), ("GET", "/nothing"), ("GET", "/refused"), ("GET", "/unavailable")]
    found = called(opened(tmp_path), *asked, data=b"12345")
    assert [
        (request.method, request.uri, answer.status, answer.outcome, answer.request_bytes, answer.response_bytes)
        for request, answer in found
    ] == [
        ("GET", "/item", 200, "done", 0, 15),
        ("POST", "/items", 201, "done", 5, 9),
        ("GET", "/nothing", 404, "done", 0, 22),
        ("GET", "/refused", 401, "done", 0, 25),
        ("GET", "/unavailable", 503, "done", 0, 2),
    ]
    for request, answer in found:
        assert (request.user_id, request.address) == (answer.user_id, answer.address) == ("anonymous", "127.0.0.1")
        assert (answer.method, answer.uri) == (request.method, request.uri)
        assert answer.duration_us is not None and answer.duration_us >= 0 and request.status is None


def test_an_exception_is_named_and_the_answer_is_that_of_the_framework(tmp_path: Path) -> None:
    ((_, answer),) = called(opened(tmp_path), ("GET", "/broken"))
    assert (answer.outcome, answer.detail, answer.status) == ("exception", "LookupError", 500)


def test_a_timeout_is_named(tmp_path: Path) -> None:
    ((_, answer),) = called(opened(tmp_path), ("GET", "/late"))
    assert (answer.outcome, answer.detail, answer.status) == ("timed_out", "TimeoutError", 500)


def test_an_answer_to_head_has_no_body_bytes(tmp_path: Path) -> None:
    ((request, answer),) = called(opened(tmp_path), ("HEAD", "/item"))
    assert (request.method, answer.status, answer.outcome, answer.response_bytes) == ("HEAD", 200, "done", 0)


def test_a_stream_is_counted_and_not_held(tmp_path: Path) -> None:
    ((_, answer),) = called(opened(tmp_path), ("GET", "/stream?pieces=50"))
    assert (answer.outcome, answer.response_bytes) == ("done", 50_000)


def test_a_client_that_leaves_a_stream_is_told(tmp_path: Path) -> None:
    log = opened(tmp_path)
    with served_by_uvicorn(UsageASGI(shop(), log)) as port:
        gone_after(port, "/stream?pieces=1000&pause_s=0.01", 3000)
    ((_, answer),) = calls_of(log)
    assert (answer.outcome, answer.status) == ("client_gone", 200)
    assert answer.response_bytes is not None and 3000 <= answer.response_bytes < 1_000_000


def test_secrets_are_masked_before_the_record_and_bodies_only_recorded_if_asked(tmp_path: Path) -> None:
    asked = {"json": {"user": {"name": "ada", "password": "hunter2"}, "cards": [{"card-number": "visa-4111"}]}}
    ((request, answer),) = called(opened(tmp_path / "a"), ("POST", "/items?q=1&token=xyzzy"), **asked)
    assert (request.uri, answer.body) == ("/items?q=1&token=(secret)", None)
    ((request, answer),) = called(opened(tmp_path / "b", body_chars=1000), ("POST", "/items"), **asked)
    assert answer.body == '{"user": {"name": "ada", "password": "(secret)"}, "cards": [{"card-number": "(secret)"}]}'
    for path in tmp_path.rglob("*.seg"):  # no secret of hexadecimal digits: an identifier holds those by chance
        assert not any(secret in path.read_bytes() for secret in (b"hunter2", b"visa", b"xyzzy"))


def test_the_trace_and_the_monitored_calls_are_marked(tmp_path: Path) -> None:
    log = opened(tmp_path, monitored=lambda method, uri: method == "POST")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    heads = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    found = called(log, ("GET", "/item"), ("POST", "/items"), headers=heads)
    assert [(request.trace_id, answer.trace_id) for request, answer in found] == [(trace, trace)] * 2
    assert [(request.monitored, answer.monitored) for request, answer in found] == [(False, False), (True, True)]


def test_the_user_is_asked_for_and_a_fault_in_that_breaks_no_call(tmp_path: Path) -> None:
    def user_of(scope: object) -> str:
        if dict(scope["headers"]).get(b"x-user") is None:  # type: ignore[index]
            raise LookupError("nobody")
        return dict(scope["headers"])[b"x-user"].decode()  # type: ignore[index]

    log = opened(tmp_path)
    with served_by_uvicorn(UsageASGI(shop(), log, user_of)) as port:
        for heads in ({"x-user": "ada"}, {}):
            assert requests.get(f"http://127.0.0.1:{port}/item", headers=heads, timeout=30).status_code == 200
    assert [(request.user_id, answer.user_id) for request, answer in calls_of(log)] == [
        ("ada",) * 2,
        ("anonymous",) * 2,
    ]


def test_the_middleware_inside_a_framework_sees_the_same_calls(tmp_path: Path) -> None:
    log = opened(tmp_path)
    app = shop()
    app.add_middleware(UsageASGI, log=log)
    with served_by_uvicorn(app) as port:
        assert requests.get(f"http://127.0.0.1:{port}/item", timeout=30).json() == {"name": "shoe"}
        assert requests.get(f"http://127.0.0.1:{port}/broken", timeout=30).status_code == 500
    assert [(answer.outcome, answer.status) for _, answer in calls_of(log)] == [("done", 200), ("exception", None)]


async def test_websockets_pass_by(tmp_path: Path) -> None:
    log = opened(tmp_path)
    sent: list[str] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"])

    scope = {
        "type": "websocket",
        "path": "/socket",
        "headers": [],
        "query_string": b"",
        "subprotocols": [],
        "root_path": "",
    }
    await UsageASGI(shop(), log)(scope, receive, send)  # type: ignore[arg-type]  # a dict is a scope
    assert sent == ["websocket.accept", "websocket.close"] and records(tmp_path) == []


class _Left(OSError):
    pass


@pytest.mark.parametrize(
    ("scope", "message", "outcome"),
    [
        ({}, {"type": "http.response.body", "body": b"abc"}, ("done", 200, 3)),
        ({"path": "/\ud800"}, {"type": "http.response.body", "body": b"abc"}, ("done", 200, 3)),
        ({}, {"type": "http.response.body", "body": None}, ("done", 200, 0)),
        ({}, {"type": "left"}, ("client_gone", 200, 0)),
    ],
    ids=["usual", "half a surrogate pair in the path", "no body", "the server says that the client left"],
)
async def test_what_a_server_passes_is_recorded_and_raises_nothing_of_ours(
    tmp_path: Path, scope: dict[str, Any], message: dict[str, Any], outcome: tuple[str, int, int]
) -> None:
    log = opened(tmp_path)

    async def answers(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send(message)

    async def send(sent: Any) -> None:
        if sent["type"] == "left":
            raise _Left

    given = {"type": "http", "method": "GET", "path": "/a", "query_string": b"", "headers": [], "client": None, **scope}
    with suppress(_Left):
        await UsageASGI(answers, log)(given, send, send)  # type: ignore[arg-type]  # it receives nothing
    ((_, answer),) = calls_of(log)
    assert (answer.outcome, answer.status, answer.response_bytes) == outcome


def test_a_user_that_is_a_number_is_recorded_as_text(tmp_path: Path) -> None:
    log = opened(tmp_path)
    with served_by_uvicorn(UsageASGI(shop(), log, lambda scope: 7)) as port:  # type: ignore[arg-type,return-value]  # as services do
        requests.get(f"http://127.0.0.1:{port}/item", timeout=30)
    assert [(request.user_id, answer.user_id) for request, answer in calls_of(log)] == [("7", "7")]


PROGRAM = """
import sys
from pathlib import Path
import uvicorn
from tests.usage.reading import opened
from tests.usage.fastapi_shop import shop
from app.usage.asgi import UsageASGI
uvicorn.run(UsageASGI(shop(), opened(Path(sys.argv[1]))), port=int(sys.argv[2]), log_level="critical")
"""


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_server_that_is_asked_to_end_leaves_a_stop_record(tmp_path: Path, asked: signal.Signals) -> None:
    from tests.usage.served import listening

    with listening() as place:
        port = place.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(port)],
        cwd=ROOT,
        env=dict(os.environ),
        stderr=subprocess.PIPE,
    )
    with server:
        deadline = time.monotonic() + 60
        while True:
            try:
                requests.get(f"http://127.0.0.1:{port}/item", timeout=30)
                break
            except requests.ConnectionError:
                assert time.monotonic() < deadline and server.poll() is None
                time.sleep(0.1)
        server.send_signal(asked)
        server.wait(60)
    assert [record.kind for record in records(tmp_path)] == ["start", "request", "response", "stop"]


@pytest.mark.parametrize(
    "odd",
    [
        {"headers": None},
        {"headers": [("traceparent", "x")]},
        {"headers": [(b"traceparent", b"x", b"y")]},
        {"headers": [(b"content-type", "x")]},
        {"raw_path": "/x", "query_string": b"a=1"},
        {"query_string": "a=1"},
        {"client": 5},
        {"path": None},
        {"method": None},
    ],
    ids=str,
)
async def test_a_server_that_breaks_the_rules_costs_no_record_and_no_answer(
    tmp_path: Path, odd: dict[str, object]
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": "no bytes"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    sent: list[str] = []
    log = opened(tmp_path, body_chars=100)
    scope = {"type": "http", "path": "/", "headers": [], "method": "GET"} | odd
    await UsageASGI(app, log)(scope, receive, send)
    ((_, answer),) = calls_of(log)
    assert sent == ["http.response.start", "http.response.body"] and answer.status == 200
