"""Lines of the common family that the strict patterns refuse: tabs, runs of spaces, quotes that nobody escaped.

Reads in linear time whatever the line, or says with a BadLine what is wrong with it.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from app.domain.formats.base import BadLine
from app.domain.formats.values import STATUSES, shown

__all__ = ["Parts", "Shape", "read_damaged"]


class Shape(Enum):
    """Which of the family."""

    COMMON = "common"
    COMBINED = "combined"
    VHOST = "vhost_combined"
    RANGE = "combined_range"


class Parts(NamedTuple):
    """The columns as text; content_range is `-` where the format has none."""

    ip_address: str
    time: str
    request: str
    status: str
    sent: str
    user_agent: str
    content_range: str


_GAP = r"[ \t]+"
_TIME = re.compile(rf"(?<=[ \t])\[([^\]\[]{{0,64}})\]{_GAP}\"")
_VHOST = re.compile(rf"\S+{_GAP}")
_AFTER_REQUEST = re.compile(rf"\"{_GAP}([^ \t\"]+){_GAP}([^ \t\"]+)(?=[ \t]|\Z)")
_BETWEEN = re.compile(rf"\"{_GAP}\"")


def read_damaged(line: str, shape: Shape) -> Parts:
    """The parts of the line, or BadLine: bad_time where only the time's bracket is missing, else bad_columns."""
    if not line.strip():
        raise BadLine("bad_columns", "a blank line")
    start = 0
    if shape is Shape.VHOST:
        vhost = _VHOST.match(line)
        start = vhost.end() if vhost else 0
    time = _TIME.search(line, start)
    # a bracket behind the first quote belongs to the request
    if time is None or 0 <= line.find('"', start) < time.start():
        raise _without_time(line, start)
    before = _columns(line[start : time.start()])
    if len(before) < 3:
        raise BadLine("bad_columns", f"not host, ident and user before the time: {shown(line)}")
    if before[2:3] == ["-"] and len(before) > 3:
        raise BadLine("bad_columns", f"four columns stand before the time, as in vhost_combined: {shown(line)}")
    after = _end_of_request(line, time.end() - 1)
    if after is None:
        raise BadLine("bad_columns", f"no quoted request with status and bytes: {shown(line)}")
    user_agent, content_range = _agent_and_range(line[after.end() :].strip(" \t"), shape)
    return Parts(before[0], time[1], line[time.end() : after.start()], after[1], after[2], user_agent, content_range)


def _columns(text: str) -> list[str]:
    return [column for column in text.replace("\t", " ").split(" ") if column]


def _end_of_request(line: str, start: int) -> re.Match[str] | None:
    """The first quote with a status and bytes behind it; else the first with two columns behind it."""
    first = None
    for found in _AFTER_REQUEST.finditer(line, start):
        # the search may not see the request's opening quote as its end
        if found.start() == start:
            continue
        if len(found[1]) == 3 and found[1].isdigit():
            return found
        first = first or found
    return first


def _without_time(line: str, start: int) -> BadLine:
    quote = line.find('"', start)
    if quote >= 0 and len(_columns(line[start:quote])) >= 3:
        after = _end_of_request(line, quote)
        if after is not None and _is_status(after[1]):
            return BadLine("bad_time", f"no time in brackets before the request: {shown(line)}")
    return BadLine("bad_columns", f'not host, ident, user, [time], "request": {shown(line)}')


def _is_status(text: str) -> bool:
    try:
        STATUSES[text]
    except BadLine:
        return False
    return True


def _agent_and_range(rest: str, shape: Shape) -> tuple[str, str]:
    """What follows the bytes: nothing, or the quoted columns of the format."""
    if shape is Shape.COMMON:
        if rest:
            raise BadLine("bad_columns", f"columns after the bytes: {shown(rest)}")
        return "-", "-"
    content_range = "-"
    if not (len(rest) >= 5 and rest[0] == '"' and rest[-1] == '"'):
        raise BadLine("bad_columns", f"no quoted referer and agent after the bytes: {shown(rest)}")
    borders = list(_BETWEEN.finditer(rest))
    if len(borders) < (2 if shape is Shape.RANGE else 1):
        raise BadLine("bad_columns", f"too few quoted columns after the bytes: {shown(rest)}")
    end = len(rest) - 1
    if shape is Shape.RANGE:
        content_range = rest[borders[-1].end() : end]
        end = borders[-1].start()
    return rest[borders[0].end() : end], content_range
