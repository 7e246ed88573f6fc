"""Which format the first lines of a log have: the one whose parser makes most of them hits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from app.domain.formats.base import BadLine, Format, FormatOptions

__all__ = ["best_format"]

_LINES = 50
_LONGEST = 16_384
"""A longer line decides nothing: no log has it, and trying every parser on it would take its time."""
_DATA_OF_W3C = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} .* [1-5][0-9]{2}(?: |\Z)")
_HEAD_OF_TSV = re.compile(r"date\t[^\t]{0,20}time[^\t]{0,20}(?:\t[^\t]*){5}", re.IGNORECASE)


def best_format(formats: Iterable[Format], lines: Sequence[str], options: FormatOptions) -> Format | None:
    """The format that reads most of the first 50 lines; of equals the one listed first.

    Where no line is a hit: the format whose columns and times fit though a value is wrong, then the one that the head lines tell.
    None where nothing fits.
    """
    sample = [line.rstrip("\r\n") for line in lines[:_LINES]]
    sample = [line for line in sample if len(line) <= _LONGEST]
    best: Format | None = None
    most = (0, 0)
    for log_format in formats:
        score = _score(log_format, sample, options)
        if score > most:
            best, most = log_format, score
    return best or _by_shape({log_format.name: log_format for log_format in formats}, sample)


def _score(log_format: Format, sample: Sequence[str], options: FormatOptions) -> tuple[int, int]:
    """(hits, lines with fitting columns and time but a bad value)."""
    if log_format.name in ("cloudfront", "w3c") and _names_of_cloudfront(sample) is (log_format.name == "w3c"):
        return 0, 0
    try:
        parse = log_format.make_parser((), options)
    except ValueError:
        # a setting of this format is wrong: whoever chooses it is told, but it does not stop the others
        return 0, 0
    hits = fitting = 0
    for line in sample:
        try:
            hits += parse(line) is not None
        except BadLine as error:
            # a bad time is no sign: any seven columns of text have one
            fitting += error.reason not in ("bad_columns", "bad_time")
    return hits, fitting


def _names_of_cloudfront(sample: Sequence[str]) -> bool | None:
    """Whether a `#Fields` line is CloudFront's; None where there is none."""
    for line in sample:
        if line.lower().startswith("#fields:"):
            return "x-edge-" in line
    return None


def _by_shape(formats: dict[str, Format], sample: Sequence[str]) -> Format | None:
    """By head lines alone, or a W3C line whose head is missing."""
    for line in sample:
        name = _shape(line)
        if name:
            return formats.get(name)
    return None


def _shape(line: str) -> str | None:
    if line.lower().startswith("#fields:"):
        return "cloudfront" if "x-edge-" in line else "w3c"
    if line.startswith("# date\t"):
        return "cdn_tsv"
    if line.startswith(("#Software:", "#Version:", "#Date:")) or _DATA_OF_W3C.match(line):
        return "w3c"
    return "weblog_tsv" if _HEAD_OF_TSV.fullmatch(line) else None
