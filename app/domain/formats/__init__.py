"""Log formats: one module each, listed here in the order in which they are shown and tried.

A parser takes one line and returns a plain tuple in the order of records.Parsed, or None for a head line, or raises
BadLine. A client that names no agent has the agent `-`; a line that names no client at all has nulls.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from app.domain.formats import (
    azure_storage,
    cdn_tsv,
    cloudfront,
    cloudfront_realtime,
    combined,
    gcs,
    haproxy,
    heroku,
    json_lines,
    known_texts,
    load_balancer,
    logfmt,
    ltsv,
    s3,
    squid,
    w3c,
    weblog_tsv,
)
from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.csv_columns import PREFIX, csv_format
from app.domain.formats.detection import best_format, dash_for_bytes, fits, has_hit, with_sample
from app.domain.formats.format_strings import FormatTextError, compiled, is_format_string

__all__ = [
    "FORMATS",
    "BadLine",
    "Format",
    "FormatOptions",
    "LineParser",
    "dash_for_bytes",
    "detect",
    "fits",
    "get",
    "has_hit",
    "is_text",
    "with_sample",
]

FORMATS: dict[str, Format] = {
    log_format.name: log_format
    for log_format in (
        weblog_tsv.FORMAT,
        *combined.FAMILY,
        cloudfront.FORMAT,
        cloudfront_realtime.FORMAT,
        s3.FORMAT,
        w3c.FORMAT,
        json_lines.FORMAT,
        ltsv.FORMAT,
        squid.FORMAT,
        haproxy.FORMAT,
        load_balancer.FORMAT,
        known_texts.ENVOY,
        known_texts.BUNNY,
        known_texts.NGINX_PROXY_MANAGER,
        known_texts.GOROUTER,
        known_texts.ALIBABA_CDN,
        known_texts.HUAWEI_CDN,
        known_texts.TENCENT_CDN,
        known_texts.WP_ENGINE,
        known_texts.KINSTA,
        known_texts.ACTIX,
        known_texts.OAUTH2_PROXY,
        known_texts.GIN,
        gcs.FORMAT,
        heroku.FORMAT,
        azure_storage.FORMAT,
        logfmt.FORMAT,
        cdn_tsv.FORMAT,
    )
}
"""Name to format, in the order in which they are shown and tried."""


def get(name: str) -> Format:
    """The format of this name, or of this format string. Raises LookupError with a sentence that names what comes close."""
    try:
        return FORMATS[name]
    except KeyError:
        if is_text(name):
            return _of_text(name)
        near = get_close_matches(name.lower(), FORMATS, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"the formats are {', '.join(FORMATS)}"
        raise LookupError(f"there is no log format {name[:60]!r}; {hint}") from None


def is_text(name: str) -> bool:
    """Whether a format's name is a text that says how lines are written: a format string, or `csv:` and the names of columns."""
    return name.startswith(PREFIX) or is_format_string(name)


def _of_text(text: str) -> Format:
    try:
        return csv_format(text) if text.startswith(PREFIX) else compiled(text).format
    except (FormatTextError, ValueError) as error:
        raise LookupError(str(error)) from None


def detect(lines: Iterable[str], options: FormatOptions = FormatOptions()) -> Format | None:
    """The format of a log's first lines, or None where none fits: 50 count of those that are neither blank nor endless.

    One line is enough, and bad lines among them do no harm.

    >>> detect(['203.0.113.9 - - [31/Jul/2020:16:46:07 +0000] "GET / HTTP/1.1" 200 5']).name
    'common'
    """
    return best_format(FORMATS.values(), lines, options)
