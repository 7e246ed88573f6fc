"""What every log format is: a name, an example, and a parser made from its head lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from app.domain.records import HitFlag, Parsed

__all__ = ["AUTO", "BYTES_KINDS", "BadLine", "Format", "FormatOptions", "LineParser", "unread_by"]

AUTO = "auto"
"""In place of a format's name: the lines of each source tell it."""

BYTES_KINDS = {"": 0, "body": 0, "with-headers": int(HitFlag.HEADERS_COUNTED), "announced": int(HitFlag.ANNOUNCED)}
"""What a byte column can count, by the words of the setting, and the flags that say so. Empty: what the format says, the body."""

LineParser = Callable[[str], "Parsed | tuple[Any, ...] | None"]
"""From one line without its line end to a tuple in the order of Parsed, or None for a head line. Raises BadLine."""


class BadLine(ValueError):
    """A line that is no hit."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class FormatOptions(NamedTuple):
    """What a parser needs to know beyond the line; each value is the text of its setting."""

    json_fields: str = ""
    realtime_fields: str = ""
    bytes: str = ""
    """One of BYTES_KINDS."""
    trusted_proxies: str = ""
    """Networks, comma-separated; empty: loopback and private ones."""
    query: str = "keep"
    """What of a query belongs to the file, for app.domain.requests.query_rule: no parser looks at it."""
    fields: str = ""
    """The optional fields that hits get, comma-separated: app.domain.extras. Empty: none, which is fastest."""
    heads: str = ""
    """Which heads of unknown loggers are passed over, as app.domain.formats.unknown_heads writes it. Empty: none."""
    doubted: str = ""
    """Columns of the common family behind the agent that a client may have written, by app.domain.formats.doubted_columns."""


def unread_by(parse: LineParser) -> dict[str, int]:
    """What a parser passed over since it was last asked: a sentence and how many times."""
    counted = getattr(parse, "unread", None)
    if not counted:
        return {}
    found = dict(counted)
    counted.clear()
    return found


class Format(NamedTuple):
    """One log format."""

    name: str
    title: str
    """One sentence for the list of formats."""
    example: str
    """Real-looking lines, head lines included, joined by newlines."""
    make_parser: Callable[[Sequence[str], FormatOptions], LineParser]
    """From the head lines seen so far and the options to a parser. The parser may keep what later head lines say."""
    header_row: bool = False
    """The first line of a source may name the columns: where it is no hit there, it is a head line."""
    head_prefix: str = ""
    """Lines that begin with it are head lines wherever they stand; they may change how the next lines are read."""
