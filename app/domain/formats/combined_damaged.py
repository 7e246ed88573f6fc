"""Lines of the common family that the strict pattern refuses: tabs, runs of blanks, quotes that nobody escaped, and columns
where others have none: between time and request, between bytes and referer.

Reads in linear time whatever the line, or says with a BadLine what is wrong with it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from app.domain.formats.base import BadLine
from app.domain.formats.values import STATUSES, content_range, shown

__all__ = ["QUOTED", "Parts", "column_at", "read_damaged"]


class Parts(NamedTuple):
    """The columns as text."""

    before: str
    """Host, ident and user, perhaps behind the virtual host."""
    time: str
    request: str
    status: str
    sent: str
    referer: str
    user_agent: str
    columns: list[tuple[str, bool]]
    """What else stands behind the bytes, and whether it was quoted."""
    before_agent: int
    """So many of the columns stand before the place of referer and agent."""


_GAP = r"[ \t]+"
_TIME = re.compile(
    rf"(?<=[ \t])\[([^\]\[]{{0,64}})\](?:{_GAP}[^ \t\"\[\]]{{1,255}}){{0,2}}(?:{_GAP}\"[A-Za-z0-9_*.:-]{{1,255}}\"{_GAP}(?=\"))?[ \t]*\""
)
_AFTER_REQUEST = re.compile(rf"\"{_GAP}([^ \t\"]+){_GAP}([^ \t\"]+)(?=[ \t]|\Z)")
_BETWEEN = re.compile(rf"\"{_GAP}\"")
QUOTED = r'[^"\\]*+(?:\\.[^"\\]*+)*+'
"""A text in quotes, its escapes as they are written."""
_PLAIN = re.compile(rf"\"({QUOTED})\"{_GAP}\"({QUOTED})\"(?=[ \t]|\Z)", re.DOTALL)
_COLUMN = re.compile(
    rf"{_GAP}(?:\"({QUOTED})\"|([A-Za-z][\w.-]{{0,63}})[=:]\"({QUOTED})\"|\[(bytes [0-9*/-]{{1,80}})\]|([^\" \t][^ \t]*))(?=[ \t]|\Z)",
    re.DOTALL,
)
_OF_THE_RESPONSE = (
    r"(?!http_|(?:.*[_.-])?(?:req(?!uest_compl)|client|upstream|backend|origin|bere|(?:if|up|us|be)[_.-]))(?:\w+[_.-])?"
)
_NAMES_READ = re.compile(
    rf"http_x_(?:forwarded_for|real_ip)|{_OF_THE_RESPONSE}(?:(?:content|byte|resp|response|sent)?[_-]?range|cr|completion|completed?|compl?|ended|ending|end"
    r"|termination(?:[_-]state)?|x[_-]?ff|forwarded[_-]?for|real[_-]?ip)",
    re.IGNORECASE,
)
"""Names of columns whose text is read as if it stood alone: the response's range, how it ended, forwarded addresses. What a client
asked for and what an origin sent say nothing of what the client was sent."""
_CUT = re.compile(rf'{_OF_THE_RESPONSE}complet(?:ion|ed?)[=:](?:"")?', re.IGNORECASE)
"""nginx's empty $request_completion behind its name: it needs no place behind the range to be known."""
_BARE = re.compile(r"([^\" \t][^ \t]*)(?:[ \t]+|\Z)")
_PRODUCT = re.compile(r"[A-Za-z][\w.+-]*/[0-9].*|Mozilla/.*", re.DOTALL)
_BARE_LAST = re.compile(r"(?<=[\" \t])[ \t]([^\" \t]+)\Z")
_MOST_COLUMNS = 100


def read_damaged(line: str) -> Parts:
    """The parts of the line, or BadLine: bad_time where only the time's bracket is missing, else bad_columns."""
    if not line.strip():
        raise BadLine("bad_columns", "a blank line")
    time = _TIME.search(line)
    # a bracket behind the first quote belongs to the request
    if time is None or 0 <= line.find('"') < time.start():
        raise _without_time(line)
    before = line[: time.start()].strip(" \t")
    after = _end_of_request(line, time.end() - 1)
    if after is None:
        raise BadLine("bad_columns", f"no quoted request with status and bytes: {shown(line)}")
    behind = _agents_and_columns(line[after.end() :].strip(" \t"))
    return Parts(before, time[1], line[time.end() : after.start()], after[1], after[2], *behind)


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


