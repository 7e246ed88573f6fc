"""Simulated hits as text: one line writer a log format."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache

__all__ = ["FORMATS", "HEADS", "LineWriter", "agent_as_written", "line_writer"]

LineWriter = Callable[[int, str, str, str, int, int, int, int, int], str]
"""(time, ip_address, user_agent, request, status, lo, hi, sent, total) to a line with its newline; -1 is an absent number."""

_WEBLOG_HEAD = "date\ttime\tip_address\tuser_agent\trequest\tstatus\tbyte_range\n"
HEADS = {"weblog_tsv": _WEBLOG_HEAD, "combined_range": ""}
FORMATS = tuple(HEADS)
_CLOCK = tuple(f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}" for second in range(86_400))


def line_writer(name: str) -> LineWriter:
    """The writer of a format; KeyError for another than FORMATS."""
    return {"weblog_tsv": _weblog_line, "combined_range": _combined_line}[name]


@cache
def _iso_day(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


@cache
def _apache_day(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%d/%b/%Y")


def agent_as_written(name: str, agent: str) -> str:
    """A user agent as a format writes it: inside quotes, quotes and backslashes are escaped; readers keep it so."""
    return _quoted(agent) if name == "combined_range" else agent


@cache
def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _weblog_line(
    time: int, ip_address: str, agent: str, request: str, status: int, lo: int, hi: int, sent: int, total: int
) -> str:
    day, second = divmod(time, 86_400)
    date = _iso_day(day)
    return f"{date}\t{date} {_CLOCK[second]}\t{ip_address}\t{agent}\t{request}\t{status}\t{lo}-{hi}\n"


def _combined_line(
    time: int, ip_address: str, agent: str, request: str, status: int, lo: int, hi: int, sent: int, total: int
) -> str:
    day, second = divmod(time, 86_400)
    when = f"{_apache_day(day)}:{_CLOCK[second]} +0000"
    return f'{ip_address} - - [{when}] "{request}" {status} {sent} "-" "{_quoted(agent)}" "{_content_range(status, lo, hi, total)}"\n'


def _content_range(status: int, lo: int, hi: int, total: int) -> str:
    if status == 206 and lo >= 0:
        return f"bytes {lo}-{hi}/{total}" if total >= 0 else f"bytes {lo}-{hi}/*"
    return f"bytes */{total}" if status == 416 else "-"
