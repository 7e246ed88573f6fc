"""The common log format and its kin, as Apache, nginx and many others write them: one family, read line by line.

common           host ident user [time] "request" status bytes
combined         common, then "referer" "agent"
vhost_combined   the virtual host, then combined
combined_range   combined, then the response's Content-Range: "bytes 0-499/1234", "bytes 0-499/*" or "-"

Every name reads every line of the family: what stands behind the agent is told by what it holds (`Tail`). Escapes (`\\"`,
`\\\\`, `\\xhh`) are kept as written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import Any, NamedTuple

from app.domain.extras import NO_EXTRAS, shared_extras
from app.domain.formats.base import BYTES_KINDS, BadLine, Format, FormatOptions, LineParser
from app.domain.formats.clients import addresses_of, clients_with_ports
from app.domain.formats.combined_before import clients_before, host_and_client
from app.domain.formats.combined_damaged import QUOTED, column_at, read_damaged
from app.domain.formats.endings import ending_flags
from app.domain.formats.prefixes import MOST_HEADS, without_prefix
from app.domain.formats.remembered import Remembered
from app.domain.formats.times import CLF_MINUTES, CLF_SECONDS
from app.domain.formats.unread import looks_like
from app.domain.formats.values import REQUESTS, STATUSES, content_range, number
from app.domain.records import HitFlag

__all__ = [
    "COMBINED",
    "COMBINED_RANGE",
    "COMMON",
    "DASH_FOR_BYTES",
    "FAMILY",
    "VHOST_COMBINED",
    "Shape",
    "has_dash_for_bytes",
    "shape_of",
]


def _pattern(text: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(text, re.DOTALL).fullmatch


_match = _pattern(
    rf'([^\["]*[^\[" ]) \[([^\] ]{{17}})([^\]]*+)\] "({QUOTED})" ([0-9]{{3}}) ([0-9]++|-)(?: "({QUOTED})" "({QUOTED})"((?: .*+)?))?'
)
_match_range = _pattern(r' "bytes ([0-9]{1,18})-([0-9]{1,18})/(?:([0-9]{1,18})|\*)"')
_match_nothing = _pattern(r"(?!)")
_FIRST_BEHIND_BYTES, _FIRST_BEHIND_AGENT = 8, 10
_MOST_COLUMNS = 100
_ENDED = int(HitFlag.ENDED)
DASH_FOR_BYTES = (
    "`-` stands for no bytes, as in columns that hold the size of the answer: is WEBLOGS_BYTES=announced right?"
)
"""What is counted for a line with `-` where the setting says that bytes are those of the body."""


_DOUBTED = "a column says what a server would, but others of its place do not: a client may have written it"


class Tail(NamedTuple):
    """What the columns behind the agent hold."""

    lo: int | None = None
    hi: int | None = None
    total: int | None = None
    flags: int = 0
    forwarded: tuple[str, ...] = ()
    """Addresses that proxies passed on."""
    ends_in_dash: bool = False
    """Behind the range a last `-` without quotes: Apache's `%X` of a connection that was closed afterwards, or an empty column."""
    unread: tuple[str, ...] = ()
    """One phrase for each column that says something else."""


def tail_of(text: str, doubted: Container[str] = ()) -> Tail | None:
    """The columns in `text`, which begins with a blank; None where it is not made of columns. `doubted`: app.domain.formats.doubted_columns.

    The range is the column that holds a Content-Range, wherever it stands; where two differ, none is believed.

    >>> tail_of(' "203.0.113.1, 10.0.0.1" "bytes 0-499/1000" 0.003').lo
    0
    """
    columns: list[tuple[str, bool]] = []
    at = 0
    while at < len(text):
        found = column_at(text, at)
        if found is None:
            if text[at:].strip(" \t"):
                return None
            break
        columns.append(found[:2])
        at = found[2]
        if len(columns) > _MOST_COLUMNS:
            break
    return tail_of_columns(columns, doubted=doubted)


def tail_of_columns(columns: Sequence[tuple[str, bool]], before_agent: int = 0, doubted: Container[str] = ()) -> Tail:
    """The same for columns that are parted already: text, and whether it was quoted. So many of them stand before referer and agent."""
    ranges: list[tuple[int | None, int | None, int | None]] = []
    forwarded: tuple[str, ...] = ()
    flags, unread, ends_in_dash, last_was_range = 0, [], False, False
    for place, (text, quoted) in enumerate(columns):
        if quoted and "/" in text and (found := content_range(text)) != (None, None, None):
            if f"range:{place - before_agent}" in doubted:
                unread.append(_DOUBTED)
                last_was_range = False
                continue
            ranges.append(found)
            last_was_range = True
            continue
        is_last = place + 1 == len(columns)
        ending = ending_flags(text, quoted, last_was_range and (is_last or (text == "X" and not quoted)))
        if ending is not None:
            is_doubted = ending & _ENDED and f"end:{place - before_agent}" in doubted
            if is_doubted:
                unread.append(_DOUBTED)
            flags |= ending & ~_ENDED if is_doubted else ending
        elif text in ("-", ""):
            ends_in_dash = is_last and last_was_range and not quoted
            last_was_range = quoted and text == "-"
            continue
        elif not forwarded and (
            listed := addresses_of(text) or (f"ports:{place - before_agent}" in doubted and clients_with_ports(text))
        ):
            forwarded = tuple(listed)
        else:
            number_of = place + (_FIRST_BEHIND_BYTES if place < before_agent else _FIRST_BEHIND_AGENT)
            unread.append(f"column {number_of} was not read: looks like {looks_like(text)}")
        last_was_range = False
    lo, hi, total = ranges[0] if len(set(ranges)) == 1 else (None, None, None)
    if len(set(ranges)) > 1:
        unread.append("the ranges of a line differ, and none of them was read")
    return Tail(lo, hi, total, flags, forwarded, ends_in_dash, tuple(unread))