def _without_time(line: str) -> BadLine:
    quote = line.find('"')
    if quote >= 0 and len(_columns(line[:quote])) >= 3:
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


def _agents_and_columns(rest: str) -> tuple[str, str, list[tuple[str, bool]], int]:
    """What follows the bytes: columns without quotes, the quoted referer and agent, and more columns; each of them may be missing."""
    before: list[tuple[str, bool]] = []
    at = 0
    while (bare := _BARE.match(rest, at)) is not None and len(before) < _MOST_COLUMNS:
        before.append((bare[1], False))
        at = bare.end()
    rest = rest[at:]
    if not rest:
        return "-", "-", before, len(before)
    plain = _PLAIN.match(rest)
    if plain is not None and (not before or plain[1] in ("-", "") or "://" in plain[1]):
        columns = _columns_of(rest, plain.end())
        if columns is not None:
            return plain[1], plain[2], before + columns, len(before)
    if before:
        return _agent_alone(rest, before)
    return *_with_bare_quotes(rest), 0


def _agent_alone(rest: str, before: list[tuple[str, bool]]) -> tuple[str, str, list[tuple[str, bool]], int]:
    """Of columns that have no referer: the first that is written as a product is the agent."""
    columns = _columns_of(f" {rest}", 0)
    if columns is None:
        raise BadLine("bad_columns", f"no quoted referer and agent after the bytes: {shown(rest)}")
    place = next((at for at, (text, quoted) in enumerate(columns) if quoted and _PRODUCT.fullmatch(text)), None)
    agent = "-" if place is None else columns.pop(place)[0]
    return "-", agent, before + columns, len(before) + len(columns)


def column_at(text: str, at: int) -> tuple[str, bool, int] | None:
    """The column behind the blanks there: its text, whether it was quoted, where it ends. None where something else stands there.

    >>> column_at(' "bytes 0-499/1000" 0.1', 0), column_at(' cr="bytes 0-499/1000"', 0)
    (('bytes 0-499/1000', True, 19), ('bytes 0-499/1000', True, 22))
    >>> column_at(' [bytes 0-499/1000]', 0), column_at(' health="OK"', 0), column_at('x', 0)
    (('bytes 0-499/1000', True, 19), ('health="OK"', False, 12), None)
    """
    found = _COLUMN.match(text, at)
    if found is None:
        return None
    quoted, name, named, bracketed, plain = found.groups()
    if (named == "" or (plain is not None and plain[-1] in "=:")) and _CUT.fullmatch(found[0].lstrip(" \t")):
        return "incomplete", False, found.end()
    if plain is not None:
        return plain, False, found.end()
    if name is not None and not _NAMES_READ.fullmatch(name):
        return found[0].lstrip(" \t"), False, found.end()
    return quoted if quoted is not None else named if named is not None else bracketed, True, found.end()


def _columns_of(rest: str, at: int) -> list[tuple[str, bool]] | None:
    """The columns from there on, or None where something else stands there."""
    columns: list[tuple[str, bool]] = []
    while at < len(rest) and len(columns) < _MOST_COLUMNS:
        found = column_at(rest, at)
        if found is None:
            return None
        columns.append(found[:2])
        at = found[2]
    return columns


def _with_bare_quotes(rest: str) -> tuple[str, str, list[tuple[str, bool]]]:
    """Where quotes stand inside of referer or agent: the last columns are those that surely are some, the agent is what is left."""
    columns: list[tuple[str, bool]] = []
    while rest[-1:] != '"' and (bare := _BARE_LAST.search(rest)) is not None and len(columns) < _MOST_COLUMNS:
        columns.insert(0, (bare[1], False))
        rest = rest[: bare.start()].rstrip(" \t")
    if len(rest) < 5 or rest[-1] != '"':
        raise BadLine("bad_columns", f"no quoted referer and agent after the bytes: {shown(rest)}")
    borders = list(_BETWEEN.finditer(rest))
    if not borders:
        raise BadLine("bad_columns", f"too few quoted columns after the bytes: {shown(rest)}")
    end = len(rest) - 1
    while len(borders) > 1:
        last = rest[borders[-1].end() : end]
        if last != "-" and content_range(last) == (None, None, None):
            break
        columns.insert(0, (last, True))
        end = borders.pop().start()
    return rest[1 : borders[0].start()], rest[borders[0].end() : end], columns
