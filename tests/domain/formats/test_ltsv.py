"""Labelled tab-separated values: the labels of ltsv.org, and those of JSON."""

from __future__ import annotations

import pytest

from app.domain.formats import FormatOptions
from app.domain.records import HitFlag
from tests.domain.formats.reading import read, reject

LABELS = "host:203.0.113.9\ttime:[31/Jul/2020:16:46:07 +0000]\treq:GET /a:b?x=1 HTTP/1.1\tstatus:206\tsize:500\tua:curl/8.5.0"
PLAIN = (1596213967.0, "203.0.113.9", "curl/8.5.0", "GET /a:b?x=1", "GET", 206, None, None, 500, None, 0)


def test_the_labels_may_stand_in_any_order_and_values_may_hold_colons() -> None:
    assert read("ltsv", LABELS)[:11] == PLAIN
    assert read("ltsv", "\t".join(reversed(LABELS.split("\t"))))[:11] == PLAIN


def test_labels_of_json_prove_a_range_and_its_end() -> None:
    found = read("ltsv", f"{LABELS}\tcontent_range:bytes 0-499/1000\tended:OK")
    assert (found.lo, found.hi, found.total_bytes, found.flags) == (0, 499, 1000, int(HitFlag.ENDED))


def test_method_and_uri_make_a_request_and_a_trusted_proxy_passes_its_client_on() -> None:
    line = "time:2020-07-31T16:46:07Z\thost:10.0.0.1\tforwardedfor:203.0.113.7\tmethod:GET\turi:/a\tprotocol:HTTP/2.0\tstatus:200\tsize:5"
    found = read("ltsv", line)
    assert (found.ip_address, found.request, found.flags) == ("203.0.113.7", "GET /a", int(HitFlag.HTTP2))


def test_what_the_size_counts_is_told_by_the_setting() -> None:
    assert read("ltsv", LABELS, options=FormatOptions(bytes="announced")).flags == int(HitFlag.ANNOUNCED)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "host:203.0.113.9",
        "a\tb\tc\td\te",
        f"{LABELS}\tno label",
        f"Dec 23 of 2020 {LABELS}",
        LABELS.replace("\t", " "),
    ],
)
def test_lines_of_another_form_are_rejected(line: str) -> None:
    assert reject("ltsv", line) == "bad_columns"


def test_a_head_of_syslog_is_passed_over() -> None:
    assert read("ltsv", f"<190>Dec 23 15:31:15 web1 httpd: {LABELS}")[:11] == PLAIN
