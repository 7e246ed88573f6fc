"""What all kinds of calls have in common: the trace, and who calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.usage.calls import Call, Calls, trace_id_of
from app.usage.spool import Frame, frames
from tests.usage.reading import calls_of, opened

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (f"00-{TRACE}-{PARENT}-01", TRACE),
        (f" 00-{TRACE}-{PARENT}-00\t", TRACE),
        (f"01-{TRACE}-{PARENT}-01-what a later version adds", TRACE),
        (f"ff-{TRACE}-{PARENT}-01", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE.upper()}-{PARENT}-01", None),
        (f"00-{TRACE}-{PARENT}-01x", None),
        (f"00-{TRACE}", None),
        ("", None),
    ],
)
def test_a_trace_is_taken_from_a_head_of_the_standard_alone(head: str, found: str | None) -> None:
    assert trace_id_of(head) == found


@pytest.mark.parametrize(
    ("known", "later", "users"),
    [
        (None, "ada", ("anonymous", "ada")),
        ("", "ada", ("anonymous", "ada")),
        ("ada", "bob", ("ada", "ada")),
        (None, None, ("anonymous",) * 2),
    ],
)
def test_a_user_that_is_known_only_at_the_end_is_in_the_response_and_another_changes_nothing(
    tmp_path: Path, known: str | None, later: str | None, users: tuple[str, str]
) -> None:
    log = opened(tmp_path)
    source = {"user": known}
    call = Call().begin(Calls(log, lambda source: source["user"]), source, "GET", "/")
    source["user"] = later
    call.end("done", 200)
    call.end("exception")
    ((request, answer),) = calls_of(log)
    assert (request.user_id, answer.user_id) == users and (answer.outcome, answer.status) == ("done", 200)


def test_what_a_client_sends_is_cut_so_that_a_record_fits_into_a_message(tmp_path: Path) -> None:
    log = opened(tmp_path)
    text = "\U0001f600" * 500_000
    Call().begin(Calls(log, lambda source: text), None, text, "/a?b=" + text, text).end("done", 200)
    ((request, _),) = calls_of(log)
    assert {len(each or "") for each in (request.user_id, request.method, request.uri, request.address)} == {8192}
    (path,) = tmp_path.glob("*/*.seg")
    assert max(len(each.record) for each in frames(path) if isinstance(each, Frame)) < 900_000


class _NoTruth:
    def __bool__(self) -> bool:
        raise ValueError


@pytest.mark.parametrize(
    ("fault", "kept"),
    [
        ({"monitored": lambda method, uri: {}[uri]}, ("ada", "/a")),
        ({"monitored": lambda method, uri: _NoTruth()}, ("ada", "/a")),
        ({"address": 7}, ("anonymous", None)),
        ({"method": None}, ("anonymous", None)),
        ({"uri": 7}, ("anonymous", None)),
    ],
    ids=["monitored raises", "monitored has no truth", "address", "method", "uri"],
)
def test_a_fault_of_the_service_costs_fields_and_no_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: dict[str, Any], kept: tuple[str, str | None]
) -> None:
    given: dict[str, Any] = {"method": "GET", "uri": "/a", "address": "::1", **fault}
    log = opened(tmp_path, monitored=given.pop("monitored", None))
    calls = Calls(log, lambda source: "ada")
    for _ in range(2):
        Call().begin(calls, None, **given).end("done", 200)
    assert [(request.user_id, request.uri, request.monitored) for request, _ in calls_of(log)] == [(*kept, False)] * 2
    assert len(caplog.records) == 1  # each kind of fault is told once


def test_the_log_of_the_service_names_a_fault_and_its_place_without_the_secrets_of_the_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def monitored(method: str, uri: str) -> bool:
        raise ValueError(f"cannot say anything of {uri}")

    log = opened(tmp_path, monitored=monitored)
    Call().begin(Calls(log), None, "GET", "/a?token=hunter2").end("done", 200)
    assert log.stop()
    assert "ValueError" in caplog.text and "in monitored" in caplog.text and "hunter2" not in caplog.text


def test_a_secret_that_is_cut_stays_masked(tmp_path: Path) -> None:
    log = opened(tmp_path)
    Call().begin(Calls(log), None, "GET", f"/a?b={'x' * 8150}&next=http://ada:hunter2{'2' * 100}@host/").end(
        "done", 200
    )
    ((request, _),) = calls_of(log)
    assert "hunter2" not in str(request.uri)


def test_whether_a_call_is_monitored_is_asked_with_the_uri_as_it_came_in_text_and_recorded_is_the_masked_one(
    tmp_path: Path,
) -> None:
    asked: list[str] = []

    def monitored(method: str, uri: str) -> bool:
        asked.append(uri)
        return True

    log = opened(tmp_path, monitored=monitored)
    calls = Calls(log)
    for uri in (b"/a?q=\xe9&token=7", "/b", b"/c?q=\xe9", b"/c?q=\xe9"):
        Call().begin(calls, None, "GET", uri).end("done", 200)
    assert asked == ["/a?q=é&token=7", "/b", "/c?q=é", "/c?q=é"]
    assert [request.uri for request, _ in calls_of(log)] == ["/a?q=é&token=(secret)", "/b", "/c?q=é", "/c?q=é"]
