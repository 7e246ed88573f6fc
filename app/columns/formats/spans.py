"""Where the values of a format string stand in many lines at once: just where its strict pattern finds them in each.

A line in which a value ends at another place, or may, is not found.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from app.columns.blocks import Bools, Bytes, Ints
from app.domain.formats.format_strings import LineSpans, Span, SpanEnd

__all__ = ["SpanPlaces", "found_in", "free_quotes", "values_between"]

_FEW_ESCAPES = 9
_SPACE, _TAB, _COLON, _OPEN, _RETURN, _BACKSLASH, _QUOTE = b' \t:[\r\\"'


def values_between(data: bytes, begins: Ints, ends: Ints) -> pa.BinaryArray:
    """What stands between some places, in the order of the data."""
    bounds = np.empty(2 * len(begins), np.int32)
    bounds[::2], bounds[1::2] = begins, ends
    # values and what stands between them, turn by turn
    both = pa.BinaryArray.from_buffers(
        pa.binary(), max(0, len(bounds) - 1), [None, pa.py_buffer(bounds), pa.py_buffer(data)]
    )
    return both.take(pa.array(np.arange(0, len(bounds), 2)))


def free_quotes(data: bytes, values: Bytes) -> Ints:
    """Where quotes stand that no backslash escapes. `values`: the bytes of the data, and perhaps more."""
    quotes = np.flatnonzero(values[: len(data)] == _QUOTE)
    if b"\\" not in data:
        return quotes
    behind = np.flatnonzero((quotes > 0) & (values[quotes - 1] == _BACKSLASH))
    return np.delete(quotes, behind[_escapes_before(values, quotes[behind]) % 2 == 1]) if len(behind) else quotes


def _escapes_before(values: Bytes, places: Ints) -> Ints:
    """How many backslashes stand before each place: at least one does."""
    counts, left = np.ones(len(places), np.int64), np.arange(len(places))
    for number in range(2, _FEW_ESCAPES):
        left = left[places[left] >= number]
        left = left[values[places[left] - number] == _BACKSLASH]
        if not len(left):
            return counts
        counts[left] = number
    escapes = np.flatnonzero(values[: places[-1]] == _BACKSLASH)
    begins = np.maximum.accumulate(np.where(np.append(True, np.diff(escapes) > 1), escapes, -1))
    found: Ints = places - begins[np.searchsorted(escapes, places) - 1]
    return found


class SpanPlaces(NamedTuple):
    """The lines that fit."""

    lines: Ints
    """Their numbers in the block."""
    data: bytes
    begins: list[Ints]
    """For each span where the value begins in each of these lines, and where it ends."""
    ends: list[Ints]

    def column(self, span: int, skipped: int = 0, most: int | None = None) -> pa.BinaryArray:
        """The values of a span, without some bytes at the beginning, or only so many of them."""
        begins, ends = self.begins[span], self.ends[span]
        return values_between(
            self.data,
            np.minimum(begins + skipped, ends) if skipped else begins,
            ends if most is None else np.minimum(begins + most, ends),
        )


class _Text:
    """The bytes of a block, and where its characters stand."""

    def __init__(self, data: bytes, padding: int) -> None:
        """`padding`: so many bytes behind the end may be looked at."""
        self.data, self.size = data, len(data)
        self.values = np.frombuffer(data + bytes(padding), np.uint8)
        self._places: dict[bytes, Ints] = {}
        self._free_quotes: Ints | None = None

    def _places_of(self, characters: bytes) -> Ints:
        there = bytes(sorted({one for one in characters if one in self.data}))
        places = self._places.get(there)
        if places is None:
            found = np.zeros(self.size, np.bool_)
            for one in there:
                found |= self.values[: self.size] == one
            places = self._places[there] = np.append(np.flatnonzero(found), self.size)
        return places

    def first_free_quote(self, at: Ints) -> Ints:
        """The first quote from each place on that no backslash escapes, or the end of the data. No place is within backslashes."""
        if b"\\" not in self.data:
            return self.first('"', at)
        if self._free_quotes is None:
            self._free_quotes = np.append(free_quotes(self.data, self.values), self.size)
        return self._free_quotes[np.searchsorted(self._free_quotes, at)]

    def first(self, characters: str, at: Ints) -> Ints:
        """The first of these characters from each place on, or the end of the data."""
        places = self._places_of(characters.encode())
        return places[np.searchsorted(places, at)]

    def last_before(self, character: int, ends: Ints) -> Ints:
        """-1 where none stands there."""
        places = self._places_of(bytes([character]))[:-1]
        return np.append(places, -1)[np.searchsorted(places, ends) - 1]

    def have(self, text: str, at: Ints) -> Bools:
        """Whether a text stands at each place."""
        found = np.ones(len(at), np.bool_)
        for number, one in enumerate(text.encode()):
            found &= self.values[at + number] == one
        return found

    def lines_with(self, is_asked: Bools, starts: Ints) -> Bools:
        """Lines in which a byte is asked for."""
        counted = np.searchsorted(np.flatnonzero(is_asked), np.append(starts, self.size))
        found: Bools = np.diff(counted) > 0
        return found


def found_in(data: bytes, starts: Ints, ends: Ints, layout: LineSpans) -> SpanPlaces | None:
    """The lines of whole lines that fit, which begin at `starts` and end, without a newline, at `ends`; None where none does."""
    text = _Text(data, 3 + max(len(layout.before), *(len(span.after) for span in layout.spans)))
    ends = ends - ((ends > starts) & (text.values[ends - 1] == _RETURN))
    fits = _are_told(text, starts, layout) & text.have(layout.before, starts)
    at = np.minimum(starts + len(layout.before), text.size)
    begins, stops = [], []
    for number, span in enumerate(layout.spans):
        end, is_there = _end(text, span, at, ends, number + 1 == len(layout.spans))
        fits &= is_there & (end >= at)
        begins.append(at)
        stops.append(end)
        at = np.minimum(end + len(span.after), text.size)
        if span.after:
            fits &= text.have(span.after, end)
    fits &= at == ends
    lines = np.flatnonzero(fits)
    if not len(lines):
        return None
    if len(lines) < len(fits):
        begins, stops = ([one[lines] for one in some] for some in (begins, stops))
    return SpanPlaces(lines, data, begins, stops)


def _are_told(text: _Text, starts: Ints, layout: LineSpans) -> Bools:
    """Lines whose text has the characters that its bytes have, and no escapes that a value is read without."""
    told = np.ones(len(starts), np.bool_)
    values = text.values[: text.size]
    if layout.json and b"\\" in text.data:
        told &= ~text.lines_with(values == _BACKSLASH, starts)
    if not text.data.isascii() and not _is_utf8(text.data):  # some are written with a backslash and two digits
        told &= ~text.lines_with(values > 127, starts)
    return told


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _end(text: _Text, span: Span, at: Ints, ends: Ints, is_last: bool) -> tuple[Ints, Bools]:
    """Where the values that begin at these places end, if they do, and which surely do."""
    if span.end is SpanEnd.QUOTED:
        return text.first_free_quote(at), np.ones(len(at), np.bool_)
    first = text.first(span.stops, at) if span.stops else ends
    if not span.after:
        end = ends if is_last else np.minimum(first, ends)
        return end, first >= end
    if span.end is SpanEnd.PORT:
        return np.maximum(text.last_before(_COLON, first), 0), text.values[at] != _OPEN
    if span.end is SpanEnd.BLANKS:
        end = np.maximum(first - (len(span.after) - len(span.after.lstrip(" "))), 0)
        before = text.values[end - 1]
        return end, (end == at) | ((before != _SPACE) & (before != _TAB))
    if span.end is SpanEnd.LIST and span.after[0] == " ":
        return first, ~text.have(" : ", first)
    return first, np.ones(len(at), np.bool_)
