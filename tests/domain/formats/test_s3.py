"""The first six lines are the examples of Amazon's description of the format, older and newer editions; the bucket's owner
and its request ids are theirs. The description has no example of a download, so those lines follow its table of fields."""

from __future__ import annotations

import pytest

from app.domain.records import Parsed
from tests.domain.formats.reading import hit, read, reject
from tests.together import together

OWNER = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
NEWER = (
    " s9lzHYrFp76ZVxRcpX9+5cjAnEH2ROuNkd2BHfIa6UkFVdtjf5mKR3/eTPFvsiP/XV/VLi31234= SigV2 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader"
    " awsexamplebucket1.s3.us-west-1.amazonaws.com TLSV1.1"
)
CONSOLE = "S3Console/0.4"
T2014, T2019 = 1391644800.0, 1549411200.0  # 6 February of each year


def s3(
    what: str,
    bucket: str = "mybucket",
    clock: str = "06/Feb/2014:00:00:38",
    ip: str = "192.0.2.3",
    requester: str = OWNER,
) -> str:
    return f"{OWNER} {bucket} [{clock} +0000] {ip} {requester} {what}"


def download(
    status: str = "206", sent: str = "290", size: str = "579", tail: str = '"-" "curl/7.15.1" -', ip: str = "192.0.2.3"
) -> str:
    return s3(
        f'3E57427F3 REST.GET.OBJECT 1.mp4 "GET /b/1.mp4?x=1 HTTP/1.1" {status} - {sent} {size} 70 10 {tail}', ip=ip
    )


@together(
    ("line", "expected"),
    [
        (
            s3('3E57427F3EXAMPLE REST.GET.VERSIONING - "GET /mybucket?versioning HTTP/1.1" 200 - 113 - 7 - "-" "S3Console/0.4" -'),
            hit(T2014 + 38, "192.0.2.3", CONSOLE, "GET /mybucket?versioning", "GET", 200, bytes_sent=113),
        ),
        (
            s3('891CE47D2EXAMPLE REST.GET.LOGGING_STATUS - "GET /mybucket?logging HTTP/1.1" 200 - 242 - 11 - "-" "S3Console/0.4" -'),
            hit(T2014 + 38, "192.0.2.3", CONSOLE, "GET /mybucket?logging", "GET", 200, bytes_sent=242),
        ),
        (
            s3(
                "A1206F460EXAMPLE REST.GET.BUCKETPOLICY -"
                ' "GET /mybucket?policy HTTP/1.1" 404 NoSuchBucketPolicy 297 - 38 - "-" "S3Console/0.4" -'
            ),
            hit(T2014 + 38, "192.0.2.3", CONSOLE, "GET /mybucket?policy", "GET", 404, bytes_sent=297),
        ),
        (
            s3(
                'DD6CC733AEXAMPLE REST.PUT.OBJECT s3-dg.pdf "PUT /mybucket/s3-dg.pdf HTTP/1.1" 200 - - 4406583 41754 28 "-" "S3Console/0.4" -',
                clock="06/Feb/2014:00:01:57",
            ),
            hit(T2014 + 117, "192.0.2.3", CONSOLE, "PUT /mybucket/s3-dg.pdf", "PUT", 200, total_bytes=4406583),
        ),
        (
            s3(
                '3E57427F3EXAMPLE REST.GET.VERSIONING - "GET /awsexamplebucket1?versioning HTTP/1.1" 200 - 113 - 7 - "-" "S3Console/0.4" -'
                + NEWER,
                "awsexamplebucket1",
                "06/Feb/2019:00:00:38",
            ),
            hit(T2019 + 38, "192.0.2.3", CONSOLE, "GET /awsexamplebucket1?versioning", "GET", 200, bytes_sent=113),
        ),
        (
            s3(
                '7B4A0FABBEXAMPLE REST.GET.VERSIONING - "GET /awsexamplebucket1?versioning HTTP/1.1" 200 - 113 - 33 - "-" "S3Console/0.4" -'
                + NEWER + " arn:aws:s3:us-west-1:123456789012:accesspoint/example-AP Yes",
                "awsexamplebucket1",
                "06/Feb/2019:00:01:00",
            ),
            hit(T2019 + 60, "192.0.2.3", CONSOLE, "GET /awsexamplebucket1?versioning", "GET", 200, bytes_sent=113),
        ),
        (download(), hit(T2014 + 38, "192.0.2.3", "curl/7.15.1", "GET /b/1.mp4?x=1", "GET", 206, None, None, 290, 579)),
        (
            s3('5A REST.DELETE.OBJECT a - 204 - - 12 5 - - - -', ip="-", requester="-"),
            hit(T2014 + 38, None, "-", "-", None, 204, total_bytes=12),
        ),
    ],
)  # fmt: skip
def test_lines_read_in_all_fields(line: str, expected: Parsed) -> None:
    assert read("s3", line) == expected


@pytest.mark.parametrize(
    ("tail", "agent"),
    [
        ('"http://a/" "curl/8"', "curl/8"),
        ('- "curl/8" - x y', "curl/8"),
        ('"-" - -', "-"),
        ('"http://a/" "say "hi" twice" -', 'say "hi" twice'),
        ('"-" "" -', ""),
    ],
)
def test_referer_and_agent_may_be_absent_or_hold_quotes(tail: str, agent: str) -> None:
    assert read("s3", download(tail=tail)).user_agent == agent


@together(
    ("line", "reason"),
    [
        (download(status="20"), "bad_status"),
        (download(sent="many"), "bad_columns"),
        (download(size="9" * 5000), "bad_range"),
        (download().replace("06/Feb", "31/Feb"), "bad_time"),
        (download().replace("[06/Feb/2014:00:00:38 +0000] ", ""), "bad_time"),
        (download(tail=""), "bad_columns"),
        (download(tail='"-"'), "bad_columns"),
        (download()[:120], "bad_columns"),
        ("", "bad_columns"),
    ],
)
def test_other_lines_are_rejected_with_their_reason(line: str, reason: str) -> None:
    assert reject("s3", line) == reason


def test_quotes_in_an_address_are_read_up_to_the_status() -> None:
    line = download().replace("/b/1.mp4?x=1", '/"a')
    assert read("s3", line)[2:10] == ("curl/7.15.1", 'GET /"a', "GET", 206, None, None, 290, 579)
    assert read("s3", line.replace("GET /", 'GET /"x" 200 y')).status == 206


def test_doubled_blanks_part_columns_too() -> None:
    assert read("s3", download().replace(" 206 ", "  206  ").replace("] ", "]  ")) == read("s3", download())