_TAILS = Remembered(tail_of, longest=48)


class _Line(NamedTuple):
    before: str
    """What stands before the time: host, ident and user, perhaps behind the virtual host."""
    time: str
    request: str
    status: str
    sent: str
    user_agent: str
    tail: Tail


class _Parser:
    """Reads every line of the family, and counts what it passes over."""

    def __init__(self, options: FormatOptions) -> None:
        self._clients, self._before = clients_before(options.trusted_proxies)
        self._extras_of = shared_extras(options.fields)
        self._flags = BYTES_KINDS[options.bytes]
        self._heads, self._doubted = options.heads, frozenset(options.doubted.split())
        self._tails = Remembered(partial(tail_of, doubted=self._doubted), longest=48) if self._doubted else _TAILS
        self._match_range = _match_nothing if "range:0" in self._doubted else _match_range
        self.unread: Counter[str] = Counter()
        """What was passed over, in words, and how many times."""

    def __call__(self, line: str, heads: int = MOST_HEADS) -> tuple[Any, ...] | None:
        """`heads`: so many of what loggers write may stand before it."""
        found = _match(line)
        if found is None:
            return self._odd(line, heads)
        before, minute, second, request_text, status, sent, referer, user_agent, rest = found.groups()
        try:
            ip_address, host = self._before[before]
        except BadLine as bad:
            return self._behind(line, heads, bad)
        time = CLF_MINUTES[minute] + CLF_SECONDS[second]
        request, method, flags = REQUESTS[request_text]
        flags |= self._flags
        if sent != "-" and len(sent) < 1000:
            bytes_sent: int | None = int(sent)
        else:
            bytes_sent = self._bytes(sent)
        extras = NO_EXTRAS if self._extras_of is None else self._extras_of[referer or "-", host]
        if not rest:
            agent = "-" if user_agent is None else user_agent
            return (
                time,
                ip_address,
                agent,
                request,
                method,
                STATUSES[status],
                None,
                None,
                bytes_sent,
                None,
                flags,
                extras,
            )
        code = STATUSES[status]
        plain = self._match_range(rest)
        if plain is not None:
            lo, hi, total = plain.groups()
            first, last = int(lo), int(hi)
            if first <= last:
                sent_of_range = 0 if bytes_sent is None else bytes_sent
                size = None if total is None else int(total)
                return (
                    time,
                    ip_address,
                    user_agent,
                    request,
                    method,
                    code,
                    first,
                    last,
                    sent_of_range,
                    size,
                    flags,
                    extras,
                )
        tail = self._tails[rest]
        if tail is None:
            return self._odd(line, heads)
        return self._with_tail(time, ip_address, user_agent, request, method, code, bytes_sent, flags, extras, tail)

    def _with_tail(
        self,
        time: float,
        client: str | None,
        user_agent: str,
        request: str,
        method: str | None,
        status: int,
        bytes_sent: int | None,
        flags: int,
        extras: dict[str, str],
        tail: Tail,
    ) -> tuple[Any, ...]:
        lo, hi, total, more, forwarded, ends_in_dash, unread = tail
        if unread:
            self.unread.update(unread)
        if forwarded:
            client = self._clients.behind(client, forwarded)
        flags |= more
        if lo is not None and hi is not None:
            # `-` is how CLF writes that no byte was sent: beside an announced range it must not pass for all of them
            bytes_sent = 0 if bytes_sent is None else bytes_sent
            if ends_in_dash and bytes_sent > hi - lo:
                flags |= _ENDED
        return time, client, user_agent, request, method, status, lo, hi, bytes_sent, total, flags, extras

    def _odd(self, line: str, heads: int) -> tuple[Any, ...] | None:
        """A line that the strict pattern refuses: read behind what stands before it, or as a damaged one."""
        try:
            return self._damaged(line)
        except BadLine as bad:
            return self._behind(line, heads, bad)

    def _behind(self, line: str, heads: int, bad: BadLine) -> tuple[Any, ...] | None:
        try:
            rest = without_prefix(line, self._heads) if heads else None
            if rest is None:
                raise bad
            return self(rest, heads - 1)
        finally:
            del bad  # a frame and an error that name each other: see read_behind

    def _damaged(self, line: str) -> tuple[Any, ...]:
        parts = read_damaged(line)
        client, host = self._before[parts.before]
        minute, second = parts.time[:17], parts.time[17:]
        # Python's http.server writes a blank behind the date, and no zone
        time = (
            CLF_MINUTES[minute]
            + CLF_SECONDS[f"{second} +0000" if minute[11:12] == " " and len(second) == 3 else second]
        )
        request, method, flags = REQUESTS[parts.request]
        # a client that left before any answer is written `-` by loggers of applications
        code = 0 if parts.status == parts.sent == "-" else STATUSES[parts.status]
        if parts.sent != "-" and not (parts.sent.isascii() and parts.sent.isdigit()):
            raise BadLine("bad_columns", f"bytes is no number: {parts.sent[:60]!r}")
        tail = tail_of_columns(parts.columns, parts.before_agent, self._doubted)
        return self._with_tail(
            time,
            client,
            parts.user_agent,
            request,
            method,
            code,
            self._bytes(parts.sent),
            flags | self._flags,
            NO_EXTRAS if self._extras_of is None else self._extras_of[parts.referer, host],
            tail,
        )

    def _bytes(self, text: str) -> int | None:
        if text == "-":
            if not self._flags:
                self.unread[DASH_FOR_BYTES] += 1
            return None
        return number(text, "bytes")


