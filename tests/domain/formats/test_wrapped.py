"""Lines inside of the objects that shippers and stores write around them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.formats import FORMATS, BadLine, FormatOptions, detect
from app.domain.formats.prefixes import without_prefix

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


@pytest.mark.parametrize("writer", WRAPPED)
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
