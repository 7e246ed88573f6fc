"""What a line proves: each row of the table, and the verdicts against an oracle of sets."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.domain import deliveries
from app.domain.proof import (
    HEADER_ALLOWANCE_BYTES,
    IN_FLIGHT_BYTES,
    ROWS,
    Measure,
    Proof,
    may_be_compressed,
    most_sent,
    row_of,
)
from app.domain.records import Delivery, HitFlag, Parsed
from tests.domain.hits import FLAGS, delivery_of, hit
from tests.properties import examples
from tests.together import together

ABORTED, ENDED, ANNOUNCED, HTTP2 = HitFlag.ABORTED, HitFlag.ENDED, HitFlag.ANNOUNCED, HitFlag.HTTP2
WITH_HEADERS, ENCODED, MULTIPART, PLAIN = HitFlag.HEADERS_COUNTED, HitFlag.ENCODED, HitFlag.PLACELESS, HitFlag.PLAIN
UNSIZED = HitFlag.UNSIZED
PAGE = "GET /a.html"
DOCS = Path(__file__).parents[2] / "docs" / "explanation" / "deliveries.md"

Said = tuple[str, str | None, str, list[list[int]], list[list[int]]]
"""Verdict, reason, evidence, ranges, missing."""


def said(found: Delivery) -> Said:
    return found.verdict, found.reason, found.evidence, found.ranges, found.missing


WHOLE: Said = ("complete", None, "ranges", [[0, 99]], [])
WHOLE_OF_1000: Said = ("complete", None, "ranges", [[0, 999]], [])


def broken(missing: list[list[int]]) -> Said:
    return "partial", "cut_off", "ranges", [], missing


def not_told(reason: str, evidence: str = "ranges") -> Said:
    return "unknown", reason, evidence, [], []


def ranged(sent: int | None = None, flags: int = 0, request: str = "GET /a") -> Parsed:
    """A 206 that announces 100 bytes of 100."""
    return hit(0, 99, sent=sent, total=100, flags=flags, request=request)


def start(sent: int | None = None, flags: int = 0, request: str = "GET /a", total: int | None = 100) -> Parsed:
    """A 200 of a file of 100 bytes."""
    return hit(sent=sent, total=total, status=200, flags=flags, request=request)


EXAMPLES: dict[str, list[tuple[Parsed, Said]]] = {
    "several ranges": [
        (hit(sent=40, total=100, flags=MULTIPART), ("partial", "not_enough_bytes", "bytes", [], [])),
        (hit(sent=140, total=100, flags=MULTIPART), not_told("no_offsets", "bytes")),
        (hit(sent=40, total=100), ("partial", "not_enough_bytes", "bytes", [], [])),
        (hit(0, 499, sent=500, total=100), not_told("size_unknown", "bytes")),
        (hit(0, 99, total=99), not_told("size_unknown", "bytes")),
        (hit(sent=40, total=100, request=PAGE), not_told("encoded", "bytes")),
        (hit(sent=40, total=100, request=PAGE, flags=PLAIN), ("partial", "not_enough_bytes", "bytes", [], [])),
    ],
    "encoded": [
        (ranged(40, ENCODED), not_told("encoded", "bytes")),
        (ranged(100, ENCODED | ENDED), not_told("encoded", "bytes")),
        (start(100, ENCODED), not_told("encoded", "bytes")),
    ],
    "perhaps encoded": [
        (ranged(40, request=PAGE), not_told("encoded", "bytes")),
        (ranged(40, ENDED, PAGE), not_told("encoded", "bytes")),
        (ranged(100, request=PAGE), WHOLE),
        (ranged(40, PLAIN, PAGE), broken([[40, 99]])),
        (start(40, request=PAGE), not_told("encoded", "bytes")),
        (start(40, ABORTED, PAGE), not_told("encoded", "bytes")),
        (start(40, ENDED, PAGE), not_told("encoded", "bytes")),
        (start(100, request=PAGE), WHOLE),
        (start(40, PLAIN, PAGE), broken([[40, 99]])),
    ],
    "ended, of no length": [
        (start(100, ENDED | UNSIZED), not_told("announced")),
        (start(130, ENDED | UNSIZED), not_told("announced")),
        (start(None, ENDED | UNSIZED), not_told("announced")),
        (start(40, ENDED | UNSIZED), not_told("announced")),
    ],
    "ended early": [
        (ranged(40, ENDED), not_told("ended_early", "bytes")),
        (ranged(40, ENDED | PLAIN, PAGE), not_told("ended_early", "bytes")),
        (ranged(40, ENDED | ANNOUNCED), not_told("ended_early", "bytes")),
        (ranged(100, ENDED | WITH_HEADERS), not_told("ended_early", "bytes")),
        (start(40, ENDED), not_told("ended_early", "bytes")),
        (start(0, ENDED), not_told("ended_early", "bytes")),
        (start(40, ENDED | PLAIN, PAGE), not_told("ended_early", "bytes")),
        (start(100, ENDED | WITH_HEADERS), not_told("ended_early", "bytes")),
    ],
    "ended": [
        (ranged(100, ENDED), WHOLE),
        (ranged(None, ENDED), WHOLE),
        (ranged(100, ENDED | ANNOUNCED), WHOLE),
        (ranged(130, ENDED | WITH_HEADERS | HTTP2), WHOLE),
        (start(100, ENDED), WHOLE),
        (start(None, ENDED), WHOLE),
        (start(130, ENDED | WITH_HEADERS | HTTP2), WHOLE),
    ],
    "aborted, not counted": [
        (ranged(100, ABORTED | ANNOUNCED), broken([[99, 99]])),
        (ranged(None, ABORTED), broken([[99, 99]])),
        (ranged(130, ABORTED | WITH_HEADERS | HTTP2), not_told("announced")),
        (start(100, ABORTED | ANNOUNCED), broken([[99, 99]])),
        (start(None, ABORTED), broken([[99, 99]])),
        (start(130, ABORTED | WITH_HEADERS | HTTP2), not_told("announced")),
    ],
    "aborted": [
        (ranged(40, ABORTED), broken([[40, 99]])),
        (ranged(100, ABORTED), not_told("in_flight")),
        (ranged(101, ABORTED | WITH_HEADERS), not_told("in_flight")),
        (ranged(100, ABORTED | WITH_HEADERS), broken([[99, 99]])),
        (start(40, ABORTED), broken([[40, 99]])),
        (start(100, ABORTED), not_told("in_flight")),
        (start(101, ABORTED | WITH_HEADERS), not_told("in_flight")),
    ],
    "announced": [
        (ranged(100, ANNOUNCED), not_told("announced")),
        (ranged(130, WITH_HEADERS | HTTP2), not_told("announced")),
        (ranged(100, WITH_HEADERS | HTTP2), broken([[99, 99]])),
        (ranged(40, ANNOUNCED), broken([[40, 99]])),
        (start(100, ANNOUNCED), not_told("announced")),
        (start(130, WITH_HEADERS | HTTP2), not_told("announced")),
    ],
    "200 without count": [(start(), not_told("announced"))],
    "range without count": [(ranged(), WHOLE)],
    "enough": [
        (ranged(100), WHOLE),
        (ranged(500), WHOLE),
        (ranged(101, WITH_HEADERS), WHOLE),
        (ranged(100, HTTP2), WHOLE),
        (start(100), WHOLE),
        (start(101, WITH_HEADERS), WHOLE),
    ],
    "fewer": [
        (ranged(40), broken([[40, 99]])),
        (ranged(0), broken([[0, 99]])),
        (ranged(99, HTTP2), broken([[99, 99]])),
        (ranged(100, WITH_HEADERS), broken([[99, 99]])),
        (start(40), broken([[40, 99]])),
        (start(0), broken([[0, 99]])),
        (start(100, WITH_HEADERS), broken([[99, 99]])),
    ],
}


def test_every_row_has_examples() -> None:
    assert list(EXAMPLES) == [row.name for row in ROWS]


@together(
    ("one", "expected"),
    [pair for pairs in EXAMPLES.values() for pair in pairs],
    ids=[f"{name} {at}" for name, pairs in EXAMPLES.items() for at, _ in enumerate(pairs)],
)
def test_a_line_proves_what_its_row_says(one: Parsed, expected: Said) -> None:
    assert said(delivery_of(one)) == expected
    if one.status == 200 and not one.flags & ENCODED:
        assert said(delivery_of(one._replace(total_bytes=None), size=100)) == expected, "the size from elsewhere"


@given(st.integers(0, 511), st.sampled_from(Measure), st.booleans())
def test_one_row_fits_every_line(flags: int, measure: Measure, compressible: bool) -> None:
    assert row_of(flags, measure, compressible) in ROWS


def test_the_table_in_the_docs_is_the_table() -> None:
    text = DOCS.read_text()
    for row in ROWS:
        assert f"| {row.says} | {row.counts} |" in text


@together(
    ("request_text", "expected"),
    [
        ("GET /a.html", True), ("GET /a.html?v=1.mp4", True), ("GET /", True), ("GET /docs/", True), ("GET /?a=b", True),
        ("GET /a.css", True), ("GET /a.js", True), ("GET /a.json", True), ("GET /a.svg", True), ("/a.txt", True),
        ("GET http://host/a.xml", True), ("GET /A.HTML", True), ("GET /live.m3u8", True), ("GET /a.html#top", True),
        ("GET /a.mp4", False), ("GET /a.mp4?x=.html", False), ("GET /a.zip", False), ("GET /a.txt.gz", False), ("GET /a.png", False),
        ("GET /a.bin", False), ("GET /a", False), ("GET /a.pdf", False), ("GET /a.mp3", False), ("GET /a.woff2", False),
    ],
)  # fmt: skip
def test_which_paths_name_what_servers_compress(request_text: str, expected: bool) -> None:
    assert may_be_compressed(request_text) is expected


# -- what is doubtful


MIB = 1 << 20
FILE = 60_000_000


def test_the_last_8_mib_before_a_broken_end_are_doubtful() -> None:
    assert Proof().in_flight_bytes == IN_FLIGHT_BYTES == 8 * MIB
    found = delivery_of(hit(0, FILE - 1, sent=13_000_000, total=FILE))
    assert (found.verdict, found.reason) == ("partial", "cut_off")
    assert found.ranges == [[0, 13_000_000 - 8 * MIB - 1]]
    assert found.missing == [[13_000_000, FILE - 1]]


def test_where_headers_are_counted_8_kib_more_are_doubtful() -> None:
    for sent in (13_000_000, FILE):
        found = delivery_of(hit(0, FILE - 1, sent=sent, total=FILE, flags=WITH_HEADERS))
        assert found.ranges == [[0, sent - HEADER_ALLOWANCE_BYTES - 8 * MIB - 1]]
        assert found.missing == [[sent - 1, FILE - 1]]
        assert "cut_off" in found.flags and found.bytes_sent == sent


def test_how_much_is_doubtful_is_a_setting() -> None:
    cut = hit(0, 999, sent=600, total=1000)
    assert delivery_of(cut, proof=Proof(0)).ranges == [[0, 599]]
    assert delivery_of(cut, proof=Proof(100)).ranges == [[0, 499]]
    assert delivery_of(cut, proof=Proof(600)).ranges == []
    assert delivery_of(hit(100, 999, sent=600, total=1000), proof=Proof(100)).ranges == [[100, 599]]
    assert delivery_of(hit(status=200, sent=600), size=1000, proof=Proof(100)).ranges == [[0, 499]]


def test_a_resumption_before_the_doubtful_bytes_makes_all_sure() -> None:
    cut = hit(0, FILE - 1, sent=20_000_000, total=FILE)
    for lo in (0, 5_000_000, 20_000_000 - 8 * MIB):
        found = delivery_of(cut, hit(lo, FILE - 1, sent=FILE - lo, total=FILE))
        assert said(found) == ("complete", None, "ranges", [[0, FILE - 1]], [])
        assert found.flags == ["cut_off"]


@pytest.mark.parametrize("lo", [20_000_000 - 8 * MIB + 1, 19_000_000, 20_000_000])
def test_a_resumption_inside_the_doubtful_bytes_is_said_to_be_one(lo: int) -> None:
    hits = (hit(0, FILE - 1, sent=20_000_000, total=FILE), hit(lo, FILE - 1, sent=FILE - lo, total=FILE))
    sure = [[0, 20_000_000 - 8 * MIB - 1], [lo, FILE - 1]]
    assert said(delivery_of(*hits)) == ("complete", None, "resumed", sure, [])
    assert said(delivery_of(*hits, proof=Proof(strict=True))) == ("unknown", "in_flight", "ranges", sure, [])


def test_a_resumption_of_a_200_is_one_as_well() -> None:
    for sent, flags in ((14_000_000, 0), (14_000_000, WITH_HEADERS), (14_000_000, ABORTED)):
        cut = hit(status=200, sent=sent, flags=flags)
        found = delivery_of(cut, hit(8_000_000, FILE - 1, sent=FILE, total=FILE))
        assert (found.verdict, found.evidence, found.missing) == ("complete", "resumed", [])


def test_a_client_that_resumes_at_the_last_byte_before_the_head_leaves_no_hole() -> None:
    """The column counts 300 bytes of head: 9,700 bytes of the body arrived."""
    cut = hit(0, 19_999, sent=10_000, total=20_000, flags=WITH_HEADERS)
    rest = hit(9_700, 19_999, sent=10_600, total=20_000, flags=WITH_HEADERS)
    assert delivery_of(cut, rest).verdict == "complete"


def test_a_response_that_sent_all_and_broke_is_whole_only_if_its_end_was_fetched_again() -> None:
    all_sent = hit(0, 999, sent=1000, total=1000, flags=ABORTED)
    assert said(delivery_of(all_sent)) == ("unknown", "in_flight", "ranges", [], [])
    assert delivery_of(all_sent, hit(300, 999, sent=700, total=1000)).evidence == "resumed"
    piece = hit(0, 499, sent=500, total=1000, flags=ABORTED)
    other = hit(500, 999, sent=500, total=1000)
    assert said(delivery_of(piece, other)) == ("unknown", "in_flight", "ranges", [[500, 999]], []), "no resumption"


def test_what_was_only_answered_is_whole_only_by_what_else_proves_it() -> None:
    answered = hit(0, 999, sent=1000, total=1000, flags=ANNOUNCED)
    proved = hit(0, 999, sent=1000, total=1000, flags=ANNOUNCED | ENDED)
    assert delivery_of(answered, proved).verdict == "complete"
    tail = hit(500, 999, sent=500, total=1000, flags=ANNOUNCED | ENDED)
    assert said(delivery_of(answered, tail)) == ("unknown", "announced", "ranges", [[500, 999]], [])
    broke = hit(0, 999, sent=1000, total=1000, flags=ANNOUNCED | ABORTED)
    assert said(delivery_of(broke, tail)) == ("unknown", "announced", "ranges", [[500, 999]], []), "perhaps resumed"


def test_pieces_of_which_one_was_never_asked_for_are_partial_whatever_the_column_counts() -> None:
    for flags in (0, ANNOUNCED, WITH_HEADERS, WITH_HEADERS | HTTP2):
        pieces = [hit(lo, lo + 99, sent=150, total=300, flags=flags) for lo in (0, 100)]
        found = delivery_of(*pieces)
        assert (found.verdict, found.reason, found.missing) == ("partial", "end_missing", [[200, 299]])


# -- sizes


def test_a_200_is_compared_with_the_size_that_another_hit_names() -> None:
    probe = hit(0, 0, sent=1, total=1000)
    assert delivery_of(hit(status=200, sent=1000), probe).verdict == "complete"
    assert delivery_of(hit(status=200, sent=999), probe).reason == "cut_off"


def test_a_200_of_unknown_size_is_unknown_with_what_was_sent() -> None:
    found = delivery_of(hit(status=200, sent=20_000_000))
    assert said(found) == ("unknown", "size_unknown", "bytes", [[0, 20_000_000 - 8 * MIB - 1]], [])
    assert said(delivery_of(hit(status=200, sent=20_000_000, request=PAGE))) == not_told("size_unknown", "bytes")


def test_two_200s_do_not_add_up() -> None:
    half = hit(status=200, sent=500)
    assert delivery_of(half, half, size=1000).reason == "cut_off"


def test_a_200_that_ended_is_whole_however_large_the_file_is() -> None:
    found = delivery_of(hit(status=200, sent=1000, flags=ENDED))
    assert said(found) == ("complete", None, "ranges", [[0, 999]], [])
    assert not found.size_known


def test_a_page_of_errors_that_ended_well_is_not_the_file_whose_size_is_known() -> None:
    found = delivery_of(hit(status=200, sent=1234, flags=ENDED), size=FILE)
    assert said(found) == ("unknown", "ended_early", "bytes", [], [])
    assert found.doubtful == [[0, FILE - 1]]


def test_a_chunked_200_that_ended_is_not_whole_by_that() -> None:
    """Its origin may have broken off, and what was counted has the framing of chunks."""
    assert delivery_of(hit(status=200, sent=1_201_303, flags=ENDED | UNSIZED)).reason == "size_unknown"
    assert delivery_of(hit(status=200, sent=1_201_303, flags=ENDED | UNSIZED), size=1_201_000).reason == "announced"


def test_what_ended_early_is_whole_by_what_else_was_sent() -> None:
    early = hit(0, 999, sent=400, total=1000, flags=ENDED)
    for rest in (hit(0, 999, sent=1000, total=1000), hit(status=200, sent=1000), hit(status=200, flags=ENDED)):
        assert said(delivery_of(early, rest)) == ("complete", None, "ranges", [[0, 999]], [])
    assert delivery_of(early, hit(400, 999, sent=600, total=1000)).reason == "ended_early"


def test_ranges_that_were_only_answered_prove_nothing_without_a_size_either() -> None:
    assert said(delivery_of(hit(0, 99, sent=100, flags=ANNOUNCED))) == not_told("announced")
    assert said(delivery_of(hit(0, 99, sent=100, flags=ANNOUNCED), hit(100, 199))) == (
        "unknown", "announced", "ranges", [[100, 199]], [],
    )  # fmt: skip
    assert delivery_of(hit(50, 99, sent=50, flags=ANNOUNCED)).reason == "start_missing"
    assert delivery_of(hit(0, 99, sent=100, flags=ANNOUNCED), hit(0, 99)).verdict == "complete"


def test_a_200_that_names_a_range_keeps_it() -> None:
    assert delivery_of(hit(0, 499, sent=500, total=1000, status=200)).reason == "end_missing"


@together("flags", [0, *FLAGS])
@together("sent", [None, 0, 255])
def test_an_empty_file_answered_200_is_whole(sent: int | None, flags: int) -> None:
    if flags & MULTIPART:
        return
    assert said(delivery_of(hit(status=200, sent=sent, flags=flags), size=0)) == ("complete", None, "ranges", [], [])


def test_a_size_of_0_is_a_size() -> None:
    assert delivery_of(hit(status=200, sent=0, total=0)).size_known
    assert delivery_of(hit(0, 9, sent=10), size=0).reason == "size_changed"


def test_the_size_in_an_encoded_answer_is_not_that_of_the_file() -> None:
    plain = hit(0, 999, sent=1000, total=1000)
    encoded = hit(0, 99, sent=100, total=100, flags=ENCODED)
    assert said(delivery_of(plain, encoded)) == ("complete", None, "ranges", [[0, 999]], [])


def test_a_200_that_sent_more_than_the_file_has_was_another_file() -> None:
    """The file was replaced, or each download has other advertisements in it: nobody knows how large that one was."""
    most = most_sent(1000)
    for flags in (0, WITH_HEADERS, ENDED, ABORTED, ABORTED | ENDED):
        found = delivery_of(
            hit(0, 499, sent=500 + bool(flags), total=1000), hit(status=200, sent=most + 2, flags=flags)
        )
        assert said(found) == ("unknown", "size_changed", "ranges", [[0, 499]], [])
        assert found.doubtful == [[500, 999]]
    assert delivery_of(hit(status=200, sent=most)).reason == "size_unknown"
    assert delivery_of(hit(status=200, sent=most), size=1000).verdict == "complete", "heads and frames may be counted"
    assert delivery_of(hit(status=200, sent=most + 1), size=1000).reason == "size_changed"
    assert delivery_of(hit(status=200, sent=most + 1), size=0).reason == "size_changed"


def test_ranges_of_one_size_are_whole_whatever_another_file_sent_beside_them() -> None:
    ranges = [hit(0, 499, sent=500, total=1000), hit(500, 999, sent=500, total=1000)]
    assert said(delivery_of(*ranges, hit(status=200, sent=1_000_000))) == WHOLE_OF_1000


def test_a_200_that_ended_is_not_the_file_of_which_more_was_sent() -> None:
    """A page that asks for consent, then the film, which broke."""
    page = hit(status=200, sent=500, flags=ENDED)
    for film in (
        hit(status=200, sent=5_000_000, flags=ABORTED),
        hit(0, 5_999_999, sent=5_000_000, flags=ABORTED),
        hit(700, 799, sent=100),
        hit(sent=5_000_000, flags=ENDED),
    ):
        found = delivery_of(page, film)
        assert (found.verdict, found.reason) == ("unknown", "size_changed")
    assert delivery_of(page, hit(status=200, sent=400, flags=ABORTED)).verdict == "complete"
    assert delivery_of(page, hit(status=200, sent=5_000_000, flags=ENDED)).ranges == [[0, 4_999_999]]


# -- all of it, against sets


class Sets(NamedTuple):
    """What one hit says of the bytes of a file of a known size."""

    sure: frozenset[int]
    sent: frozenset[int]
    maybe: frozenset[int]
    placeless: bool


def sets_of(one: Parsed, total: int, in_flight: int, allowance: int) -> Sets:
    """By the rules in words, byte by byte."""
    flags, sent = one.flags, one.bytes_sent
    nothing: frozenset[int] = frozenset()
    if flags & (MULTIPART | ENCODED) or (one.lo is None and one.status == 206):
        return Sets(nothing, nothing, nothing, True)
    lo, hi = (0, total - 1) if one.lo is None or one.hi is None else (one.lo, one.hi)
    everything = frozenset(range(lo, hi + 1))
    blind = bool(flags & ANNOUNCED) or (bool(flags & WITH_HEADERS) and bool(flags & HTTP2)) or sent is None
    body = None if sent is None else max(0, sent - 1 if flags & WITH_HEADERS else sent)
    if flags & ENDED and body is not None and body < len(everything):
        return Sets(nothing, nothing, nothing, True)
    told_by_range = one.lo is not None and sent is None and not flags & (ANNOUNCED | ABORTED)
    if flags & ENDED or (told_by_range and flags & (WITH_HEADERS | HTTP2) != WITH_HEADERS | HTTP2):
        return Sets(everything, everything, everything, False)
    if blind:
        short = one.lo is not None and body is not None and body < len(everything)
        maybe = everything if not short else frozenset(range(lo, lo + (body or 0)))
        if flags & ABORTED and not flags & HTTP2:
            maybe -= {hi}
        return Sets(nothing, nothing, maybe, False)
    assert body is not None
    if body >= len(everything) and not flags & ABORTED:
        return Sets(everything, everything, everything, False)
    end = min(lo + body, hi) - 1
    arrived = frozenset(range(lo, end + 1))
    sure = frozenset(byte for byte in arrived if byte <= end - in_flight - allowance)
    return Sets(sure, arrived, arrived | ({hi} if body >= len(everything) else nothing), False)


def from_start(hits: list[Parsed], each: list[Sets]) -> list[tuple[Parsed, Sets]]:
    """The 200s that are compared by how much they sent, and that the server did not see break off."""
    return [
        (one, said)
        for one, said in zip(hits, each, strict=True)
        if one.lo is None and one.status == 200 and one.bytes_sent is not None
        if not one.flags & (MULTIPART | ENCODED)
        if one.flags & ENDED
        or not (one.flags & (ABORTED | ANNOUNCED) or (one.flags & WITH_HEADERS and one.flags & HTTP2))
    ]


NUMBERS = st.integers(0, 30)
SOME_HITS = st.lists(
    st.builds(
        lambda status, lo, length, sent, flags: hit(
            lo, None if lo is None else lo + length, sent=sent, flags=flags, status=status
        ),
        st.sampled_from([200, 206]),
        st.one_of(st.none(), NUMBERS),
        NUMBERS,
        st.one_of(st.none(), NUMBERS),
        st.sampled_from([0, 0, 0, *FLAGS]),
    ),
    min_size=1,
    max_size=6,
)


def bytes_in(ranges: list[list[int]]) -> set[int]:
    return {byte for lo, hi in ranges for byte in range(lo, hi + 1)}


@settings(deadline=None, max_examples=examples(400))
@given(SOME_HITS, st.integers(1, 40), st.integers(0, 12), st.booleans(), st.randoms(use_true_random=False))
@example([hit(status=200, sent=0, flags=ENDED), hit(status=200, sent=1)], 2, 0, False, Random(0))
def test_what_is_sure_missing_and_judged_is_true_of_the_bytes(
    hits: list[Parsed], size: int, in_flight: int, strict: bool, random: Random
) -> None:
    found = delivery_of(*hits, size=size, proof=Proof(in_flight, strict))
    allowance = HEADER_ALLOWANCE_BYTES - 1 if any(one.flags & WITH_HEADERS for one in hits) else 0
    each = [sets_of(one, size, in_flight, allowance) for one in hits]
    if any(one.flags & ENDED and said.placeless for one, said in from_start(hits, each)):
        # a delivery keeps one count of its 200s, the greatest, so that with one that ended early none names positions
        early = {id(one) for one, said in from_start(hits, each) if said.sure != set(range(size))}
        unplaced = Sets(frozenset(), frozenset(), frozenset(), True)
        each = [unplaced if id(one) in early else said for one, said in zip(hits, each, strict=True)]
    file = set(range(size))
    sure = file & {byte for one in each for byte in one.sure}
    sent = file & {byte for one in each for byte in one.sent}
    maybe = file & {byte for one in each for byte in one.maybe}
    placeless = any(one.placeless for one in each)
    assert bytes_in(found.ranges) == sure
    assert bytes_in(found.missing) == (set() if placeless else file - maybe)
    if sure == file:
        assert (found.verdict, found.evidence) == ("complete", "ranges")
    elif sent == file:
        assert (found.verdict, found.evidence) == (("unknown", "ranges") if strict else ("complete", "resumed"))
    elif placeless:
        assert found.verdict != "complete"
    else:
        assert found.verdict == ("unknown" if maybe == file else "partial")
    random.shuffle(hits)
    again = delivery_of(*hits, size=size, proof=Proof(in_flight, strict))
    assert again == found._replace(hit_ids=again.hit_ids)


PLAIN_HITS = st.lists(
    st.builds(
        lambda lo, status, length, sent, total, request: hit(
            lo,
            None if lo is None else lo + length,
            total=total,
            sent=sent,
            status=status if lo is None else 206,
            request=request,
        ),
        st.sampled_from([None, 0, 0, 3]),
        st.sampled_from([200, 206]),
        NUMBERS,
        st.one_of(st.none(), NUMBERS),
        st.sampled_from([None, None, 20, 31]),
        st.sampled_from(["GET /a", "GET /a", PAGE]),
    ),
    min_size=1,
    max_size=3,
)


@settings(deadline=None, max_examples=examples(400))
@given(PLAIN_HITS, st.one_of(st.none(), NUMBERS), st.integers(0, 12), st.booleans())
def test_what_is_judged_at_once_is_judged_as_in_full(
    hits: list[Parsed], size: int | None, in_flight: int, strict: bool
) -> None:
    proof = Proof(in_flight, strict)
    found = delivery_of(*hits, size=size, proof=proof)
    with patch.object(deliveries, "_shortcut", return_value=None):
        assert delivery_of(*hits, size=size, proof=proof) == found
