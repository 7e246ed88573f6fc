"""What is read of many bytes at once is what is read of them one by one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.columns.blocks import numbers_at
from app.columns.formats.spans import free_quotes
from app.columns.parts import MAX_BYTE
from app.columns.values import content_ranges, counts
from tests.properties import examples

NUMBERS = st.from_regex(r"\A[0-9]{1,16}\Z")
RANGES = st.builds("bytes {}-{}/{}".format, st.integers(0, 120), st.integers(0, 1 << 46), st.integers(0, 1 << 46))
VALUES = (
    RANGES | st.sampled_from(["-", "", "bytes 0-1/*", "bytes */5", "--------", "bytes 5-", "bytes -1-/2", "bytes0-1 -/2"])
    | st.text("bytes 0123-/", max_size=14)
)  # fmt: skip


@settings(deadline=None, max_examples=examples(300))
@given(st.lists(NUMBERS, min_size=1), st.text("x7", max_size=5))
def test_numbers_are_those_that_the_digits_write(texts: list[str], between: str) -> None:
    ends, lengths = np.cumsum([len(text) + len(between) for text in texts]), np.array(list(map(len, texts)))
    values = np.frombuffer("".join(between + text for text in texts).encode(), np.uint8)
    assert numbers_at(values, ends, lengths).tolist() == list(map(int, texts))


@settings(deadline=None, max_examples=examples(500))
@given(st.lists(VALUES, max_size=8))
@example(["bytes 0-1/2", "--------"])
@example(["-", "bytes 0-1/2", "", "bytes 3-4/5"])
@example(["bytes 0-1/2/bytes", "-", "/"])
def test_a_range_is_read_the_same_whatever_stands_beside_it(texts: list[str]) -> None:
    lo, hi, total, are_read = content_ranges(pa.array([text.encode() for text in texts], pa.binary()))
    for at, text in enumerate(texts):
        told = text.removeprefix("bytes ").replace("/", "-").split("-")
        if text in ("", "-"):
            assert (lo[at], hi[at], total[at], are_read[at]) == (0, -1, -1, True)
        elif text == f"bytes {told[0]}-{told[1:2] and told[1]}/{told[2:3] and told[2]}" and all(map(is_small, told)):
            assert (lo[at], hi[at], total[at]) == tuple(map(int, told))
            assert are_read[at] == (lo[at] <= hi[at])
        elif are_read[at]:
            assert text == f"bytes {lo[at]}-{hi[at]}/*" and total[at] == -1


def is_small(text: str) -> bool:
    return text.isdecimal() and len(text) < 14 and int(text) < MAX_BYTE


@settings(deadline=None, max_examples=examples(300))
@given(
    st.lists(st.sampled_from(["-", "0", "17", "123456789", "1234567890123"]) | st.text("0-x", max_size=3), max_size=6)
)
def test_a_count_is_a_number_or_a_dash(texts: list[str]) -> None:
    numbers, are_read = counts(pa.array([text.encode() for text in texts], pa.binary()))
    assert are_read.tolist() == [text == "-" or is_small(text) for text in texts]
    assert numbers[are_read].tolist() == [
        -1 if text == "-" else int(text) for text in texts if text == "-" or is_small(text)
    ]


@settings(deadline=None, max_examples=examples(300))
@given(st.lists(st.sampled_from(['"', "a", "\\", "\\" * 7, "\\" * 8, "\\" * 9, "\\" * 40]), max_size=12))
def test_a_quote_is_free_behind_an_even_number_of_backslashes(pieces: list[str]) -> None:
    data = "".join(pieces).encode()
    wanted = [
        at for at, one in enumerate(data)
        if one == ord('"') and (at - len(data[:at].rstrip(b"\\"))) % 2 == 0
    ]  # fmt: skip
    assert free_quotes(data, np.frombuffer(data, np.uint8)).tolist() == wanted
