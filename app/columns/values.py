"""From columns of texts to numbers, for those in their plain form; the kernels of all formats leave the others to the domain."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.columns.blocks import DIGITS_OF_MAX_BYTE, ZERO, Bools, Bytes, Ints, bytes_of, numbers_at
from app.columns.parts import MAX_BYTE

__all__ = ["content_ranges", "counts"]

_DASH = ord("-")
_UNIT = b"bytes "
_MARKS = _UNIT + b"-/"
_DIGITS = rf"[0-9]{{1,{DIGITS_OF_MAX_BYTE - 1}}}"
_RANGE = rf"\Abytes (?P<lo>{_DIGITS})-(?P<hi>{_DIGITS})/(?P<total>{_DIGITS}|\*)\z"


def counts(column: pa.BinaryArray) -> tuple[Ints, Bools]:
    """Numbers, -1 for `-`; and which values are one of both."""
    values, starts, lengths = _values_of(column)
    is_dash = _are_dashes(values, starts, lengths)
    if np.count_nonzero(values - np.uint8(ZERO) > 9) == np.count_nonzero(is_dash) and _are_short(lengths):
        return np.where(is_dash, -1, numbers_at(values, starts + lengths, lengths)), np.ones(len(lengths), np.bool_)
    return _odd_counts(column)


def _values_of(column: pa.BinaryArray) -> tuple[Bytes, Ints, Ints]:
    """The bytes of all values, where in them each begins, and how many it has."""
    values, bounds = bytes_of(column)
    return values[bounds[0] : bounds[-1]], bounds[:-1] - bounds[0], np.diff(bounds)


def _are_dashes(values: Bytes, starts: Ints, lengths: Ints) -> Bools:
    are = lengths == 1
    are[are] = values[starts[are]] == _DASH
    return are


def _are_short(lengths: Ints) -> bool:
    """Whether numbers of so many digits are there and below MAX_BYTE."""
    return not len(lengths) or (int(lengths.min()) > 0 and int(lengths.max()) < DIGITS_OF_MAX_BYTE)


def _odd_counts(column: pa.BinaryArray) -> tuple[Ints, Bools]:
    is_dash = pc.equal(column, b"-").to_numpy(zero_copy_only=False)
    texts = column.view(pa.string())
    is_short = pc.less(pc.binary_length(texts), DIGITS_OF_MAX_BYTE)
    is_number = pc.and_(pc.ascii_is_decimal(texts), is_short)
    numbers = pc.if_else(is_number, texts, "0").cast(pa.int64()).to_numpy()
    is_number = is_number.to_numpy(zero_copy_only=False)
    return np.where(is_number, numbers, -1), is_number | is_dash


def content_ranges(column: pa.BinaryArray) -> tuple[Ints, Ints, Ints, Bools]:
    """First and last byte and size: 0, -1 and -1 for none of them; and which values were read."""
    values, starts, lengths = _values_of(column)
    ends = starts + lengths
    is_none = (lengths == 0) | _are_dashes(values, starts, lengths)
    usual, at = _marks_of(values, starts, ends, is_none)
    digits = np.column_stack(
        (at[:, -2] - starts[usual] - len(_UNIT), at[:, -1] - at[:, -2] - 1, ends[usual] - at[:, -1] - 1)
    )
    is_usual = ((digits > 0) & (digits < DIGITS_OF_MAX_BYTE)).all(axis=1)
    is_usual &= (values[at] == np.frombuffer(_MARKS, np.uint8)).all(axis=1)
    is_usual &= at[:, len(_UNIT) - 1] == starts[usual] + len(_UNIT) - 1
    if not is_usual.all():
        usual, digits, at = usual[is_usual], digits[is_usual], at[is_usual]
    are_usual = np.zeros(len(lengths), np.bool_)
    are_usual[usual] = True
    lo, hi, total = np.zeros(len(lengths), np.int64), np.full(len(lengths), -1), np.full(len(lengths), -1)
    for numbers, end, count in zip((lo, hi, total), (at[:, -2], at[:, -1], ends[usual]), digits.T, strict=True):
        numbers[usual] = numbers_at(values, end, count)
    are_read = is_none | (are_usual & (lo <= hi))
    others = np.flatnonzero(~is_none & ~are_usual)
    if len(others):
        lo[others], hi[others], total[others], are_read[others] = _odd_ranges(column.take(pa.array(others)))
    return lo, hi, total, are_read


def _marks_of(values: Bytes, starts: Ints, ends: Ints, is_none: Bools) -> tuple[Ints, Ints]:
    """The values that have as many other bytes than digits as a range, and where each of these stands."""
    marks = np.flatnonzero(values - np.uint8(ZERO) > 9)
    # nearly always each value is a range, a dash or empty: then it is known which marks are whose
    stops = np.cumsum(np.where(is_none, ends - starts, len(_MARKS)))
    if len(stops) and stops[-1] == len(marks):
        usual = np.flatnonzero(~is_none)
        at = marks[stops[usual, None] + np.arange(-len(_MARKS), 0)]
        dashes = np.flatnonzero(is_none & (ends > starts))
        if bool(
            ((at[:, 0] >= starts[usual]) & (at[:, -1] < ends[usual])).all()
            and (marks[stops[dashes] - 1] == starts[dashes]).all()
        ):
            return usual, at
    bounds = np.searchsorted(marks, np.append(starts, len(values)))
    usual = np.flatnonzero(np.diff(bounds) == len(_MARKS))
    return usual, marks[bounds[usual, None] + np.arange(len(_MARKS))]


def _odd_ranges(column: pa.BinaryArray) -> tuple[Ints, Ints, Ints, Bools]:
    found = pc.extract_regex(column, _RANGE)
    has_range = found.is_valid().to_numpy(zero_copy_only=False)
    lo, hi, total = (_numbers_or(found, name, none) for name, none in (("lo", 0), ("hi", -1), ("total", -1)))
    return lo, hi, total, has_range & (lo <= hi) & (hi < MAX_BYTE) & (total < MAX_BYTE)


def _numbers_or(found: pa.StructArray, name: str, none: int) -> Ints:
    texts = pc.struct_field(found, name).cast(pa.string())
    texts = pc.if_else(pc.fill_null(pc.equal(texts, "*"), True), str(none), texts)
    numbers: Ints = texts.cast(pa.int64()).to_numpy()
    return numbers
