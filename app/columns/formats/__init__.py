"""What reads the lines of a format as columns, for the formats that have one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from app.domain.formats import FORMATS
from app.domain.formats.base import AUTO, FormatOptions
from app.domain.formats.combined import COMBINED, COMBINED_RANGE
from app.domain.formats.weblog_tsv import FORMAT as WEBLOG_TSV

if TYPE_CHECKING:
    from app.columns.blocks import LineColumns

__all__ = ["has_columns", "load_columns", "read_block"]

_NAMED = frozenset({WEBLOG_TSV.name, COMBINED.name, COMBINED_RANGE.name})


def has_columns(form: str) -> bool:
    """Whether lines of a format can be read as columns, given its name or a format string that compiles.

    >>> has_columns("combined"), has_columns("nginx:combined"), has_columns("s3")
    (True, True, False)
    """
    if form in FORMATS:
        return form in _NAMED
    from app.domain.formats.format_strings import compiled, is_format_string  # slow to load

    return is_format_string(form) and compiled(form).spans is not None


def load_columns(form: str) -> None:
    """Load now what the first lines load, if they may be read as columns: they do not wait for it."""
    if form == AUTO or has_columns(form):
        read_block(WEBLOG_TSV.name if form == AUTO else form, b"", 0.0)
        import_module("app.columns.hits")


def read_block(
    form: str,
    data: bytes,
    arrived: float,
    position: int = 0,
    header_row: bool = False,
    every_status: bool = False,
    options: FormatOptions = FormatOptions(),
    with_flags: bool = True,
) -> LineColumns | None:
    """Whole lines of a format that has columns as such, with the facts that read_lines gives; None if they cannot be read so.

    `options` are those of the format's parser; `position`, `arrived` and `header_row` are those of read_lines. Unless `every_status`, the columns hold 200 and 206 alone. Unless `with_flags`, flags may be missing.
    numpy and pyarrow are loaded with the first call: what reads little does without.
    """
    if form == WEBLOG_TSV.name:
        from app.columns.formats import weblog_tsv

        return weblog_tsv.read_block(data, arrived, position, header_row, every_status, options)
    if form not in _NAMED:
        from app.columns.formats import format_strings

        return format_strings.read_block(form, data, arrived, position, every_status, options)
    from app.columns.formats import combined

    return combined.read_block(form, data, arrived, position, every_status, options, with_flags)
