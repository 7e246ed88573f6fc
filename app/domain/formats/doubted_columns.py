"""Columns behind the agent of a line of the common family that a client may have written, by what others of a file have in that place.

nginx's usual text ends in X-Forwarded-For, which a client writes as it likes: `bytes 0-999/1000` or `OK`. Where most lines have a
Content-Range, or the word for the end of a response, each has one: a place where others have something else is another column's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from app.domain.formats.base import BadLine
from app.domain.formats.clients import addresses_of, clients_with_ports
from app.domain.formats.combined_damaged import read_damaged
from app.domain.formats.endings import ending_flags
from app.domain.formats.prefixes import MOST_HEADS, without_prefix
from app.domain.formats.values import content_range

__all__ = ["doubted_columns"]

_FEW, _SOME = 20, 4
"""One other text for so many that fit does not count: responses of several ranges name none in that place, other texts are rare."""


def doubted_columns(lines: Iterable[str]) -> str:
    """By `range:N` and `end:N`, parted by blanks: the column N behind the agent, from 0 on, is no range, or does not tell how a response ended.

    `ports:N`: it holds forwarded addresses with the ports of clients, which differ from line to line; those of servers have
    private addresses, or few ports.

    >>> line = '203.0.113.9 - - [31/Jul/2020:16:46:07 +0000] "GET /a HTTP/1.1" 206 500 "-" "curl" '
    >>> doubted_columns([line + '"-"', line + '"203.0.113.7"']), doubted_columns([line + '"bytes 0-499/500" "OK"'])
    ('end:0 range:0', 'end:0 range:1')
    """
    ranges, empty, others = Counter[int](), Counter[int](), Counter[int]()
    ends, no_ends = Counter[int](), Counter[int]()
    with_port: defaultdict[int, list[str]] = defaultdict(list)
    for line in lines:
        status, columns = _answered(line)
        for place, (text, quoted) in columns:
            if quoted and "/" in text and content_range(text) != (None, None, None):
                ranges[place] += 1
                no_ends[place] += 1
                continue
            if quoted and addresses_of(text) is None and clients_with_ports(text):
                with_port[place].append(text.rpartition(":")[2])
            others[place] += text not in ("-", "")
            empty[place] += status == "206"
            is_end = ending_flags(text, quoted, True) is not None or (text == "-" and not quoted)
            (ends if is_end else no_ends)[place] += 1
    doubted = [f"end:{place}" for place, count in no_ends.items() if _FEW * count > ends[place]]
    for place in {*others, *empty}:
        if _FEW * others[place] > ranges[place] or _SOME * empty[place] > ranges[place]:
            doubted.append(f"range:{place}")
    doubted += [
        f"ports:{place}"
        for place, ports in with_port.items()
        if len(ports) >= _FEW and _FEW * len(set(ports)) >= (_FEW - 1) * len(ports)
    ]
    return " ".join(sorted(doubted))


def _answered(line: str) -> tuple[str, Iterable[tuple[int, tuple[str, bool]]]]:
    """The status of a download that got bytes, and its columns behind the agent with their places; no columns for other lines."""
    for _ in range(MOST_HEADS):
        try:
            parts = read_damaged(line)
        except BadLine:
            rest = without_prefix(line)
            if rest is None:
                break
            line = rest
            continue
        if parts.request.startswith("GET ") and parts.status in ("200", "206") and parts.sent not in ("0", "-"):
            return parts.status, enumerate(parts.columns, -parts.before_agent)
        break
    return "", ()
