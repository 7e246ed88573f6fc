"""cdn_tsv has no vendor's page: the lines are those of this system's worked example, ten of 24 August (eight pictures of 85,251
bytes together, a script of 150 and a style sheet of 10)."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.formats import FORMATS, FormatOptions
from tests.domain.formats.reading import hit, read, reject
from tests.together import together

HEAD = "# date\ttime\tsize\turl"
SIZES = [10451, 11000, 9800, 12000, 10000, 11500, 9500, 11000]
LINES = [
    f"24/08/2020\t10:00:0{at}\t{size}\thttp://cdn.example.com/images/{at}.jpg" for at, size in enumerate(SIZES)
] + [
    "24/08/2020\t10:00:08\t150\thttp://cdn.example.com/main.js",
    "24/08/2020\t10:00:09\t10\thttp://cdn.example.com/style.css",
]


@pytest.mark.parametrize("head", [(), (HEAD,)])
def test_the_worked_example_reads_in_all_fields_with_heads_or_without(head: tuple[Any, ...]) -> None:
    assert sum(SIZES) == 85_251
    for at, line in enumerate(LINES):
        url, size = line.split("\t")[3], int(line.split("\t")[2])
        assert read("cdn_tsv", line, head) == hit(1598263200.0 + at, None, None, url, None, 200, bytes_sent=size)


def test_heads_name_the_columns_in_any_order_and_may_change_on_the_way() -> None:
    parse = FORMATS["cdn_tsv"].make_parser((), FormatOptions())
    assert parse("# date\turl\tpop\ttime\tsize") is None
    assert parse("24/08/2020\t/a\tFRA\t10:00:00\t5") == (
        1598263200.0,
        None,
        None,
        "/a",
        None,
        200,
        None,
        None,
        5,
        None,
        0,
        {},
    )
    assert parse("# a remark") is None
    assert parse("24/08/2020\t/b\tFRA\t10:00:00\t-") == (
        1598263200.0,
        None,
        None,
        "/b",
        None,
        200,
        None,
        None,
        None,
        None,
        0,
        {},
    )
    assert parse(HEAD) is None
    assert parse("24/08/2020\t10:00:00\t7\t/c") == (
        1598263200.0,
        None,
        None,
        "/c",
        None,
        200,
        None,
        None,
        7,
        None,
        0,
        {},
    )


@together(
    ("line", "reason"),
    [
        ("", "bad_columns"),
        ("24/08/2020\t10:00:00\t5", "bad_columns"),
        ("24/08/2020\t10:00:00\tlarge\t/a", "bad_columns"),
        ("24/08/2020\t10:00:00\t-5\t/a", "bad_columns"),
        ("24/08/2020\t10:00:00\t" + "9" * 5000 + "\t/a", "bad_range"),
        ("08/24/2020\t10:00:00\t5\t/a", "bad_time"),
        ("2020-08-24\t10:00:00\t5\t/a", "bad_time"),
        ("24/08/2020\t\t5\t/a", "bad_time"),
    ],
)
def test_other_lines_are_rejected_with_their_reason(line: str, reason: str) -> None:
    assert reject("cdn_tsv", line) == reason
