"""Lines inside of the objects that shippers and stores write around them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.formats import FORMATS, BadLine, FormatOptions
from app.domain.formats.detection import detect
from app.domain.formats.prefixes import without_prefix
from tests.together import together

LINE = '203.0.113.9 - - [31/Jul/2020:16:46:07 +0000] "GET /a HTTP/1.1" 206 500 "-" "curl/8.5.0" "bytes 0-499/1000" "OK"'
WRAPPED: dict[str, Any] = {
    "Loki": {"labels": {"app": "a"}, "line": LINE, "timestamp": "2020-07-31T16:46:07Z"},
    "Google": {"textPayload": LINE, "timestamp": "2020-07-31T16:46:07Z", "logName": "x"},
    "Azure": {"TimeGenerated": "2020-07-31T16:46:07Z", "LogMessage": LINE, "LogSource": "stdout"},
    "Splunk": {"time": 1596213967.0, "sourcetype": "nginx", "event": LINE},
    "docker to Splunk": {"event": {"line": LINE, "source": "stdout"}, "time": "1596213967", "host": "n"},
    "Graylog": {"version": "1.1", "host": "web1", "short_message": LINE, "timestamp": 1596213967.0},
    "Elasticsearch": {"_index": "a", "_source": {"message": LINE, "host": {"name": "w"}}},
    "Datadog": {"date": "2020-07-31T16:46:07Z", "host": "w", "status": "info", "message": LINE, "attributes": {}},
    "stern": {"message": LINE, "nodeName": "n", "podName": "p"},
}


@together("writer", WRAPPED)
def test_an_object_around_a_line_changes_nothing(writer: str) -> None:
    wanted = FORMATS["combined"].make_parser((), FormatOptions())(LINE)
    for text in (json.dumps(WRAPPED[writer]), json.dumps(WRAPPED[writer]) + ","):
        found = detect([text])
        assert found is not None
        assert found.make_parser((), FormatOptions())(text) == wanted


def test_an_object_that_holds_a_text_and_no_key_of_a_shipper_is_not_unwrapped() -> None:
    assert without_prefix(json.dumps({"line": LINE, "answer": 1})) is None


def test_two_words_are_passed_over_only_if_the_first_is_a_name_that_kubernetes_gave() -> None:
    rest = "203.0.113.9 - - ["
    assert without_prefix(f"films-5d59c7b4d9-x2x7k nginx {rest}") == without_prefix(f"films-0 nginx {rest}") == rest
    assert without_prefix(f"my-movies nginx {rest}") is None


def test_the_time_of_fluentd_counts_where_the_record_has_none() -> None:
    parse = FORMATS["json"].make_parser((), FormatOptions())
    record = '"remote":"203.0.113.9","method":"GET","path":"/a","code":"206","size":"5","agent":"curl"}'
    for own, wanted in (("", 1596213967.0), ('"time":"2020-07-31T16:46:09Z",', 1596213969.0)):
        hit = parse(f"2020-07-31T16:46:07+00:00\tnginx.access\t{{{own}{record}")
        assert hit is not None
        assert hit[:6] == (wanted, "203.0.113.9", "curl", "GET /a", "GET", 206)


def test_a_client_in_quotes_is_that_client() -> None:
    quoted = LINE.replace("203.0.113.9", '"203.0.113.9"', 1)
    parse = FORMATS["combined"].make_parser((), FormatOptions())
    assert parse(quoted) == parse(LINE)


@given(
    st.dictionaries(
        st.sampled_from(["_source", "event", "line", "message", "log"]),
        st.recursive(st.text(), lambda x: st.dictionaries(st.text(), x)),
        max_size=4,
    )
)
def test_no_object_makes_a_parser_raise(record: dict[str, Any]) -> None:
    for name in ("json", "combined", "ltsv"):
        try:
            FORMATS[name].make_parser((), FormatOptions())(json.dumps({**record, "timestamp": "x"}))
        except BadLine:
            continue


@pytest.mark.parametrize(
    "head",
    [
        "/var/log/nginx/access.log:",
        "access.log.2.gz:12:",
        "12:",
        "@4000000065a1b2c3d4e5f6a7 ",
        "2020-07-31 16:46:07.123456789  ",
        '2020-07-31T16:46:07Z\t{job="nginx"}\t',
    ],
)
def test_what_grep_and_supervisors_write_before_a_line_is_passed_over(head: str) -> None:
    parse = FORMATS["combined"].make_parser((), FormatOptions())
    assert parse(head + LINE) == parse(LINE)


def test_a_number_before_an_ipv6_address_is_not_taken_off() -> None:
    line = LINE.replace("203.0.113.9", "2001:db8::7", 1)
    hit = FORMATS["combined"].make_parser((), FormatOptions())(line)
    assert hit is not None and hit[1] == "2001:db8::7"
    with pytest.raises(BadLine, match="bad_c"):
        FORMATS["combined"].make_parser((), FormatOptions())(f"access.log:{line}")


def test_quotes_around_a_whole_line_are_none_of_its_columns() -> None:
    line = LINE.removesuffix(' "bytes 0-499/1000" "OK"')
    parse = FORMATS["combined"].make_parser((), FormatOptions())
    assert parse(f'"{line}"') == parse(line)


JSON_LINE = (
    '{"time":"2020-07-31T16:46:07Z","client_ip":"203.0.113.9","method":"GET","path":"/a","status":206,"bytes_sent":5}'
)
UNKNOWN_HEADS = [
    "2020-07-31T16:46:07Z app[e784e903] fra [info]",
    "   2020-07-31T16:46:07.12+0000 [APP/PROC/WEB/0] OUT ",
    "films-group web/nginx/0123abc 2020-07-31T16:46:07.123Z ",
    "local7.info Jul 31 16:46:07 web1 nginx: ",
    "Jul 31 16:46:07 10.0.0.7 nginx ",
    "2020-07-31 16:46:07,123 INFO  [exec-1] access - ",
    "films.example.com|||",
    "\x1b[2m2020-07-31T16:46:07Z\x1b[0m [\x1b[34minfo\x1b[0m] ",
]


@together("head", UNKNOWN_HEADS)
def test_a_line_that_is_told_by_its_beginning_is_read_behind_any_loggers_head(head: str) -> None:
    for name, line in (
        ("combined", LINE),
        ("combined", LINE.replace("203.0.113.9", "2001:db8::7")),
        ("json", JSON_LINE),
    ):
        parse = FORMATS[name].make_parser((), FormatOptions(heads="any"))
        assert parse(head + line) == parse(line)


@pytest.mark.parametrize(
    "before",
    [
        "198.51.100.7 went to ",  # the client may be the first
        "198.51.100.7, ",
        '2020-07-31T16:46:07Z "quoted" ',
        "two words ",
        '198.51.100.8 - - [31/Jul/2020:16:46:07 +0000] "GET / ',
        "x" * 600 + ": ",
    ],
)
def test_what_could_be_more_than_a_loggers_head_is_not_passed_over(before: str) -> None:
    found = without_prefix(before + LINE)
    assert found is None or not found.startswith("203.0.113.9 ")


def test_the_request_inside_of_an_object_is_read_with_the_time_around_it() -> None:
    parse = FORMATS["json"].make_parser((), FormatOptions())
    inner = json.loads(JSON_LINE)
    time = inner.pop("time")
    for keys in (["nginx"], ["http"], ["request"], ["jsonPayload"], ["nginx", "access"], ["attributes"]):
        record: Any = inner
        for key in reversed(keys):
            record = {key: record}
        assert parse(json.dumps({"@timestamp": time, "host": "web1", **record})) == parse(JSON_LINE)


def test_an_object_inside_without_a_status_or_a_client_of_its_own_is_no_request() -> None:
    for missing in ("status", "client_ip", "path"):
        inner = {name: value for name, value in json.loads(JSON_LINE).items() if name != missing}
        assert without_prefix(json.dumps({"time": "2020-07-31T16:46:07Z", "level": "error", "context": inner})) is None


def test_of_two_lines_in_one_object_none_is_read() -> None:
    assert without_prefix(json.dumps({"time": "2020-07-31T16:46:07Z", "before": LINE, "after": LINE})) is None


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=30), max_size=3),
    st.integers(0, 3),
)
def test_a_line_in_a_column_of_csv_is_that_line(others: list[str], place: int) -> None:
    columns = [other.replace('"', "") for other in others]
    columns.insert(place, LINE)
    row = ",".join('"{}"'.format(column.replace('"', '""')) for column in (*columns, "web1"))
    assert without_prefix(row) == LINE


def test_a_line_in_a_pair_of_logfmt_is_that_line() -> None:
    assert without_prefix(f'time="2020-07-31T16:46:07Z" level=info msg={json.dumps(LINE)}') == LINE


FORGED = LINE.replace("curl/8.5.0", "x")


@pytest.mark.parametrize(
    "logged",
    [
        json.dumps({"level": "info", "ts": 1596213967.0, "msg": "served", "user_agent": FORGED}),
        json.dumps({"level": "info", "ts": 1596213967.0, "http": {"request": {"headers": {"user-agent": [FORGED]}}}}),
        json.dumps({"time": "a", "attributes": [{"key": "user_agent", "value": {"stringValue": FORGED}}]}),
        f"level=info msg=served user_agent={json.dumps(FORGED)}",
    ],
)
def test_what_a_client_sends_as_its_agent_never_passes_for_a_line(logged: str) -> None:
    assert without_prefix(logged) in (None, "served")
    with pytest.raises(BadLine):
        FORMATS["combined"].make_parser((), FormatOptions())(logged)


@pytest.mark.parametrize("key", ["body", "request_body", "queryParams", "payload", "headers", "formData"])
def test_an_object_that_a_client_sends_never_passes_for_a_request(key: str) -> None:
    sent = {
        "ip": "203.0.113.9",
        "status": 200,
        "path": "/a",
        "size": 500,
        "method": "GET",
        "time": "2020-07-31T16:46:07Z",
    }
    logged = {"level": "info", "ts": 1596213967.0, "msg": "posted"}
    assert without_prefix(json.dumps(logged | {key: sent})) in (None, "posted")
    assert without_prefix(json.dumps(logged | {"http": {key: sent}})) in (None, "posted")
    assert without_prefix(json.dumps(logged | {"http": sent})) not in (None, "posted")


def test_columns_in_quotes_before_the_time_are_those_columns() -> None:
    parse = FORMATS["combined"].make_parser((), FormatOptions())
    for before in ('203.0.113.9 "-" "-"', '"203.0.113.9" "-" "-"', '203.0.113.9 - "-"'):
        assert parse(LINE.replace("203.0.113.9 - -", before, 1)) == parse(LINE)
    quoted = LINE.replace("203.0.113.9 - -", '"films.example.com" 203.0.113.9 - -', 1)
    assert parse(quoted) == parse(LINE.replace("203.0.113.9 - -", "films.example.com 203.0.113.9 - -", 1))
