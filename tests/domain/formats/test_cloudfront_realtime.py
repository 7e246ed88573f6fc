"""Amazon's description of real-time logs has no example line: these are made from its list of fields."""

from __future__ import annotations

import pytest

from app.domain.formats import FORMATS, FormatOptions
from app.domain.formats.cloudfront_realtime import FIELDS
from app.domain.records import Parsed
from tests.domain.formats.reading import hit, read, reject


def columns(**changes: str) -> str:
    values = dict.fromkeys(FIELDS, "-")
    values.update(
        {
            "timestamp": "1607374508.059", "c-ip": "192.0.2.7", "sc-status": "206", "sc-bytes": "732", "cs-method": "GET",
            "cs-uri-stem": "/a.mp4?v=2", "cs-uri-query": "v=2", "cs-user-agent": "My%20Player", "sc-content-len": "290",
            "sc-range-start": "0", "sc-range-end": "289", "x-edge-result-type": "Hit", "x-edge-response-result-type": "Hit",
            "x-edge-detailed-result-type": "Hit",
        }
    )  # fmt: skip
    values.update({name.replace("_", "-"): value for name, value in changes.items()})
    return "\t".join(values.values())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, hit(1607374508.059, "192.0.2.7", "My Player", "GET /a.mp4?v=2", "GET", 206, 0, 289, 732, None, 1)),
        (
            {"sc_status": "200", "sc_range_start": "-", "sc_range_end": "-", "cs_user_agent": "-"},
            hit(1607374508.059, "192.0.2.7", "-", "GET /a.mp4?v=2", "GET", 200, None, None, 732, 290, 1),
        ),
        (
            {"sc_status": "000", "x_edge_result_type": "Error", "x_edge_detailed_result_type": "ClientCommError"},
            hit(1607374508.059, "192.0.2.7", "My Player", "GET /a.mp4?v=2", "GET", 0, 0, 289, 732, None, 3),
        ),
        (
            {"c_ip": "2001:db8::7", "cs_method": "HEAD", "timestamp": "1607374508"},
            hit(1607374508.0, "2001:db8::7", "My Player", "HEAD /a.mp4?v=2", "HEAD", 206, 0, 289, 732, None, 1),
        ),
        (
            {"sc_bytes": "-", "sc_range_start": str(10**30), "sc_range_end": str(10**31)},
            hit(1607374508.059, "192.0.2.7", "My Player", "GET /a.mp4?v=2", "GET", 206, 10**30, 10**31, None, None, 8),
        ),
    ],
)
def test_lines_of_the_documented_order_read_in_all_fields(change: dict[str, str], expected: Parsed) -> None:
    assert read("cloudfront_realtime", columns(**change)) == expected


def test_columns_added_behind_the_documented_ones_are_passed_over() -> None:
    assert read("cloudfront_realtime", columns() + "\tx\ty") == read("cloudfront_realtime", columns())


def test_a_setting_lists_the_columns() -> None:
    options = FormatOptions(realtime_fields="timestamp, c-ip,sc-status,cs-method,cs-uri-stem")
    expected = hit(1607374508.5, "192.0.2.7", "-", "GET /a", "GET", 206)
    assert read("cloudfront_realtime", "1607374508.5\t192.0.2.7\t206\tGET\t/a", (), options) == expected
    assert reject("cloudfront_realtime", columns(), (), options) == "bad_columns"


def test_columns_without_a_time_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="no timestamp: 'c-ip'"):
        FORMATS["cloudfront_realtime"].make_parser((), FormatOptions(realtime_fields="c-ip"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "bad_columns"),
        (columns()[:40], "bad_columns"),
        (columns(timestamp="soon"), "bad_time"),
        (columns(timestamp="1e99"), "bad_time"),
        (columns(timestamp="-5"), "bad_time"),
        (columns(sc_status="-"), "bad_status"),
    ],
)
def test_other_lines_are_rejected_with_their_reason(line: str, reason: str) -> None:
    assert reject("cloudfront_realtime", line) == reason
