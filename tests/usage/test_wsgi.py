"""Calls of a Flask application under a real WSGI server: the response record is made in close()."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
import requests

from app.domain.usage.records import UsageRecord
from app.usage.log import UsageLog
from app.usage.wsgi import UsageWSGI
from tests.usage.reading import calls_of, opened
from tests.usage.served import gone_after

if TYPE_CHECKING:
    from flask import Flask


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


class _Threading(WSGIServer):
    def handle_error(self, request: object, client_address: object) -> None:
        pass


def shop() -> Flask:
    from flask import Flask, Response, abort, request  # here: its import takes long

    app = Flask("shop")

    @app.get("/item")
    def item() -> dict[str, str]:
        return {"name": "shoe"}

    @app.post("/items")
    def items() -> tuple[str, int]:
        return str(len(request.get_data())), 201

    @app.get("/refused")
    def refused() -> str:
        abort(401)

    @app.get("/broken")
    def broken() -> str:
        raise LookupError("no such shelf")

    @app.get("/late")
    def late() -> str:
        raise TimeoutError

    @app.get("/stream")
    def stream() -> Response:
        return Response(b"x" * 1000 for _ in range(int(request.args["pieces"])))

    @app.get("/broken-stream")
    def broken_stream() -> Response:
        def body() -> Iterator[bytes]:
            yield b"x" * 1000
            raise LookupError("no such shelf")

        return Response(body())

    return app


@contextlib.contextmanager
def served(log: UsageLog, *, outside: bool = False) -> Iterator[int]:
    """`outside`: exceptions leave Flask, as in other frameworks."""
    app = shop()
    app.config["PROPAGATE_EXCEPTIONS"] = outside
    app.logger.disabled = True
    app.wsgi_app = UsageWSGI(app.wsgi_app, log)  # type: ignore[method-assign]  # how Flask documents it
    server = make_server("127.0.0.1", 0, app, _Threading, _Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def called(log: UsageLog, *asked: tuple[str, str], data: bytes = b"") -> list[tuple[UsageRecord, UsageRecord]]:
    with served(log) as port:
        for method, path in asked:
            requests.request(method, f"http://127.0.0.1:{port}{path}", data=data, timeout=30)
    return calls_of(log)


def test_each_call_has_a_request_and_a_response_record_with_its_status_and_sizes(tmp_path: Path) -> None:
    asked = [
        ("GET", "/item"),
        ("POST", "/items?a=1"),
        ("GET", "/refused"),
        ("GET", "/stream?pieces=20"),
        ("HEAD", "/item"),
    ]
    found = called(opened(tmp_path), *asked, data=b"12345")
    refused = len(shop().test_client().get("/refused").data)
    assert [
        (call.method, call.uri, answer.status, answer.outcome, answer.request_bytes, answer.response_bytes)
        for call, answer in found
    ] == [
        ("GET", "/item", 200, "done", 0, 16),
        ("POST", "/items?a=1", 201, "done", 5, 1),
        ("GET", "/refused", 401, "done", 0, refused),
        ("GET", "/stream?pieces=20", 200, "done", 0, 20_000),
        ("HEAD", "/item", 200, "done", 0, 0),
    ]
    assert {(call.address, call.user_id) for call, _ in found} == {("127.0.0.1", "anonymous")}


@pytest.mark.parametrize(
    ("path", "outcome", "detail"), [("/broken", "exception", "LookupError"), ("/late", "timed_out", "TimeoutError")]
)
def test_an_exception_that_leaves_the_application_is_named(
    tmp_path: Path, path: str, outcome: str, detail: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log = opened(tmp_path)
    with served(log, outside=True) as port:
        assert requests.get(f"http://127.0.0.1:{port}{path}", timeout=30).status_code == 500
    ((_, answer),) = calls_of(log)
    assert (answer.outcome, answer.detail) == (outcome, detail)
    assert "Traceback" in capsys.readouterr().err  # the server still sees it


def test_an_exception_that_the_framework_answers_is_its_500(tmp_path: Path) -> None:
    ((_, answer),) = called(opened(tmp_path), ("GET", "/broken"))
    assert (answer.outcome, answer.status) == ("done", 500)


def test_an_exception_in_the_middle_of_a_stream_is_named_with_what_was_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = opened(tmp_path)
    with served(log) as port, contextlib.suppress(requests.RequestException):
        requests.get(f"http://127.0.0.1:{port}/broken-stream", timeout=30)
    ((_, answer),) = calls_of(log)
    assert (answer.outcome, answer.detail, answer.status, answer.response_bytes) == (
        "exception",
        "LookupError",
        200,
        1000,
    )
    assert "Traceback" in capsys.readouterr().err


def test_a_client_that_leaves_a_stream_is_told(tmp_path: Path) -> None:
    log = opened(tmp_path)
    with served(log) as port:
        gone_after(port, "/stream?pieces=100000", 3000)
    ((_, answer),) = calls_of(log)
    assert (answer.outcome, answer.status) == ("client_gone", 200)
    assert answer.response_bytes is not None and answer.response_bytes < 100_000_000


def test_an_answer_that_is_closed_without_being_read_closes_that_of_the_application(tmp_path: Path) -> None:
    closed = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"])

        def close(self) -> None:
            closed.append(True)

    log = opened(tmp_path)
    answer = UsageWSGI(lambda environ, start: Body(), log)(
        {"REQUEST_METHOD": "GET", "PATH_INFO": "/a b"}, lambda *_: print
    )
    answer.close()  # type: ignore[attr-defined]  # an iterable that has it, as PEP 3333 says
    assert closed == [True]
    ((call, response),) = calls_of(log)
    assert (call.uri, response.outcome) == ("/a%20b", "client_gone")


@pytest.mark.parametrize(
    ("status", "recorded"), [("204 No Content", 204), ("OK", None), ("", None), ("\u0662\u0660\u0660", None)]
)
def test_an_application_that_breaks_the_rules_is_served_as_without_us(
    tmp_path: Path, status: str, recorded: int | None
) -> None:
    log = opened(tmp_path)

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        start(status, [])
        return [b"x"]

    told: list[str] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/\u20ac\ud800"}
    answer = UsageWSGI(app, log)(environ, lambda status, heads, *error: told.append(status))  # type: ignore[arg-type]
    assert list(answer) == [b"x"] and told == [status]
    answer.close()  # type: ignore[attr-defined]  # as PEP 3333 asks for
    ((request, response),) = calls_of(log)
    assert request.uri == "/%5Cu20ac%5Cud800" and response.status == recorded


def test_each_character_of_a_path_is_recorded_as_it_stands_in_a_request_line(tmp_path: Path) -> None:
    log = opened(tmp_path)
    app = UsageWSGI(lambda environ, start: (), log)
    paths = [f"/a{chr(number)}b" for number in range(256)]
    for path in paths:
        app({"PATH_INFO": path}, lambda *answer: lambda chunk: None).close()  # type: ignore[attr-defined]  # of our answers
    expected = [quote(path, safe="/:@!$&'()*+,;=~", encoding="latin-1") for path in paths]
    assert [call.uri for call, _ in calls_of(log)] == expected


@pytest.mark.parametrize(
    "odd",
    [{"PATH_INFO": None}, {"PATH_INFO": b"/x"}, {"QUERY_STRING": b"a=1"}, {"REQUEST_METHOD": None}, {"REMOTE_ADDR": 5}],
    ids=str,
)
def test_a_server_that_breaks_the_rules_costs_no_record_and_no_answer(tmp_path: Path, odd: dict[str, Any]) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"answer"]

    log = opened(tmp_path)
    answer = UsageWSGI(app, log)({"PATH_INFO": "/", "REQUEST_METHOD": "GET"} | odd, lambda *_: lambda _: None)
    assert list(answer) == [b"answer"]
    answer.close()  # type: ignore[attr-defined]  # as a server does
    ((_, response),) = calls_of(log)
    assert (response.status, response.outcome, response.response_bytes) == (200, "done", 6)
