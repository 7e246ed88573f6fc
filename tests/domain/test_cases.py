"""Lines of real servers with the truth of the client: what the domain makes of them, with the kind of the byte column named."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from app.domain import byteranges, formats
from app.domain.deliveries import describe
from app.domain.formats import FormatOptions, LineParser
from app.domain.parts import part_of
from app.domain.proof import Proof
from app.domain.records import Delivery, HitFlag
from app.domain.tallies import Tally
from tests.together import together

CASES = Path(__file__).parents[1] / "data" / "cases" / "real_servers.jsonl"
MORE = CASES.with_name("servers_more.jsonl")
KINDS = {"body": HitFlag(0), "with-headers": HitFlag.HEADERS_COUNTED, "announced": HitFlag.ANNOUNCED}
USUAL, STRICT = Proof(), Proof(strict=True)


class Case(NamedTuple):
    """One client and one file."""

    name: str
    size: int
    whole: bool
    received: byteranges.Ranges
    hits: list[tuple[Any, ...]]
    """In the order of Parsed: those of the file alone."""

    def judged(self, size: int | None, proof: Proof = USUAL) -> Delivery:
        tally = Tally(0.0)
        for number, one in enumerate(self.hits):
            part = part_of(one, number)
            if part is not None:
                tally.add(part)
        return describe(self.hits[0][1:4], tally, size, proof=proof)

    def broke(self, one: tuple[Any, ...]) -> bool:
        """Whether a line says so: the server saw it, or fewer bytes were sent than announced."""
        lo, hi, sent, flags = one[6], one[7], one[8] or 0, one[10]
        length = self.size if lo is None else hi - lo + 1
        return bool(flags & HitFlag.ABORTED) or sent < length + bool(flags & HitFlag.HEADERS_COUNTED)

    @property
    def says_that_it_broke(self) -> bool:
        """Whether a line of it does."""
        return any(map(self.broke, self.hits))

    def without_broken(self) -> Case:
        """Of the lines that say that all was sent."""
        return self._replace(hits=[one for one in self.hits if not self.broke(one)])


@cache
def parser_of(name: str, options: FormatOptions) -> LineParser:
    return formats.get(name).make_parser((), options)


def read(row: dict[str, Any], options: FormatOptions = FormatOptions()) -> Case:
    parse = parser_of(row["format"], options)
    hits = []
    for line in row["lines"]:
        text = line if isinstance(line, str) else json.dumps(line)
        hit = parse(text)
        if hit is None or hit[3] is None or re.search(r"/(page\.html|favicon\.ico)", hit[3]):
            continue
        flags = KINDS[row["byte_column"]] | (HitFlag.HTTP2 if "HTTP/2" in text else 0)
        # signed URLs are one file; the key is none of these rules
        hits.append((*hit[:3], hit[3].partition("?")[0], *hit[4:10], hit[10] | int(flags)))
    name = f"{row['server']} {row['byte_column']} {row['case']}"
    received = byteranges.normalise((lo, hi) for lo, hi in row["received"])
    return Case(name, row["size"], row["whole"], received, hits)


ALL = [read(json.loads(line)) for line in CASES.read_text().splitlines()]
each_case = together("case", ALL, ids=lambda case: case.name)
each_size = together("sized", [True, False], ids=["size known", "size from the log"])


def size_of(case: Case, sized: bool) -> int | None:
    return case.size if sized else None


@each_size
@each_case
def test_what_is_whole_is_never_partial(case: Case, sized: bool) -> None:
    if case.whole:
        assert case.judged(size_of(case, sized)).verdict != "partial"


@each_size
@each_case
def test_what_is_cut_is_complete_only_if_its_lines_say_that_all_was_sent(case: Case, sized: bool) -> None:
    if not case.whole:
        found = case.judged(size_of(case, sized))
        strict = case.judged(size_of(case, sized), STRICT)
        if case.says_that_it_broke:
            assert (found.verdict, found.evidence) != ("complete", "ranges")
            assert strict.verdict != "complete"


@each_size
@each_case
def test_no_byte_that_arrived_is_missing_and_none_that_did_not_is_sure(case: Case, sized: bool) -> None:
    found = case.judged(size_of(case, sized))
    ranges, missing = (byteranges.normalise((lo, hi) for lo, hi in some) for some in (found.ranges, found.missing))
    assert not byteranges.intersect(missing, case.received)
    if case.says_that_it_broke or not case.whole:
        beyond = byteranges.covered(ranges) - byteranges.covered(byteranges.intersect(ranges, case.received))
        assert beyond == 0 or (found.verdict == "complete" and not case.says_that_it_broke)


def test_what_is_whole_is_complete_wherever_the_log_can_tell() -> None:
    told = [case for case in ALL if case.whole and not re.search(r" announced |^apache_tls| gzip", case.name)]
    complete = [case for case in told if case.judged(case.size).verdict == "complete"]
    assert len(told) == 30
    assert [case.name for case in told if case not in complete] == []


@together(
    ("name", "expected"),
    [
        ("nginx body curl-200-mid", ("complete", None, "ranges")),
        ("nginx body curl-200-empty", ("complete", None, "ranges")),
        ("nginx body cut-200", ("partial", "cut_off", "ranges")),
        ("nginx body resume-200", ("complete", None, "resumed")),
        ("nginx body chrome-seek", ("complete", None, "resumed")),
        ("nginx body cut-then-whole", ("complete", None, "ranges")),
        ("nginx body gzip", ("unknown", "encoded", "bytes")),
        ("caddy body gzip-range", ("unknown", "encoded", "bytes")),
        ("nginx body pieces-hole", ("partial", "end_missing", "ranges")),
        ("nginx body multi-part", ("partial", "not_enough_bytes", "bytes")),
        ("apache announced cut-206", ("unknown", "announced", "ranges")),
        ("apache announced curl-200-empty", ("complete", None, "ranges")),
        ("apache with-headers cut-206", ("partial", "cut_off", "ranges")),
        ("apache with-headers curl-200-empty", ("complete", None, "ranges")),
        ("apache_tls with-headers h2-lack-4000-big.bin", ("unknown", "announced", "ranges")),
    ],
)
def test_some_cases_by_name(name: str, expected: tuple[str, str | None, str]) -> None:
    (case,) = [case for case in ALL if case.name == name]
    found = case.judged(case.size)
    assert (found.verdict, found.reason, found.evidence) == expected


@pytest.mark.long
def test_of_many_more_set_ups_nothing_whole_is_partial_and_nothing_cut_is_whole_unless_its_lines_say_that_all_was_sent() -> (
    None
):
    """servers_more.jsonl, by the options that each row names, with the size known and not."""
    wrong = []
    for row in map(json.loads, MORE.read_text().splitlines()):
        options = dict(zip(row["options"][::2], row["options"][1::2], strict=True))
        name = options.get("--log-format", row["format"])
        case = read({**row, "format": name}, FormatOptions(bytes=row["byte_column"]))
        if row["encoded"] or not case.hits:
            continue
        for size in (None, case.size):
            found = case.judged(size)
            if case.whole:
                is_wrong = found.verdict == "partial"
            else:
                sent = case.without_broken()
                is_lost_in_buffers = bool(sent.hits) and sent.judged(size).verdict == "complete"
                is_wrong = (found.verdict, found.evidence) == ("complete", "ranges") and not is_lost_in_buffers
            if is_wrong:
                wrong.append((case.name, size, found.verdict, found.reason, found.evidence))
    assert wrong == []
