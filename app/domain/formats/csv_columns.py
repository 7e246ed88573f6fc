"""Columns with their names in the first line, parted by commas, semicolons, tabs or `|`: Cloudflare Logpush as CSV, exports of queries.

The names are those of `json`, and so are the rules. The names are part of the format's own name, `csv:ClientIP,ClientRequestURI,…`:
so each piece of a file is read by them, and a file without its first line can be.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from app.domain.formats import CSV
from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.json_lines import RecordParser
from app.domain.formats.values import shown

__all__ = ["csv_format", "csv_of_sample"]

_FEWEST, _LONGEST = 5, 4096
_NAME = re.compile(r"[A-Za-z_@][\w@.() /-]{0,99}")
_DELIMITERS = ",;\t|"


def _columns(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


def _names(line: str) -> tuple[list[str], str]:
    """The names and what parts them. Raises ValueError if the text does not name at least _FEWEST different columns."""
    names, delimiter = max(((_columns(line, each), each) for each in _DELIMITERS), key=lambda found: len(found[0]))
    if len(names) < _FEWEST or len(set(names)) < len(names) or not all(map(_NAME.fullmatch, names)):
        raise ValueError(f"no names of at least {_FEWEST} columns between one of , ; | or tabs: {shown(line)}")
    return names, delimiter


@lru_cache(maxsize=64)
def csv_format(name: str) -> Format:
    """The format of `csv:` and names. Raises ValueError with a sentence."""
    header = name.removeprefix(CSV)
    names, delimiter = _names(header[:_LONGEST])

    def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
        hit = RecordParser(options).hit

        def parse(line: str) -> tuple[Any, ...] | None:
            columns = _columns(line, delimiter)
            if len(columns) != len(names):
                raise BadLine("bad_columns", f"{len(columns)} columns, not {len(names)}: {shown(line)}")
            if columns == names:
                return None
            # an empty column says nothing, not even that the response did not end
            return hit({key: text for key, text in zip(names, columns, strict=True) if text}, line)

        return parse

    return Format(
        name=name,
        title="Columns whose names are in the first line, or in the name of the format; the names are those of json.",
        example=header,
        make_parser=make_parser,
        # where the first line of a file names the columns, it is no line of its body
        head_prefix=header,
    )


def csv_of_sample(sample: Iterable[str], options: FormatOptions) -> Format | None:
    """The format whose names the first of some lines has, if the next ones are hits by them."""
    lines = list(sample)
    try:
        found = csv_format(f"{CSV}{lines[0]}" if lines else CSV)
    except ValueError:
        return None
    parse = found.make_parser((), options)
    for line in lines[1:]:
        try:
            if parse(line) is not None:
                return found
        except BadLine:
            continue
    return None
