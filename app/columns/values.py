"""From columns of texts to numbers, for those in their plain form; the kernels of all formats leave the others to the domain."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.columns.blocks import DIGITS_OF_MAX_BYTE, Bools, Ints
from app.columns.parts import MAX_BYTE

__all__ = ["content_ranges", "counts"]

_DIGITS = rf"[0-9]{{1,{DIGITS_OF_MAX_BYTE - 1}}}"
_RANGE = rf"\Abytes (?P<lo>{_DIGITS})-(?P<hi>{_DIGITS})/(?P<total>{_DIGITS}|\*)\z"


def counts(column: pa.BinaryArray) -> tuple[Ints, Bools]:
    """Numbers, -1 for `-`; and which values are one of both."""
    is_dash = pc.equal(column, b"-").to_numpy(zero_copy_only=False)
    texts = column.view(pa.string())
    is_short = pc.less(pc.binary_length(texts), DIGITS_OF_MAX_BYTE)
    is_number = pc.and_(pc.ascii_is_decimal(texts), is_short)
    numbers = pc.if_else(is_number, texts, "0").cast(pa.int64()).to_numpy()
    is_number = is_number.to_numpy(zero_copy_only=False)
    return np.where(is_number, numbers, -1), is_number | is_dash


def content_ranges(column: pa.BinaryArray) -> tuple[Ints, Ints, Ints, Bools]:
    """First and last byte and size: 0, -1 and -1 for none of them; and which values were read."""
    found = pc.extract_regex(column, _RANGE)
    has_range = found.is_valid().to_numpy(zero_copy_only=False)
    is_none = pc.is_in(column, pa.array([b"-", b""], column.type)).to_numpy(zero_copy_only=False)
    lo, hi, total = (_numbers_or(found, name, none) for name, none in (("lo", 0), ("hi", -1), ("total", -1)))
    return lo, hi, total, is_none | (has_range & (lo <= hi) & (hi < MAX_BYTE) & (total < MAX_BYTE))


def _numbers_or(found: pa.StructArray, name: str, none: int) -> Ints:
    texts = pc.struct_field(found, name).cast(pa.string())
    texts = pc.if_else(pc.fill_null(pc.equal(texts, "*"), True), str(none), texts)
    numbers: Ints = texts.cast(pa.int64()).to_numpy()
    return numbers
