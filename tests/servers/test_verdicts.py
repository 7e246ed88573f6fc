"""What `reduce` says of a download is what the client has on disk: real servers with the page's lines, real clients."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.servers.cases import CASES, Case
from tests.servers.running import Run
from tests.servers.web_servers import SERVERS, WebServer

pytestmark = [pytest.mark.servers, pytest.mark.timeout(280)]
HEADS_BYTES = 8192
"""The most that response heads are taken for (docs/explanation/deliveries.md)."""


def _on(wanted: Callable[[Case], bool] = lambda case: True) -> list[object]:
    """Server and case for each server that can run it. The tests of a server run in one process: it is started once."""
    return [
        pytest.param(server, case, id=f"{server.name}-{case.name}", marks=pytest.mark.xdist_group(server.name))
        for server in SERVERS
        for case in CASES
        if wanted(case) and (server.http2 or not case.http2)
    ]


on_each_server = pytest.mark.parametrize(
    "server", [pytest.param(server, id=server.name, marks=pytest.mark.xdist_group(server.name)) for server in SERVERS]
)


@pytest.mark.parametrize(("server", "case"), _on(lambda case: not case.no_download))
def test_the_verdict_is_what_the_client_has(
    server: type[WebServer], case: Case, runs: Callable[[type[WebServer]], Run]
) -> None:
    run = runs(server)
    received, lines = run.received(case), run.lines(case)
    assert lines, "the server logged nothing"
    found = run.deliveries(case)
    assert len(found) == 1, found
    delivery = found[0]
    told = f"{delivery}\n" + "\n".join(lines)
    verdict, reason = delivery["verdict"], delivery["reason"]
    if case.encoded:
        assert (verdict, reason) == ("unknown", "encoded"), told
    elif case.http2 and not server.http2_tells and verdict == "unknown":
        assert reason == "announced", told
    elif received.whole:
        assert (verdict, delivery["missing"]) == ("complete", []), told
    elif verdict == "complete":
        # bytes that the server sent and the client never took, and nothing in the log says so
        lost_in_buffers = all(server.says_all_was_sent(line) for line in lines)
        assert (case.in_buffers and lost_in_buffers) or (case.resumes and delivery["evidence"] == "resumed"), told
    else:
        assert verdict == ("partial" if case.has_positions else "unknown"), told


@pytest.mark.parametrize(("server", "case"), _on(lambda case: case.no_download))
def test_a_request_for_no_bytes_is_no_delivery(
    server: type[WebServer], case: Case, runs: Callable[[type[WebServer]], Run]
) -> None:
    run = runs(server)
    assert len(run.lines(case)) == 1
    assert run.received(case).ranges == [] and run.deliveries(case) == []


@pytest.mark.parametrize(("server", "case"), _on(lambda case: not case.no_download and not case.encoded))
def test_no_byte_that_the_client_has_is_said_to_be_missing(
    server: type[WebServer], case: Case, runs: Callable[[type[WebServer]], Run]
) -> None:
    """But for the allowance for response heads, if the byte column counts them and the response broke off."""
    run = runs(server)
    (delivery,) = run.deliveries(case)
    both = [
        min(hi, last) - max(lo, first) + 1
        for lo, hi in delivery["missing"]
        for first, last in run.received(case).ranges
        if lo <= last and first <= hi
    ]
    heads_counted = run.form.byte_column == "with-headers" and delivery["verdict"] == "partial"
    assert sum(both) <= (HEADS_BYTES if heads_counted else 0), delivery


@on_each_server
def test_every_line_of_the_page_s_format_is_read_with_its_client_and_agent(
    server: type[WebServer], runs: Callable[[type[WebServer]], Run]
) -> None:
    run = runs(server)
    assert run.parsed and run.rejects() == []
    assert {(hit["ip_address"], bool(hit["user_agent"])) for hit in run.parsed} == {("127.0.0.1", True)}


@on_each_server
def test_the_clients_did_what_the_cases_say(server: type[WebServer], runs: Callable[[type[WebServer]], Run]) -> None:
    """Whole ones are whole, cut ones are not: else the verdicts would be compared with nothing."""
    run = runs(server)
    cut = {
        case.name
        for case in CASES
        if case.name.startswith(("cut-", "seek-")) or case.name in ("cut", "multi-range", "pieces-hole")
    }
    cut -= {"cut-then-whole"}
    answered_whole = {name for name in ("multi-range", "pieces-hole") if server.may_answer_whole}
    incomplete = {case.name for case in run.cases if not case.no_download and not run.received(case).whole}
    expected = {case.name for case in run.cases} & cut
    assert expected - answered_whole <= incomplete <= expected
