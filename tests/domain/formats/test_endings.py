"""What each server's word for the end of a response says, and lines that were written before the end."""

from __future__ import annotations

import json

import pytest

from app.domain.formats import FormatOptions
from app.domain.formats.format_strings import compiled
from app.domain.records import HitFlag, Parsed
from tests.domain.formats.reading import parsed, read

ABORTED, ENDED, ANNOUNCED = HitFlag.ABORTED, HitFlag.ENDED, HitFlag.ANNOUNCED
SAID = ABORTED | ENDED
HAPROXY = (
    "203.0.113.9:33317 [31/Jul/2020:16:46:07.655] https~ films/srv1 10/0/30/69/109 206 {sent} - - {state} 1/1/0/0/0 0/0 "
    '{{curl/8.5.0}} {{bytes 0-499/500}} "GET /films/1.mp4 HTTP/1.1"'
)
HAPROXY_TEXT = 'haproxy:%ci - - [%trl] %{+Q}r %ST %B "-" "%[capture.req.hdr(0)]" "%[capture.res.hdr(0)]" %ts'
HAPROXY_LINE = (
    '203.0.113.9 - - [31/Jul/2020:16:46:07 +0000] "GET /f HTTP/1.1" 206 {sent} "-" "curl/8" "bytes 0-499/500" {state}'
)
ENVOY_TEXT = (
    'envoy:[%START_TIME%] %DOWNSTREAM_REMOTE_ADDRESS% "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%" %RESPONSE_CODE% {}'
)
ENVOY_LINE = '[2020-07-31T16:46:07.250Z] 203.0.113.9:4711 "GET /a HTTP/1.1" 200 {}'


def of_string(text: str, line: str) -> Parsed:
    return parsed(compiled(text).format.make_parser((), FormatOptions()), line)


def of_json(**fields: object) -> Parsed:
    return read("json", json.dumps({"time": "2026-11-28T10:00:00Z", "status": 206, **fields}))


def of_haproxys_json(sent: str, state: str) -> Parsed:
    return of_json(
        ip_address="203.0.113.9",
        request="GET /f HTTP/1.1",
        bytes_sent=sent,
        content_range="bytes 0-499/500",
        ended=state,
    )


def of_envoys_json(flags: str) -> Parsed:
    return of_json(
        downstream_remote_address_without_port="203.0.113.9",
        method="GET",
        path="/f",
        response_code=206,
        response_flags=flags,
    )


ENVOY_BROKEN = (
    "DC", "DR", "DPE", "UC", "UR", "UPE", "UT", "UMSDR", "LR", "DT", "SI", "OM", "UF,UR", "DownstreamRemoteReset",
    "DownstreamConnectionTermination", "UpstreamRemoteReset",
)  # fmt: skip


@pytest.mark.parametrize("flags", ENVOY_BROKEN)
def test_envoys_flags_of_a_broken_response_are_the_same_in_text_and_json(flags: str) -> None:
    for word in ("%RESPONSE_FLAGS%", "%RESPONSE_FLAGS_LONG%"):
        assert of_string(ENVOY_TEXT.format(word), ENVOY_LINE.format(flags)).flags & SAID == ABORTED
    assert of_envoys_json(flags).flags & SAID == ABORTED


@pytest.mark.parametrize("flags", ["-", "DI", "RFCF"])
def test_envoys_flag_of_a_delay_breaks_nothing(flags: str) -> None:
    assert of_string(ENVOY_TEXT.format("%RESPONSE_FLAGS%"), ENVOY_LINE.format(flags)).flags & SAID == 0
    assert of_envoys_json(flags).flags & SAID == 0


@pytest.mark.parametrize(
    ("state", "said"),
    [("----", ENDED), ("CD--", ABORTED), ("CL--", ABORTED), ("cD--", ABORTED), ("SD--", ABORTED), ("ID--", ABORTED), ("DD--", ABORTED), ("KD--", ABORTED), ("LR--", 0), ("PR--", 0)],
)  # fmt: skip
def test_haproxys_state_says_the_same_in_its_log_in_a_format_string_and_in_json(state: str, said: int) -> None:
    assert read("haproxy", HAPROXY.format(sent=900, state=state)).flags & SAID == said
    assert of_string(HAPROXY_TEXT, HAPROXY_LINE.format(sent=900, state=state[:2])).flags & SAID == said
    assert of_haproxys_json("900", state[:2]).flags & SAID == said


