"""From columns of texts to numbers, for those in their plain form; the kernels of all formats leave the others to the domain."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.columns.blocks import DIGITS_OF_MAX_BYTE, ZERO, Bools, Bytes, Ints, bytes_of, numbers_at
from app.columns.parts import MAX_BYTE

__all__ = ["content_ranges", "counts"]

_DASH, _SLASH = b"-/"
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
    usual, marks = _marks_of(values, starts, ends, is_none)
    begin, end = starts[usual] + len(_UNIT), ends[usual]
    digits = (marks.dash - begin, marks.slash - marks.dash - 1, end - marks.slash - 1)
    is_usual = (marks.blank == begin - 1) & (values[marks.dash] == _DASH) & (values[marks.slash] == _SLASH)
    is_usual &= _have_unit(values, starts[usual])
    for count in digits:
        is_usual &= (count > 0) & (count < DIGITS_OF_MAX_BYTE)
    at = (marks.dash, marks.slash, end)
    if not is_usual.all():
        usual, at, digits = usual[is_usual], tuple(one[is_usual] for one in at), tuple(one[is_usual] for one in digits)
    are_usual = np.zeros(len(lengths), np.bool_)
    are_usual[usual] = True
    lo, hi, total = np.zeros(len(lengths), np.int64), np.full(len(lengths), -1), np.full(len(lengths), -1)
    for numbers, stop, count in zip((lo, hi, total), at, digits, strict=True):
        numbers[usual] = numbers_at(values, stop, count)
    are_read = is_none | (are_usual & (lo <= hi))
    others = np.flatnonzero(~is_none & ~are_usual)
    if len(others):
        lo[others], hi[others], total[others], are_read[others] = _odd_ranges(column.take(pa.array(others)))
    return lo, hi, total, are_read


class _Marks(NamedTuple):
    """Where bytes that are no digits stand in each value: the first of them, and the last three."""

    first: Ints
    blank: Ints
    dash: Ints
    slash: Ints


def _marks_of(values: Bytes, starts: Ints, ends: Ints, is_none: Bools) -> tuple[Ints, _Marks]:
    """The values that have as many bytes that are no digits as a range, and where these stand."""
    marks = np.flatnonzero(values - np.uint8(ZERO) > 9)
    # nearly always each value is a range, a dash or empty: then it is known which marks are whose
    stops = np.cumsum(np.where(is_none, ends - starts, len(_MARKS)))
    if len(stops) and stops[-1] == len(marks):
        usual, dashes = np.flatnonzero(~is_none), np.flatnonzero(is_none & (ends > starts))
        found = _last_marks(marks, stops[usual])
        if bool(
            ((found.first >= starts[usual]) & (found.slash < ends[usual])).all()
            and (marks[stops[dashes] - 1] == starts[dashes]).all()
        ):
            return usual, found
    bounds = np.searchsorted(marks, np.append(starts, len(values)))
    usual = np.flatnonzero(np.diff(bounds) == len(_MARKS))
    return usual, _last_marks(marks, bounds[usual + 1])


def _last_marks(marks: Ints, stops: Ints) -> _Marks:
    return _Marks(*(marks[stops - back] for back in (len(_MARKS), 3, 2, 1)))


def _have_unit(values: Bytes, starts: Ints) -> Bools:
    """Which values begin with it, of some that have more bytes."""
    if not len(starts):
        return np.zeros(0, np.bool_)
    words = np.ndarray(len(values) - 7, "<u8", values, strides=(1,))[starts]
    found: Bools = words << np.uint64(16) == np.uint64(int.from_bytes(_UNIT, "little") << 16)
    return found


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
