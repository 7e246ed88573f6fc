"""Log format strings: the text that a server is configured with, compiled to a reader of its lines.

The words of a text tell what each column means, so nothing has to be guessed: which bytes a byte column counts, how a
response ended, where the Content-Range is. Each server has one table of words; see `SERVERS`.
"""

from __future__ import annotations

from app.domain.formats.format_strings.compiled import MAX_CHARS, FormatString, compiled, is_format_string
from app.domain.formats.format_strings.servers import SERVERS
from app.domain.formats.format_strings.words import FormatTextError

__all__ = ["MAX_CHARS", "SERVERS", "FormatString", "FormatTextError", "compiled", "is_format_string"]