class Shape(NamedTuple):
    """What a line of the family has, for the name that a log of such lines gets."""

    virtual_host: bool
    agent: bool
    has_range: bool
    """A Content-Range stands in it."""
    has_place: bool
    """`-` stands where combined_range has the range."""
    bytes_dash: bool
    """`-` for the bytes."""


def shape_of(line: str) -> Shape | None:
    """The shape of a line, behind what loggers wrote before it; None for one that is not written as servers write it."""
    for _ in range(MOST_HEADS):
        found = _match(line)
        # a syslog head is no virtual host
        if found is not None and _columns_before(found[1]) is not None:
            break
        rest = without_prefix(line)
        if rest is None:
            return None
        line = rest
    else:
        return None
    before, _, _, _, _, sent, _, user_agent, rest = found.groups()
    columns = _columns_before(before) or []
    tail = (_TAILS[rest] if rest else None) or Tail()
    is_range = tail.lo is not None or tail.total is not None
    return Shape(len(columns) > 3 and columns[1] != "-", user_agent is not None, is_range, rest == ' "-"', sent == "-")


def has_dash_for_bytes(line: str) -> bool:
    """Whether a line of the family, however it is written, has `-` for the bytes beside a status."""
    shape = shape_of(line)
    if shape is not None:
        return shape.bytes_dash
    for _ in range(MOST_HEADS):
        try:
            parts = read_damaged(line)
        except BadLine:
            pass
        else:
            return parts.sent == "-" and parts.status != "-"
        rest = without_prefix(line)
        if rest is None:
            return False
        line = rest
    return False


def _columns_before(before: str) -> list[str] | None:
    try:
        host_and_client(before)
    except BadLine:
        return None
    return before.replace(", ", ",").split()


def make_parser(head: Sequence[str], options: FormatOptions) -> LineParser:
    """The parser of the whole family. Raises ValueError where a setting is wrong."""
    return _Parser(options)


_LINE = '203.0.113.9 - - [31/Jul/2020:16:46:07 +0000] "GET /films/1.mp4 HTTP/1.1" 206 290'
_OTHER = '2001:db8::7 - ann [31/Jul/2020:22:16:09 +0530] "GET /films/1.mp4 HTTP/2.0" 206 289'
_AGENTS = '"https://example.com/" "Mozilla/5.0 (X11; rv:78.0) Firefox/78.0"'

COMMON = Format(
    name="common",
    title='Common log format: host ident user [time] "request" status bytes; the agent is not in it and counts as -.',
    example=f"{_LINE}\n{_OTHER}",
    make_parser=make_parser,
)
COMBINED = Format(
    name="combined",
    title='Combined log format: common, then "referer" "agent" (the default of nginx).',
    example=f"{_LINE} {_AGENTS}\n{_OTHER} {_AGENTS}",
    make_parser=make_parser,
)
VHOST_COMBINED = Format(
    name="vhost_combined",
    title="The virtual host with its port, then combined.",
    example=f"example.com:443 {_LINE} {_AGENTS}\nexample.com:80 {_OTHER} {_AGENTS}",
    make_parser=make_parser,
)
COMBINED_RANGE = Format(
    name="combined_range",
    title='Combined, then the response\'s Content-Range in quotes, and perhaps how the response ended: "bytes 0-499/1234" "OK".',
    example=f'{_LINE} {_AGENTS} "bytes 0-289/579"\n{_OTHER} {_AGENTS} "bytes 290-578/*"',
    make_parser=make_parser,
)
FAMILY = (COMMON, COMBINED, VHOST_COMBINED, COMBINED_RANGE)
