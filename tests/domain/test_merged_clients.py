"""What can make a log say that all was sent though one client has less: told where a line tells it, and else not counted."""

from __future__ import annotations

import pytest

from app.domain.formats import FormatOptions, get
from app.domain.records import Delivery, HitFlag, Parsed
from tests.domain.hits import delivery_of, hit

SIZE = 5_000_000


def verdict(*hits: Parsed, size: int | None = None) -> tuple[str, str | None]:
    found: Delivery = delivery_of(*hits, size=size)
    return found.verdict, found.reason


def ranged(lo: int, hi: int, sent: int | None = None, total: int | None = SIZE, flags: int = 0) -> Parsed:
    return hit(lo, hi, sent=hi - lo + 1 if sent is None else sent, total=total, flags=flags)


def test_ranges_of_two_versions_of_a_file_make_none_whole() -> None:
    """The second request had If-Range with the old validator, or none."""
    assert verdict(ranged(0, 2_999_999), ranged(3_000_000, SIZE, total=SIZE + 1)) == ("unknown", "size_changed")
    assert verdict(ranged(0, 2_999_999), hit(status=200, sent=SIZE, total=SIZE + 1)) == ("unknown", "size_changed")


def test_a_line_that_stands_in_two_logs_adds_nothing() -> None:
    half = ranged(0, 2_499_999)
    assert verdict(half, half, half) == ("partial", "end_missing")
    counted = hit(sent=SIZE // 2, total=None)
    assert verdict(counted, counted, size=SIZE) == ("unknown", "no_offsets")


def test_a_client_that_tries_again_and_again_from_the_start_has_no_more_than_the_longest_try() -> None:
    tries = [hit(status=200, sent=sent, total=SIZE) for sent in (1_000_000, 4_000_000, 2_000_000)]
    assert verdict(*tries) == ("partial", "cut_off")


@pytest.mark.parametrize("flags", [0, HitFlag.ENDED, HitFlag.ANNOUNCED])
def test_a_range_that_its_own_line_refutes_is_none(flags: int) -> None:
    assert verdict(ranged(0, SIZE + 9, flags=flags))[0] == "unknown"


@pytest.mark.parametrize(
    "line",
    [
        '203.0.113.9 - - [29/Nov/2026:18:00:00 +0000] "HEAD /f HTTP/1.1" 200 0 "-" "a" "-" "OK"',
        '203.0.113.9 - - [29/Nov/2026:18:00:00 +0000] "GET /f HTTP/1.1" 304 0 "-" "a" "-" "OK"',
        '203.0.113.9 - - [29/Nov/2026:18:00:00 +0000] "GET /f HTTP/1.1" 302 154 "-" "a" "-" "OK"',
        '203.0.113.9 - - [29/Nov/2026:18:00:00 +0000] "GET /f HTTP/1.1" 416 0 "-" "a" "bytes */5000000" "OK"',
        '203.0.113.9 - - [29/Nov/2026:18:00:00 +0000] "GET /f HTTP/1.1" 499 0 "-" "a" "-" ""',
    ],
)
def test_what_carries_no_bytes_of_the_file_never_counts(line: str) -> None:
    parsed = Parsed._make(get("combined_range").make_parser((), FormatOptions())(line) or ())
    assert delivery_of(ranged(0, 99)).hits == delivery_of(ranged(0, 99), parsed).hits == 1


@pytest.mark.parametrize("name", ["code", "answer_status", "responseCode"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_refused_request_is_no_download_whatever_its_status_is_called(name: str, nested: bool) -> None:
    status = f'"{name}": 403'
    said = f'"answer": {{{status}}}' if nested else status
    line = f'{{"time": "2026-11-29T18:00:00Z", "client_ip": "203.0.113.9", "method": "GET", "path": "/f", "size": 9, "content_length": 9, {said}}}'
    parsed = Parsed._make(get("json").make_parser((), FormatOptions())(line) or ())
    assert parsed.status == 403
