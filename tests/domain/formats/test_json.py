"""JSON lines have no vendor of their own: the lines are the example of Caddy's documentation, the Elastic Common Schema's documented
fields, nginx's documented variables in `escape=json` manner, the fields that Logstash's Apache pattern fills, and Traefik's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.formats import FORMATS, FormatOptions, unnamed
from app.domain.formats.base import BadLine
from app.domain.formats.json_fields import lookups
from app.domain.formats.values import plain_number
from app.domain.records import HitFlag, Parsed
from tests.domain.formats.reading import hit, parsed, read, reject
from tests.together import together

TIME = 1596213967.0  # 2020-07-31 16:46:07
ANNOUNCED, HEADERS_COUNTED = int(HitFlag.ANNOUNCED), int(HitFlag.HEADERS_COUNTED)
CADDY = (
    '{"level":"info","ts":1646861401.5241024,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"127.0.0.1",'
    '"remote_port":"41342","client_ip":"127.0.0.1","proto":"HTTP/2.0","method":"GET","host":"localhost","uri":"/","headers":{'
    '"User-Agent":["curl/7.82.0"],"Accept":["*/*"]}},"bytes_read":0,"user_id":"","duration":0.000929675,"size":10900,"status":200,'
    '"resp_headers":{"Server":["Caddy"],"Content-Type":["text/html; charset=utf-8"]}}'
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (CADDY, hit(1646861401.5241024, "127.0.0.1", "curl/7.82.0", "GET /", "GET", 200, bytes_sent=10900, flags=16)),
        (
            '{"ts":"2020-07-31T16:46:07Z","request":{"remote_ip":"10.0.0.1","method":"GET","uri":"/a.mp4","headers":{}},"status":206,'
            '"size":290,"resp_headers":{"Content-Range":["bytes 0-289/579"]}}',
            hit(TIME, "10.0.0.1", "-", "GET /a.mp4", "GET", 206, 0, 289, 290, 579),
        ),
        (
            '{"@timestamp":"2020-07-31T18:46:07.500+02:00","source":{"ip":"10.0.0.1"},"user_agent":{"original":"curl/8"},"http":{"request":'
            '{"method":"GET"},"response":{"status_code":200,"body":{"bytes":887}}},"url":{"path":"/a","query":"x=1"}}',
            hit(TIME + 0.5, "10.0.0.1", "curl/8", "GET /a?x=1", "GET", 200, bytes_sent=887),
        ),
        (
            '{"time_iso8601":"2020-07-31T16:46:07+00:00","remote_addr":"10.0.0.1","request":"GET /a HTTP/1.1","status":"206",'
            '"body_bytes_sent":"290","bytes_sent":"700","http_user_agent":"curl/8","sent_http_content_range":"bytes 0-289/*"}',
            hit(TIME, "10.0.0.1", "curl/8", "GET /a", "GET", 206, 0, 289, 290),
        ),
        (
            '{"timestamp":"31/Jul/2020:16:46:07 +0000","clientip":"10.0.0.1","verb":"GET","request":"/a","httpversion":"1.1",'
            '"response":"200","bytes":"5","agent":"curl/8"}',
            hit(TIME, "10.0.0.1", "curl/8", "GET /a", "GET", 200, bytes_sent=5),
        ),
        (
            '{"StartUTC":"2020-07-31T16:46:07.25Z","ClientHost":"10.0.0.1","RequestMethod":"HEAD","RequestPath":"/a",'
            '"DownstreamStatus":200,"DownstreamContentSize":0,"request_User-Agent":"curl/8"}',
            hit(TIME + 0.25, "10.0.0.1", "curl/8", "HEAD /a", "HEAD", 200, bytes_sent=0),
        ),
        (
            '{"time":1596213967000,"ip":"10.0.0.1","user_agent":"-","request":"/a","status":206,"range":"0-289","bytes_sent":732,'
            '"total_bytes":"579"}',
            hit(TIME, "10.0.0.1", "-", "/a", "GET", 206, 0, 289, 732, 579, 1),
        ),
    ],
)
def test_known_names_read_in_all_fields(line: str, expected: Parsed) -> None:
    assert read("json", line) == expected


def record(**changes: Any) -> str:
    fields = {
        "time": "2020-07-31 16:46:07",
        "ip_address": "10.0.0.1",
        "user_agent": "x",
        "request": "GET /a",
        "status": 206,
    }
    return json.dumps({name: value for name, value in {**fields, **changes}.items() if value is not None})


def test_a_field_map_names_the_paths() -> None:
    options = FormatOptions(
        json_fields="time=when.at, ip_address=who,ip_address=who2,user_agent=ua,method=m,path=p,status=code,"
        "lo=r.from,hi=r.to,bytes_sent=n,total_bytes=all"
    )
    line = '{"when":{"at":"1596213967"},"who2":"10.0.0.1","ua":"x","m":"GET","p":"/a","code":"206","r":{"from":5,"to":"9"},"n":5,"all":10}'
    assert read("json", line, (), options) == hit(TIME, "10.0.0.1", "x", "GET /a", "GET", 206, 5, 9, 5, 10)
    assert reject("json", record(), (), options) == "no_request"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("tme=a", "'tme' in the field map of json is no field; did you mean time"),
        ("qqqq=a", "the names are time, ip_address"),
        ("time", "'time' in the field map of json is not name=path"),
        ("time=", "is not name=path"),
    ],
)
def test_a_wrong_field_map_is_refused_at_once(setting: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FORMATS["json"].make_parser((), FormatOptions(json_fields=setting))


@together(
    ("time", "seconds"),
    [
        ("2020-07-31T16:46:07Z", TIME),
        ("2020-07-31T16:46:07.125Z", TIME + 0.125),
        ("2020-07-31T22:16:07+05:30", TIME),
        ("2020-07-31T12:46:07-0400", TIME),
        ("2020-07-31 16:46:07", TIME),
        (1596213967, TIME),
        (1596213967.5, TIME + 0.5),
        ("1596213967", TIME),
        (1596213967500, TIME + 0.5),
        (1596213967500000, TIME + 0.5),
        (1596213967500000000, TIME + 0.5),
        ([1596213967], TIME),
    ],
)
def test_times_are_iso_or_epochs(time: float | list[Any] | str, seconds: float) -> None:
    assert read("json", record(time=time)).time == seconds


def test_a_line_without_client_has_nulls_and_one_without_agent_a_hyphen() -> None:
    assert read("json", record(ip_address=None, user_agent=None))[1:3] == (None, None)
    assert read("json", record(user_agent=None))[1:3] == ("10.0.0.1", "-")
    assert read("json", record(status=None)).status == 200


@pytest.mark.parametrize("client", ["", "-", "unix:"])
def test_a_client_of_nothing_is_nobody(client: str) -> None:
    assert read("json", record(ip_address=client)).ip_address is None
    assert read("json", record(ip_address=client, ip="203.0.113.9")).ip_address == "203.0.113.9" or client == "unix:"


@pytest.mark.parametrize(
    "line",
    [
        record(request=None),
        '{"level":"info","ts":1712345600.2,"logger":"http","msg":"server running","server_name":"srv0"}',
        '{"time":"2020-07-31T16:46:07Z","level":"error","path":"/srv/app.py","msg":"broken"}',
        '{"ts":1712345699.2,"logger":"http.handlers.reverse_proxy","msg":"upstream roundtrip","request":{"remote_ip":"203.0.113.9",'
        '"method":"GET","uri":"/a"},"status":200}',
        "{}",
    ],
)
def test_json_that_is_no_access_log_is_rejected(line: str) -> None:
    assert reject("json", line) == "no_request"


def test_numbers_of_any_size_keep_every_digit() -> None:
    assert read("json", record(lo=10**30, hi=10**31, total_bytes=10**32))[6:10] == (10**30, 10**31, None, 10**32)


@together(
    ("change", "reason"),
    [
        ({"time": None}, "bad_time"),
        ({"time": True}, "bad_time"),
        ({"time": {"a": 1}}, "bad_time"),
        ({"time": "soon"}, "bad_time"),
        ({"time": "9" * 100}, "bad_time"),
        ({"status": "x"}, "bad_status"),
        ({"status": 206.5}, "bad_status"),
        ({"bytes_sent": 1.5}, "bad_columns"),
    ],
)
def test_a_wrong_value_is_rejected_with_its_reason(change: dict[str, Any], reason: str) -> None:
    assert reject("json", record(**change)) == reason


@together("line", ["", " ", "{", "[]", "5", "null", '"text"', "{}x", "[" * 100_000, '{"a":' * 100_000, "NaN"])
def test_what_is_no_json_object_is_bad_columns(line: str) -> None:
    assert reject("json", line) == "bad_columns"


@together(
    "change",
    [
        {"range": "9-1"},
        {"range": "bytes=0-5"},
        {"range": "bytes=5-"},
        {"lo": 1},
        {"lo": -1, "hi": 5},
        {"content_range": "bytes 1"},
        {"content_range": "items 0-24/66"},
        {"content_range": "bytes 473276580-/473276580"},
        {"content_range": ["pages 1-2/3"]},
    ],
)
def test_a_range_that_is_none_costs_the_range_and_not_the_hit(change: dict[str, Any]) -> None:
    assert read("json", record(**change)) == read("json", record())


@pytest.mark.parametrize("unit", ["bytes", "Bytes", "BYTES"])
def test_the_unit_of_a_range_is_read_in_any_case(unit: str) -> None:
    assert read("json", record(content_range=f"{unit} 0-499/1234"))[6:10] == (0, 499, None, 1234)


def test_an_integer_too_long_for_python_is_bad_range() -> None:
    line = record().removesuffix("}") + ', "bytes_sent": ' + "9" * 5000 + "}"
    assert reject("json", line) == "bad_range"
    line = record(lo=0).removesuffix("}") + ', "hi": ' + "9" * 5000 + "}"
    assert read("json", line) == read("json", record())


def test_half_a_surrogate_pair_is_kept_escaped() -> None:
    found = read(
        "json", r'{"time": 0, "ip_address": "::1", "user_agent": "\ud83d\ude00\ud800é", "request": "GET /\udfff"}'
    )
    assert found[1:4] == ("::1", "😀\\ud800é", "GET /\\udfff")


def test_the_paths_of_a_name_are_tried_in_order_whatever_keys_a_line_has() -> None:
    options = FormatOptions(json_fields="time=a.b.c,time=d,ip_address=x,ip_address=y")
    parse = FORMATS["json"].make_parser((), options)
    rest = '"request": "GET /a", "status": 200}'
    assert parsed(parse, '{"a": {"b": {"c": 1}}, "d": 2, "x": {}, "y": ["10.0.0.1"], ' + rest)[:2] == (1.0, "10.0.0.1")
    assert parsed(parse, '{"a": {"b": 5}, "d": 2, "x": [], "y": null, ' + rest)[:2] == (2.0, None)
    assert parsed(parse, '{"a.b.c": 3, "a": {"b": {"c": 1}}, "d": 2, ' + rest)[:2] == (3.0, None)


def test_lines_of_ever_new_keys_take_no_ever_growing_memory() -> None:
    fields = lookups("")
    for at in range(1250):
        fields.of({"time": "0", f"key{at}": "x"})
    plans, _ = fields._plans
    assert 0 < len(plans) <= 1000
    wide = {f"key{at}": "x" for at in range(101)} | {"time": "0"}
    before = len(plans)
    assert fields.of(wide).said(wide) == {"time": "0"}
    assert len(plans) == before


def test_a_key_in_another_spelling_is_found_where_none_has_the_usual_one() -> None:
    line = '{"Time":"2020-07-31T16:46:07Z","RemoteAddr":"203.0.113.9","request-method":"GET","RequestURI":"/a","Status":206,"user-agent":"curl"%s}'
    found = read("json", line % "")
    assert found[:6] == (1596213967.0, "203.0.113.9", "curl", "GET /a", "GET", 206)
    assert read("json", line % ',"user_agent":"wget"')[2] == "wget"


@pytest.mark.parametrize(("sent", "flag"), [(1000, ANNOUNCED), (999, 0), (1300, HEADERS_COUNTED)])
def test_bytes_with_headers_of_an_unknown_writer_prove_nothing_if_they_are_just_the_body(sent: int, flag: int) -> None:
    found = read(
        "json",
        '{"time":"2020-07-31T16:46:07Z","client_ip":"203.0.113.9","method":"GET","path":"/a","status":206,'
        f'"bytes_sent":{sent},"content_range":"bytes 0-999/1000"}}',
    )
    assert found.flags & (ANNOUNCED | HEADERS_COUNTED) == flag


def test_bytes_of_an_unknown_writer_prove_nothing_if_the_line_names_no_length() -> None:
    line = '{"time":"2020-07-31T16:46:07Z","client_ip":"203.0.113.9","method":"GET","path":"/a","status":200,"BytesSent":1000}'
    assert read("json", line).flags & (ANNOUNCED | HEADERS_COUNTED) == ANNOUNCED


@pytest.mark.parametrize(
    "time", ["Fri, 31 Jul 2020 16:46:07 GMT", "2020-07-31 16:46:07 +0000 UTC", "2020-07-31 22:16:07 +0530 IST"]
)
def test_times_as_http_and_go_write_them_are_read(time: str) -> None:
    assert read("json", record(time=time)).time == 1596213967.0


@pytest.mark.parametrize("listed", ["203.0.113.9:4711", "[2001:db8::7]:4711, 10.0.0.9", "[2001:db8::7]"])
def test_a_forwarded_client_may_have_a_port(listed: str) -> None:
    found = read("json", record(ip_address="10.0.0.5", http_x_forwarded_for=listed))
    assert found.ip_address in ("203.0.113.9", "2001:db8::7")


def test_numbers_that_a_program_keeps_as_floats_are_those_that_the_server_wrote() -> None:
    line = (
        '{"time": 1.5962139670E9, "remote_addr": "203.0.113.9", "request": "GET /a HTTP/1.1", "status": 206.0,'
        ' "body_bytes_sent": 6.0E7, "sent_http_content_range": "bytes 0-59999999/60000000"}'
    )
    found = read("json", line)
    assert (found.time, found.status, found.bytes_sent) == (1596213967.0, 206, 60_000_000)
    assert reject("json", line.replace("206.0", "206.5")) == "bad_status"
    assert reject("json", line.replace("6.0E7", "6.05E1")) == "bad_columns"


@given(st.from_regex(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,40})?", fullmatch=True), st.booleans())
@example("1e99999999999999999999", False)
@example("0e-99999999999999999999", True)
@example("0E-999999", True)
def test_whatever_number_json_allows_its_line_is_a_hit_or_a_reject(text: str, is_status: bool) -> None:
    """A number that is none here would end the worker at each start."""
    try:
        json.loads(text)
    except ValueError:
        return
    line = f'{{"time": 1596213967, "remote_addr": "203.0.113.9", "request": "GET /a HTTP/1.1", "status": {text if is_status else 200}, "x": {text}}}'
    found = FORMATS["json"].make_parser((), FormatOptions())
    try:
        assert found(line)
    except BadLine as error:
        assert is_status and error.reason == "bad_status"
    assert len(plain_number(text)) <= len(text) + 32


@pytest.mark.parametrize("name", ["gzip_ratio", "GzipRatio", "EdgeResponseCompressionRatio"])
@pytest.mark.parametrize(
    ("ratio", "said"), [(5.2, HitFlag.ENCODED), ("3.14", HitFlag.ENCODED), (0, 0), (1.0, 0), ("-", 0), ("", 0)]
)
def test_a_ratio_above_1_says_that_the_server_compressed_the_response(name: str, ratio: object, said: int) -> None:
    line = {"time": "2026-11-28T10:00:00Z", "ip_address": "203.0.113.9", "request": "GET /report HTTP/1.1", "status": 200, "size": 4886}  # fmt: skip
    assert read("json", json.dumps({**line, name: ratio})).flags & HitFlag.ENCODED == said


@together("name", ["egressBytes", "bytes_down_out", "downstreamSize", "served.octets", "size_on_tx", "length_of_reply"])
def test_fewer_bytes_under_an_unknown_name_make_the_range_no_proof(name: str) -> None:
    line = {
        "time": "2020-07-31T16:46:07Z",
        "ip": "203.0.113.9",
        "user_agent": "curl",
        "request": "GET /a HTTP/1.1",
        "status": 206,
        "content_range": "bytes 0-999/1000",
    }
    assert read("json", json.dumps({**line, name: 400})).flags == HitFlag.ANNOUNCED
    assert read("json", json.dumps({**line, name: 1000})).flags == 0
    assert (
        read("json", json.dumps({**line, "received_bytes": 400, "request_length": 40, "bytes_out_header": 4})).flags
        == 0
    )
    assert read("json", json.dumps({**line, name: 400, "body_bytes_sent": 1000})).flags == 0
    mapped = FormatOptions(json_fields=f"bytes_sent={name}")
    assert read("json", json.dumps({**line, name: 400}), (), mapped).bytes_sent == 400


@together(
    ("told", "is_proof"),
    [
        ("400 B", False),
        ("400 bytes", False),
        ("4e2", False),
        ("0.4 KB", False),
        ("12,345", True),
        ("1,000", True),
        ("1e3", True),
        ("0.9 KiB", True),  # it may be 1,023 bytes
        ("999 bytes", False),
        ("1k", True),
        ("fast", True),
        ("-", True),
        ("-1", True),
        ([400], True),
    ],
)
def test_bytes_under_an_unknown_name_are_compared_as_people_write_them(told: object, is_proof: bool) -> None:
    assert read("json", json.dumps({**RANGED, "egressBytes": told})).flags == (0 if is_proof else HitFlag.ANNOUNCED)


def test_of_more_keys_than_a_server_writes_nothing_is_proof() -> None:
    many = {f"{'response' * 8}{number}bytes": 1000 for number in range(498)}
    assert read("json", json.dumps(RANGED | dict(list(many.items())[:490]))).flags == 0
    assert read("json", json.dumps(RANGED | many)).flags == HitFlag.ANNOUNCED
    assert read("json", json.dumps(RANGED | {"made": {"up": many}})).flags == HitFlag.ANNOUNCED
    wide: dict[str, dict[str, str]] = {f"object{number}": {} for number in range(500)}
    assert read("json", json.dumps(RANGED | {"made": wide})).flags == HitFlag.ANNOUNCED


RANGED = {
    "time": "2020-07-31T16:46:07Z",
    "ip": "203.0.113.9",
    "user_agent": "curl",
    "request": "GET /a HTTP/1.1",
    "status": 206,
    "content_range": "bytes 0-999/1000",
}


@together(
    "told",
    [
        {"aborted": True},
        {"client_aborted": "true"},
        {"isClientDisconnected": 1},
        {"finished": False},
        {"completed": "", "body_bytes_sent": 1000},
        {"transfer.complete": "no"},
        {"error": "write tcp 10.0.0.1:80: broken pipe"},
        {"err": "write: connection reset by peer"},
        {"error": {"message": "context canceled"}},
        {"state": "cancelled"},
        {"result": "TCP_MISS_ABORTED"},
        {"response": {"state": "client disconnected"}},
        {"http": {"response": {"interrupted": True}}},
        {"target": {"aborted": True}},
        {"request_completion": "OK", "aborted": True},
    ],
)
def test_what_says_under_an_unknown_name_that_the_response_broke_is_believed(told: dict[str, Any]) -> None:
    assert read("json", json.dumps({**RANGED, **told})).flags & (HitFlag.ABORTED | HitFlag.ENDED) == HitFlag.ABORTED


@together(
    "told",
    [
        {"aborted": False},
        {"not_aborted": True},
        {"finished": True},
        {"completed": "OK"},
        {"error": ""},
        {"error": "-"},
        {"error": None},
        {"result": "TCP_HIT"},
        {"state": "CD"},
        {"outcome": "success"},
        {"aborted": {"by": "nobody"}},
        {"timeout": 30},
        {"message_truncated": True},
        {"auth_success": False},
        {"cache": {"complete": False}},
        {"headers": {"x-aborted": "1", "bytes-sent": "1"}},
        {"http": {"query_parameters": {"finished": "0", "sent": "0"}}},
    ],
)
def test_other_words_under_unknown_names_say_nothing(told: dict[str, Any]) -> None:
    assert read("json", json.dumps({**RANGED, **told})).flags == 0


@together(
    "told",
    [
        {"tx": 400},
        {"sent_kb": 0.4},
        {"body_bytes_sent": "-"},
        {"body_bytes_sent": ""},
        {"bytes_sent": "-"},
        {"sc-bytes": ""},
        {"net": {"bytes": {"out": 400}}},
        {"bytes": {"sent": 4}},
    ],
)
def test_bytes_that_are_not_there_or_stand_deeper_make_the_range_no_proof(told: dict[str, Any]) -> None:
    assert read("json", json.dumps({**RANGED, **told})).flags == HitFlag.ANNOUNCED


def test_keys_that_a_client_makes_up_are_not_remembered_without_bound() -> None:
    for number in range(3):
        wide = {f"{number}-{'a' * 100}-{at}_aborted": False for at in range(100)}
        before = unnamed._remembered.cache_info().currsize
        assert read("json", json.dumps({**RANGED, **wide})).flags == 0
        assert read("json", json.dumps({**RANGED, "x": {**wide, "aborted": True}})).flags == HitFlag.ABORTED
        # of the second line only its own keys
        assert unnamed._remembered.cache_info().currsize <= before + 1
