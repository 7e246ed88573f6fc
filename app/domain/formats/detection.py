"""Which format the first lines of a log have: the family whose parser makes most of them hits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from app.domain.formats import FORMATS
from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.combined import (
    COMBINED,
    COMBINED_RANGE,
    COMMON,
    FAMILY,
    VHOST_COMBINED,
    has_dash_for_bytes,
    shape_of,
)
from app.domain.formats.csv_columns import csv_of_sample
from app.domain.formats.doubted_columns import doubted_columns
from app.domain.formats.prefixes import unknown_head
from app.domain.formats.unknown_heads import ANY, shapes_of

__all__ = ["dash_for_bytes", "detect", "fits", "has_hit", "with_sample"]

_LINES = 50
_LONGEST = 16_384
"""A longer line decides nothing: no log has it, and trying every parser on it would take its time."""
_DATA_OF_W3C = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} .* [1-5][0-9]{2}(?: |\Z)")
_HEAD_OF_TSV = re.compile(r"date\t[^\t]{0,20}time[^\t]{0,20}(?:\t[^\t]*){5}", re.IGNORECASE)
_NAMES = {log_format.name for log_format in FAMILY}


def detect(lines: Iterable[str], options: FormatOptions = FormatOptions()) -> Format | None:
    """The format that reads most of the first 50 lines that are neither blank nor endless; of equals the one listed first.

    One line is enough, and bad lines among them do no harm.

    The common family is one format here; which of its names is given is told by what most of these lines hold, and every name
    reads every line of it. Where no line is a hit: the format whose columns and times fit though a value is wrong, then the one
    that the head lines tell. None where nothing fits.

    >>> detect(['203.0.113.9 - - [31/Jul/2020:16:46:07 +0000] "GET / HTTP/1.1" 200 5']).name
    'common'
    """
    sample = list(islice(_telling(lines), _LINES))
    options = options._replace(heads=ANY)
    best: Format | None = None
    most = (0, 0)
    for name in FORMATS:
        if most == (len(sample), 0):
            break  # none reads more
        if name in _NAMES and name != COMMON.name:
            continue
        score = _score(FORMATS[name], sample, options)
        if score > most:
            best, most = FORMATS[name], score
    if best is COMMON:
        return _member(sample)
    return best or csv_of_sample(sample, options) or _by_shape(sample)


def fits(log_format: Format, lines: Iterable[str], options: FormatOptions) -> bool:
    """Whether a format reads at least half of the first lines that say something."""
    sample = list(islice(_telling(lines), _LINES))
    parse = log_format.make_parser((), options._replace(heads=ANY))
    read = 0
    for line in sample:
        try:
            parse(line)
        except BadLine:
            continue
        read += 1
    return bool(sample) and 2 * read >= len(sample)


def with_sample(log_format: Format, lines: Sequence[str], options: FormatOptions) -> FormatOptions:
    """The options with what the first lines of a file tell: which heads are its logger's, which columns a client may have written."""
    told = list(_telling(lines))
    if log_format in FAMILY:
        options = options._replace(doubted=doubted_columns(told))
    if options.heads:
        return options
    parse = log_format.make_parser((), options)
    parse_any = log_format.make_parser((), options._replace(heads=ANY))
    behind = [line for line in told if not _is_hit(parse, line)]
    found = [head for line in behind if _is_hit(parse_any, line) and (head := unknown_head(line))]
    return options._replace(heads=shapes_of(found, len(told) - len(behind) + len(found)))


def has_hit(log_format: Format, lines: Iterable[str], options: FormatOptions) -> bool:
    """Whether some line is a hit, whatever head it has."""
    parse = log_format.make_parser((), options._replace(heads=ANY))
    return any(_is_hit(parse, line) for line in _telling(lines))


def _is_hit(parse: LineParser, line: str) -> bool:
    try:
        return parse(line) is not None
    except BadLine:
        return False


def dash_for_bytes(lines: Iterable[str]) -> bool:
    """Whether a line of the common family writes `-` for no bytes, as columns do that hold the size of the answer."""
    return any(map(has_dash_for_bytes, _telling(lines)))


def _telling(lines: Iterable[str]) -> Iterator[str]:
    """Without blank lines, what no log has, and what an unclean end of the machine left before a line."""
    for line in lines:
        text = line.rstrip("\r\n").lstrip("\x00\ufeff")
        if text.strip() and len(text) <= _LONGEST:
            yield text


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
            fitting += error.reason in ("bad_status", "bad_range")
    return hits, fitting


def _member(sample: Sequence[str]) -> Format:
    """The name of the family that most lines of the sample go by."""
    shapes = [shape for line in sample if (shape := shape_of(line)) is not None]
    if 2 * sum(shape.virtual_host for shape in shapes) > len(shapes):
        return VHOST_COMBINED
    with_agent = [shape for shape in shapes if shape.agent]
    if shapes and 2 * len(with_agent) <= len(shapes):
        return COMMON
    has_range = any(shape.has_range for shape in with_agent) or all(shape.has_place for shape in with_agent)
    return COMBINED_RANGE if with_agent and has_range else COMBINED


def _names_of_cloudfront(sample: Sequence[str]) -> bool | None:
    """Whether a `#Fields` line is CloudFront's; None where there is none."""
    for line in sample:
        if line.lower().startswith("#fields:"):
            return "x-edge-" in line
    return None


def _by_shape(sample: Sequence[str]) -> Format | None:
    """By head lines alone, or a W3C line whose head is missing."""
    for line in sample:
        name = _shape(line)
        if name:
            return FORMATS[name]
    return None


def _shape(line: str) -> str | None:
    if line.lower().startswith("#fields:"):
        return "cloudfront" if "x-edge-" in line else "w3c"
    if line.startswith("# date\t"):
        return "cdn_tsv"
    if line.startswith('"time_micros","c_ip"'):
        return "gcs"
    if line.startswith(("#Software:", "#Version:", "#Date:")) or _DATA_OF_W3C.match(line):
        return "w3c"
    return "weblog_tsv" if _HEAD_OF_TSV.fullmatch(line) else None
