"""Log format strings: the text that a server is configured with, compiled to a reader of its lines.

The words of a text tell what each column means, so nothing has to be guessed: which bytes a byte column counts, how a
response ended, where the Content-Range is. Each server has one table of words; see `SERVERS`.
"""

from __future__ import annotations

from app.domain.formats.format_strings.compiled import (
    MAX_CHARS,
    FormatString,
    LineSpans,
    compiled,
    is_format_string,
)
from app.domain.formats.format_strings.dates import date_reader
from app.domain.formats.format_strings.hits import CLOCKS, hit_maker
from app.domain.formats.format_strings.line_pattern import Span, SpanEnd
from app.domain.formats.format_strings.servers import SERVERS
from app.domain.formats.format_strings.words import OPTIONAL, FormatTextError, Role

__all__ = [
    "CLOCKS",
    "MAX_CHARS",
    "OPTIONAL",
    "SERVERS",
    "FormatString",
    "FormatTextError",
    "LineSpans",
    "Role",
    "Span",
    "SpanEnd",
    "compiled",
    "date_reader",
    "hit_maker",
    "is_format_string",
]
