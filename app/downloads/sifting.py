"""Which requests of some lines are left out, and what the others prove: as columns where lines are read so, else one by one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from app.columns.blocks import Bools, Ints, LineColumns
from app.columns.parts import added
from app.domain.lines import ReadLines
from app.domain.proof import may_be_compressed
from app.domain.records import Parsed
from app.domain.requests import extension_of, path_of
from app.domain.tallies import Mark
from app.domain.windows import Rules
from app.downloads.columns import PIECES, piece_table
from app.downloads.lists import Lists, is_watch_os, listener_address
from app.downloads.rules import NOBODY, NOT_BODY, PROBE_BYTES, UNBOUNDED, DownloadRules, left_out, listener_of, piece_of
from app.reducing.stretches import Stretch, StretchReader
from app.reports.facts import Facts
from app.reports.hits import (
    PLAIN_NAMES,
    HitNumbers,
    filled,
    hit_table,
    numbers_of,
    texts_of,
)
from app.words import writable

__all__ = ["Sifted", "Sifting"]

_TEXTS = ("ip_address", "user_agent", "request", "method")
_FIELDS = [name for name in Parsed._fields if name in PLAIN_NAMES]
_WANTED = [*_FIELDS, "position"]
_NO_LINES = ReadLines([], [], [], 0, math.inf, -math.inf, 0.0)


class Sifted(NamedTuple):
    """Of a stretch."""

    facts: Facts
    left_out: Counter[str]
    told: list[tuple[Any, ...]]
    """Fields of LeftOut behind `input`, if they are asked for."""
    pieces: list[pa.Table]
    """Of columns.PIECES."""


class Sifting:
    """Applies the rules of single requests."""

    def __init__(self, lists: Lists, asked: DownloadRules, tells: bool) -> None:
        self._reader = StretchReader(Rules(), every_status=True)
        self._lists, self._asked, self._tells = lists, asked, tells
        lists.is_data_centre("")  # reads its list, once for all processes

    def read(self, stretch: Stretch) -> Sifted:
        sifted = Sifted(Facts(), Counter(), [], [])
        for read in self._reader.reads(stretch):
            begin = len(sifted.told)
            rows = read.other if isinstance(read, LineColumns) else read
            self._sift(rows.hits, rows.positions, sifted)
            if isinstance(read, LineColumns):
                table, _ = hit_table(read._replace(other=_NO_LINES), _WANTED)
                self._sift_columns(table, numbers_of(table), np.arange(table.num_rows), sifted)
                sifted.told[begin:] = sorted(sifted.told[begin:], key=lambda told: told[0])
            rejects = Counter(bad.reason for bad in rows.rejects)
            sifted.facts.add(
                Facts(read.lines, rows.heads, read.lines - rows.heads - len(rows.rejects), rejects=rejects)
            )
        return sifted

    def sift_table(self, table: pa.Table) -> Sifted:
        """The rows of a file of hits, in one piece, whose facts are told apart."""
        sifted, numbers = Sifted(Facts(), Counter(), [], []), numbers_of(table)
        rows = table.filter(pa.array(~numbers.are_plain)).select(_WANTED).to_pylist()
        self._sift(
            [Parsed(**{name: row[name] for name in _FIELDS}) for row in rows], [row["position"] for row in rows], sifted
        )
        self._sift_columns(table, numbers, np.flatnonzero(numbers.are_plain), sifted)
        sifted.told.sort(key=lambda told: told[0])
        return sifted

    def sift_hits(self, hits: Sequence[Any]) -> Sifted:
        """Hits of a store, whose facts are told apart; where they stand in a file nobody asks."""
        sifted = Sifted(Facts(), Counter(), [], [])
        self._sift(hits, [0] * len(hits), sifted)
        return sifted

    def _sift(self, hits: Sequence[Any], positions: Sequence[int], sifted: Sifted) -> None:
        pieces = []
        for hit, position in zip(hits, positions, strict=True):
            request = hit[3]
            file = path_of(request)
            rule = left_out(hit, file, extension_of(request), self._lists, self._asked)
            if rule:
                sifted.left_out[rule] += 1
                if self._tells:
                    sifted.told.append((position, hit[0], rule, hit[1], hit[2], file))
            else:
                piece = piece_of(hit)
                pieces.append((*map(writable, (*listener_of(hit), file or "")), *piece[:-1], position))
        if pieces:
            sifted.pieces.append(piece_table(pieces))

    def _sift_columns(self, table: pa.Table, numbers: HitNumbers, left: Ints, sifted: Sifted) -> None:
        """The same for the rows `left`, whose numbers and flags fit columns."""
        if not len(left):
            return
        address, agent, request, method = (_Texts.of_column(table.column(name).chunk(0)) for name in _TEXTS)
        positions, times = table.column("position").to_numpy(), table.column("time").to_numpy()
        status = table.column("status").to_numpy().astype(np.int64)
        file, extension = request.made(path_of), request.made(extension_of)
        lists, lo, hi, sent, flags = self._lists, numbers.lo, numbers.hi, numbers.sent, numbers.flags
        is_few = (status == 206) & (flags & NOT_BODY == 0) & (sent >= 0) & (sent <= PROBE_BYTES)
        is_probe = np.where(hi >= lo, (lo == 0) & (hi < PROBE_BYTES), is_few)
        # in the order of rules.left_out
        rules: dict[str, Callable[[Ints], Bools]] = {
            "method": lambda rows: ~method.are(lambda text: text == "GET", rows),
            "status": lambda rows: (status[rows] != 200) & (status[rows] != 206),
            "no_file": lambda rows: file.are(lambda text: text is None, rows),
            "no_client": lambda rows: address.are(NOBODY.__contains__, rows) | agent.are(NOBODY.__contains__, rows),
            "not_media": lambda rows: ~extension.are(self._asked.extensions.__contains__, rows),
            "probe": lambda rows: is_probe[rows],
            "crawler": lambda rows: agent.are(lists.is_crawler, rows),
            "data_centre": lambda rows: address.are(lists.is_data_centre, rows),
            "watch_os": lambda rows: agent.are(is_watch_os, rows),
        }
        for name, rule in rules.items():
            is_out = rule(left)
            out, left = left[is_out], left[~is_out]
            if len(out):
                sifted.left_out[name] += len(out)
            if self._tells:
                texts = (column.of(out) for column in (address, agent, file))
                sifted.told.extend(
                    zip(positions[out].tolist(), times[out].tolist(), repeat(name, len(out)), *texts, strict=True)
                )
        lo, hi, details = added(
            lo[left], hi[left], sent[left], numbers.total[left], status[left], flags[left],
            lambda: request.are(may_be_compressed, left),
        )  # fmt: skip
        marks = details.marks
        is_answered = marks & Mark.ANSWERED != 0
        proved = (
            lo, np.where(is_answered, -1, hi), np.where(marks & Mark.BYTES_ONLY, details.sent, 0),
            np.where(is_answered, hi, np.where(marks & Mark.ANSWERED_WHOLE, UNBOUNDED, -1)), marks & Mark.WHOLE != 0, details.total,
        )  # fmt: skip
        columns = (
            address.coded(left, lambda text: writable(listener_address(text))), agent.coded(left, writable), file.coded(left, writable),
            times[left], *proved, positions[left],
        )  # fmt: skip
        if len(left):
            sifted.pieces.append(pa.Table.from_arrays(list(map(pa.array, columns)), schema=PIECES))

    def packed(self, result: Sifted) -> object:
        return tuple(result)

    def unpacked(self, packed: Any) -> Sifted:
        return Sifted(*packed)


class _Texts:
    """A column of texts; what is asked of them is asked once for each that differs."""

    def __init__(self, codes: Ints, texts: Sequence[str | None]) -> None:
        """`texts`: None is the last one."""
        self._codes, self._texts = codes, texts

    @classmethod
    def of_column(cls, column: pa.DictionaryArray) -> _Texts:
        texts = texts_of(column)
        return cls(filled(column.indices, len(texts)), [*texts, None])

    def made(self, function: Callable[[str | None], str | None]) -> _Texts:
        """The column of what is made of each text."""
        return _Texts(self._codes, list(map(function, self._texts)))

    def are(self, is_asked: Callable[[Any], bool], rows: Ints) -> Bools:
        """Whether the text of each of some rows is what is asked for."""
        asked, codes = np.zeros(len(self._texts), np.bool_), self._codes[rows]
        for code in _used(codes):
            asked[code] = is_asked(self._texts[code])
        found: Bools = asked[codes]
        return found

    def of(self, rows: Ints) -> list[Any]:
        """The texts of some rows."""
        return [self._texts[code] for code in self._codes[rows].tolist()]

    def coded(self, rows: Ints, written: Callable[[Any], str]) -> pa.DictionaryArray:
        """The same as a column."""
        codes = self._codes[rows]
        used = _used(codes)
        texts = pa.array([written(self._texts[code]) for code in used], pa.string()).dictionary_encode()
        numbers = np.zeros(len(self._texts), np.int32)
        numbers[used] = texts.indices.to_numpy()
        return pa.DictionaryArray.from_arrays(numbers[codes], texts.dictionary)


def _used(codes: Ints) -> list[int]:
    used: list[int] = np.flatnonzero(np.bincount(codes)).tolist()
    return used
