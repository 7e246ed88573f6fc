"""How a response ended, as servers write it in a column: what each word proves."""

from __future__ import annotations

import re

from app.domain.records import HitFlag

__all__ = ["ENDED_WITHOUT_ORIGIN", "WIN32_BROKEN", "ending_flags", "ending_of_field"]

_ABORTED, _ENDED = int(HitFlag.ABORTED), int(HitFlag.ENDED)

_WORDS = {
    "ok": _ENDED,
    "complete": _ENDED,
    "completed": _ENDED,
    "aborted": _ABORTED,
    "incomplete": _ABORTED,
    "interrupted": _ABORTED,
}
ENDED_WITHOUT_ORIGIN = frozenset({"OK", "+", "-"})
"""Words of nginx and Apache: they write them, too, of a response whose origin broke off. HAProxy's `--` is none of them."""
_SQUID = re.compile(r"(?:TCP|UDP|NONE|TAG_NONE|ERR_)[A-Z_]*(?:/[0-9]{3})?(?:[:/][A-Z0-9_]+(?:/\S*)?)?")
_HAPROXY_LONG = re.compile(r"(?:--|[CSPRIDUKLcs][RQCHDLT])[-A-Z]{2}")
_HAPROXY_BROKEN = re.compile(r"[CSPRUKcs](?:D|[DHL][-A-Z]{2})")
"""Two letters alone are a state of the data phase; others, `CH` and `PL`, are rather countries."""
_CLIENT_WENT = re.compile(
    r"client.{0,9}(?:disconnect|abort|hung|gone|commerror|reset|closed)|network ?error|broken pipe|request aborted",
    re.IGNORECASE,
)
WIN32_BROKEN = frozenset({"64", "109", "121", "232", "233", "995", "1229", "1236", "10053", "10054"})
"""Windows' errors of connections that broke: reset, aborted, timed out, a pipe that ended."""
_ENVOY_BROKEN = frozenset({"DC", "UC", "UT", "SI", "DI", "UPE", "DPE", "UMSDR", "IH", "DT"})


def ending_flags(text: str, quoted: bool, behind_range: bool) -> int | None:
    """The flags of one column behind the agent, or None where it says nothing about the end.

    `behind_range`: it is the last column and the one before it is the place of the range. Letters that could be a country or a
    cache's state count there alone: Apache's `X` and `+`, HAProxy's `CD`, nginx's empty text.

    >>> ending_flags("OK", True, False), ending_flags("TCP_MISS_ABORTED:HIER_DIRECT", False, False), ending_flags("CD", False, False)
    (4, 2, None)
    """
    if (known := _WORDS.get(text.lower())) is not None:
        return known
    if text == "--":
        return _ENDED
    if _HAPROXY_LONG.fullmatch(text):
        return _ENDED if text.startswith("--") else _ABORTED if _HAPROXY_BROKEN.fullmatch(text) else 0
    if _SQUID.fullmatch(text):
        # Traffic Server writes ERR_CLIENT_ABORT, ERR_READ_TIMEOUT and the like
        return _ABORTED if "_ABORTED" in text or "_TIMEDOUT" in text or text.startswith("ERR_") else 0
    if not behind_range:
        return None
    if text == "X" or (text == "" and quoted):
        return _ABORTED
    if text == "+":
        return _ENDED
    return _ABORTED if _HAPROXY_BROKEN.fullmatch(text) else None


def ending_of_field(text: str) -> int:
    """The flags of a field that is known to say how the response ended, by the words of any server.

    >>> ending_of_field("OK"), ending_of_field(""), ending_of_field("X"), ending_of_field("DC"), ending_of_field("-")
    (4, 2, 2, 2, 0)
    """
    if text == "":
        return _ABORTED
    if text == "+":
        return _ENDED
    if any(word in _ENVOY_BROKEN for word in text.split(",")) or text in WIN32_BROKEN or _CLIENT_WENT.search(text):
        return _ABORTED
    return ending_flags(text, True, True) or 0