@pytest.mark.parametrize("state", ["----", "CD--"])
def test_a_line_that_haproxy_wrote_before_the_end_tells_neither_the_end_nor_what_was_sent(state: str) -> None:
    for found in (
        read("haproxy", HAPROXY.format(sent="+320", state=state)),
        of_string(HAPROXY_TEXT, HAPROXY_LINE.format(sent="+320", state=state[:2])),
        of_haproxys_json("+320", state[:2]),
    ):
        assert (found.lo, found.hi, found.total_bytes, found.bytes_sent) == (0, 499, 500, None)
        assert found.flags & ANNOUNCED and not found.flags & ENDED


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"x-edge-result-type": "Error", "x-edge-detailed-result-type": "OriginReadError"}, ABORTED),
        ({"x-edge-result-type": "Error", "x-edge-detailed-result-type": "ClientHungUpRequest"}, ABORTED),
        ({"x-edge-result-type": "Error", "x-edge-detailed-result-type": "AbortedOrigin"}, ABORTED),
        ({"x-edge-result-type": "Error"}, ABORTED),
        ({"x-edge-result-type": "Hit", "x-edge-detailed-result-type": "OriginShieldHit"}, 0),
    ],
)
def test_an_error_of_cloudfront_after_the_response_began_is_a_break_in_json_too(
    fields: dict[str, str], said: int
) -> None:
    line = {"date": "2026-11-28", "time": "10:00:00", "c-ip": "203.0.113.9", "cs-method": "GET", "cs-uri-stem": "/f", "sc-status": "206"}  # fmt: skip
    assert read("json", json.dumps({**line, **fields})).flags & SAID == said


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ("backend_connection_closed_after_partial_response_sent", ABORTED),
        ("client_disconnected_after_partial_response", ABORTED),
        ("byte_range_caching_aborted", ABORTED),
        ("client_timed_out", ABORTED),
        ("response_sent_by_backend", 0),
        ("response_from_cache", 0),
    ],
)
def test_googles_details_say_whether_a_response_broke_on_either_side(details: str, said: int) -> None:
    request = {"requestMethod": "GET", "requestUrl": "https://e.com/f", "status": 206, "remoteIp": "203.0.113.9"}
    found = of_json(
        timestamp="2026-11-28T10:00:00Z",
        insertId="1",
        logName="a",
        httpRequest=request,
        jsonPayload={"statusDetails": details},
    )
    assert found.flags & SAID == said


@pytest.mark.parametrize(("code", "said"), [("ERR_CLIENT_ABORT|-", ABORTED), ("-", 0)])
def test_akamais_error_code_says_that_a_response_broke(code: str, said: int) -> None:
    found = of_json(
        reqTimeSec="1780071288.000", cliIP="203.0.113.9", reqMethod="GET", reqPath="f", statusCode="206", errorCode=code
    )
    assert found.flags & SAID == said


@pytest.mark.parametrize(
    ("error", "said"), [("NoError", 0), ("OriginConnectionAborted", ABORTED), ("ClientDisconnected", ABORTED)]
)
def test_azures_error_is_a_break_unless_it_is_none(error: str, said: int) -> None:
    found = of_json(
        category="FrontDoorAccessLog",
        properties={"clientIp": "203.0.113.9", "httpMethod": "GET", "requestUri": "https://e.com/f", "httpStatusCode": "206", "errorInfo": error},
    )  # fmt: skip
    assert found.flags & SAID == said


def test_traffic_servers_word_for_a_transfer_that_was_interrupted_is_a_break() -> None:
    line = '203.0.113.9 - - [28/Nov/2026:10:00:00 +0000] "GET http://e.com/f HTTP/1.1" 200 600 200 600 0 0 1 3 2 3 12 DIRECT {} FIN'
    assert read("common", line.format("INTR")).flags & SAID == ABORTED
    assert read("common", line.format("FIN")).flags & SAID == 0


@pytest.mark.parametrize(("status", "ranged"), [(206, "bytes 0-499/500"), (200, "-")])
def test_varnishs_word_for_a_hit_says_that_its_bytes_are_those_of_the_answer(status: int, ranged: str) -> None:
    line = f'203.0.113.9 - - [28/Nov/2026:10:00:00 +0000] "GET /f HTTP/1.1" {status} 500 "-" "curl/8" "{ranged}"'
    assert read("combined_range", f"{line} hit").flags & (SAID | ANNOUNCED) == ANNOUNCED
    for other in (" miss", ' "hit"', " HIT", ""):
        assert read("combined_range", f"{line}{other}").flags & (SAID | ANNOUNCED) == 0


def test_an_empty_word_is_that_of_a_broken_response_where_nginx_writes_it_alone() -> None:
    """Envoy writes `-` if there is nothing to say, of which an export may make an empty text."""
    told = {"time": "2026-11-28T10:00:00Z", "ip_address": "203.0.113.9"}
    nginx = read("json", json.dumps({**told, "request": "GET /a HTTP/1.1", "status": 206, "request_completion": ""}))
    envoy = read(
        "json",
        json.dumps(
            {
                "start_time": "2026-11-28T10:00:00Z",
                "downstream_remote_address": "203.0.113.9:4711",
                "method": "GET",
                "path": "/a",
                "protocol": "HTTP/1.1",
                "response_code": 206,
                "response_flags": "",
                "bytes_sent": 5,
            }
        ),
    )
    assert nginx.flags & SAID == ABORTED and envoy.flags & SAID == 0
