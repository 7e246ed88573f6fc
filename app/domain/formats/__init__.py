"""Log formats: one module each, listed here in the order in which they are shown and tried, and imported when one is asked for.

A parser takes one line and returns a plain tuple in the order of records.Parsed, or None for a head line, or raises
BadLine. A client that names no agent has the agent `-`; a line that names no client at all has nulls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser

__all__ = ["CSV", "FORMATS", "BadLine", "Format", "FormatOptions", "LineParser", "get", "is_text"]

CSV = "csv:"
"""A format's name that begins with it names the columns, too: app.domain.formats.csv_columns."""


class _Formats(Mapping[str, Format]):
    """Name to format."""

    def __init__(self, places: Mapping[str, tuple[str, str]]) -> None:
        """Where each format is: a module of this package, and the name that it has there."""
        self._places = places

    def __getitem__(self, name: str) -> Format:
        module, attribute = self._places[name]
        log_format: Format = getattr(import_module(f"app.domain.formats.{module}"), attribute)
        return log_format

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


FORMATS = _Formats(
    {
        "weblog_tsv": ("weblog_tsv", "FORMAT"),
        "common": ("combined", "COMMON"),
        "combined": ("combined", "COMBINED"),
        "vhost_combined": ("combined", "VHOST_COMBINED"),
        "combined_range": ("combined", "COMBINED_RANGE"),
        "cloudfront": ("cloudfront", "FORMAT"),
        "cloudfront_realtime": ("cloudfront_realtime", "FORMAT"),
        "s3": ("s3", "FORMAT"),
        "w3c": ("w3c", "FORMAT"),
        "json": ("json_lines", "FORMAT"),
        "ltsv": ("ltsv", "FORMAT"),
        "squid": ("squid", "FORMAT"),
        "haproxy": ("haproxy", "FORMAT"),
        "alb": ("load_balancer", "FORMAT"),
        "envoy": ("known_texts", "ENVOY"),
        "bunny": ("known_texts", "BUNNY"),
        "nginx_proxy_manager": ("known_texts", "NGINX_PROXY_MANAGER"),
        "gorouter": ("known_texts", "GOROUTER"),
        "alibaba_cdn": ("known_texts", "ALIBABA_CDN"),
        "huawei_cdn": ("known_texts", "HUAWEI_CDN"),
        "tencent_cdn": ("known_texts", "TENCENT_CDN"),
        "wp_engine": ("known_texts", "WP_ENGINE"),
        "kinsta": ("known_texts", "KINSTA"),
        "actix": ("known_texts", "ACTIX"),
        "oauth2_proxy": ("known_texts", "OAUTH2_PROXY"),
        "gin": ("known_texts", "GIN"),
        "gcs": ("gcs", "FORMAT"),
        "heroku": ("heroku", "FORMAT"),
        "azure_storage": ("azure_storage", "FORMAT"),
        "logfmt": ("logfmt", "FORMAT"),
        "cdn_tsv": ("cdn_tsv", "FORMAT"),
    }
)
"""Name to format, in the order in which they are shown and tried."""


def get(name: str) -> Format:
    """The format of this name, or of this format string. Raises LookupError with a sentence that names what comes close."""
    if name in FORMATS:
        return FORMATS[name]
    if is_text(name):
        return _of_text(name)
    from difflib import get_close_matches  # few names are wrong

    near = get_close_matches(name.lower(), FORMATS, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"the formats are {', '.join(FORMATS)}"
    raise LookupError(f"there is no log format {name[:60]!r}; {hint}")


def is_text(name: str) -> bool:
    """Whether a format's name is a text that says how lines are written: a format string, or `csv:` and the names of columns."""
    from app.domain.formats.format_strings import is_format_string  # what compiles texts is slow to load

    return name.startswith(CSV) or is_format_string(name)


def _of_text(text: str) -> Format:
    from app.domain.formats.csv_columns import csv_format  # slow to load, too
    from app.domain.formats.format_strings import FormatTextError, compiled

    try:
        return csv_format(text) if text.startswith(CSV) else compiled(text).format
    except (FormatTextError, ValueError) as error:
        raise LookupError(str(error)) from None
