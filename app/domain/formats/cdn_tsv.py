"""Tab-separated log of a CDN without client columns: `# date`, time, size, url; dates are day/month/year, times UTC."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from app.domain.extras import NO_EXTRAS
from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.times import iso_time
from app.domain.formats.values import count, shown

__all__ = ["FORMAT"]

_EXAMPLE = """\
# date\ttime\tsize\turl
24/08/2020\t16:46:07\t10451\thttps://cdn.example.com/images/1.jpg
24/08/2020\t16:46:09\t150\thttps://cdn.example.com/main.js"""
_DEFAULT = ("date", "time", "size", "url")
_DATE = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4})")
_WIDEST = 1000


class _Parser:
    """Keeps the columns that the last head line named."""

    def __init__(self, head: Sequence[str]) -> None:
        self._names: Sequence[str] = _DEFAULT
        for line in head:
            self._read_head(line)

    def __call__(self, line: str) -> tuple[Any, ...] | None:
        if line.startswith("#"):
            self._read_head(line)
            return None
        columns = line.split("\t")
        if len(columns) != len(self._names):
            raise BadLine("bad_columns", f"{len(columns) if line else 0} columns, not {len(self._names)}")
        # the first of two columns of one name counts
        values = dict(zip(reversed(self._names), reversed(columns), strict=True))
        found = _DATE.fullmatch(values["date"])
        if found is None:
            raise BadLine("bad_time", f"no date as day/month/year: {shown(values['date'])}")
        time = iso_time(f"{found[3]}-{found[2]}-{found[1]} {values['time']}")
        return time, None, None, values["url"], None, 200, None, None, count(values["size"], "size"), None, 0, NO_EXTRAS

    def _read_head(self, line: str) -> None:
        """Takes the names of a line that names all four columns; other comments change nothing."""
        names = [name.strip().lower() for name in line[1:].split("\t")][:_WIDEST]
        if set(_DEFAULT) <= set(names):
            self._names = names


def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
    return _Parser(head)


FORMAT = Format(
    name="cdn_tsv",
    title="Tab-separated: # date (day/month/year), time, size, url; no client, so hits are kept and not merged.",
    example=_EXAMPLE,
    make_parser=make_parser,
    head_prefix="#",
)
