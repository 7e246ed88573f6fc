"""How a response ended, as servers write it in a column: what each word proves."""

from __future__ import annotations

import re
from functools import lru_cache

from app.domain.records import HitFlag

__all__ = [
    "ENDED_WITHOUT_ORIGIN", "WIN32_BROKEN", "ending_flags", "ending_of_field", "envoy_flags", "is_broken_result",
    "termination_flags",
]  # fmt: skip

_ABORTED, _ENDED, _ANNOUNCED = int(HitFlag.ABORTED), int(HitFlag.ENDED), int(HitFlag.ANNOUNCED)

_WORDS = {
    "ok": _ENDED,
    "complete": _ENDED,
    "completed": _ENDED,
    "aborted": _ABORTED,
    "canceled": _ABORTED,
    "cancelled": _ABORTED,
    "disconnected": _ABORTED,
    "incomplete": _ABORTED,
    "interrupted": _ABORTED,
    "intr": _ABORTED,
}
ENDED_WITHOUT_ORIGIN = frozenset({"OK", "+", "-"})
"""Words of nginx and Apache: they write them, too, of a response whose origin broke off. HAProxy's `--` is none of them."""
_SQUID = re.compile(r"(?:TCP|UDP|NONE|TAG_NONE|ERR_)[A-Z_]*(?:/[0-9]{3})?(?:[:/][A-Z0-9_]+(?:/\S*)?)?")
_HAPROXY_LONG = re.compile(r"(?:--|[CSPRIDUKLcs][RQCHDLT])[-A-Z]{2}")
_HAPROXY_SHORT = re.compile(r"--|[CSPLRIDUKcs][RQCHDLT]")
_HAPROXY_BROKEN = re.compile(r"[CSPRUKcs]D|[CSPLRIDUKcs][DHL][-A-Z]{2}")
"""Two letters alone are a state of the data phase; others, `CH`, `ID` and `PL`, are rather countries."""
_WENT_WRONG = re.compile(
    r"client.{0,20}(?:disconnect|hung|gone|commerror|reset|closed|cancel|timed)|network ?error|broken pipe|(?<!not_)(?<!no_)abort"
    r"|connection (?:was )?reset|reset by peer|context canceled|unexpected eof|stream closed|i/o timeout|partial.response|abandoned|corrupted|backend_timeout|\Aerr_(?!none\Z)",
    re.IGNORECASE,
)
"""Azure, Google, Akamai and programs in Go in words of their own."""
_WORDS_ALONE = re.compile(r"[A-Za-z][A-Za-z _-]{3,63}")
_RESULT_BROKEN = re.compile(r"(?!NoError)(?:[A-Z][A-Za-z]*)?Error|AbortedOrigin|ClientHungUpRequest")
"""CloudFront's detailed results that are errors."""
WIN32_BROKEN = frozenset({"64", "109", "121", "232", "233", "995", "1229", "1236", "10053", "10054"})
"""Windows' errors of connections that broke: reset, aborted, timed out, a pipe that ended."""
_ENVOY_BROKEN = frozenset(
    {
        "DC", "DownstreamConnectionTermination", "DR", "DownstreamRemoteReset", "DPE", "DownstreamProtocolError",
        "UC", "UpstreamConnectionTermination", "UR", "UpstreamRemoteReset", "UPE", "UpstreamProtocolError",
        "UT", "UpstreamRequestTimeout", "UMSDR", "UpstreamMaxStreamDurationReached", "LR", "LocalReset", "DT",
        "DurationTimeout", "SI", "StreamIdleTimeout", "OM", "OverloadManagerTerminated",
    }
)  # fmt: skip
"""Envoy's flags of responses that broke, short and long. Others tell why there was no answer, or that it was delayed (`DI`)."""
_ENVOY_ALONE = _ENVOY_BROKEN - {"LR"}
"""Those that no other server writes: HAProxy writes `LR` for what it answered itself."""
_WITHOUT_EMPTY = frozenset({"envoy", "cloudfront"})
"""They write `-` if there is nothing to say, of which an export may make an empty text."""


def ending_flags(text: str, quoted: bool, behind_range: bool) -> int | None:
    """The flags of one column behind the agent, or None where it says nothing about the end.

    `behind_range`: it is the last column, or `X` before others, and the one before it is the place of the range. Letters that could be a country or a
    cache's state count there alone: Apache's `X` and `+`, HAProxy's `CD`, nginx's empty text, Varnish's `hit`.

    >>> ending_flags("OK", True, False), ending_flags("TCP_MISS_ABORTED:HIER_DIRECT", False, False), ending_flags("CD", False, False)
    (4, 2, None)
    """
    if (known := _WORDS.get(text.lower())) is not None:
        return known
    if text == "--":
        return _ENDED
    if _HAPROXY_LONG.fullmatch(text):
        return termination_flags(text)
    if _SQUID.fullmatch(text):
        # Traffic Server writes ERR_CLIENT_ABORT, ERR_READ_TIMEOUT and the like
        return _ABORTED if "_ABORTED" in text or "_TIMEDOUT" in text or text.startswith("ERR_") else 0
    if _WORDS_ALONE.fullmatch(text) and _WENT_WRONG.search(text):
        return _ABORTED
    if not behind_range:
        return None
    if text == "X" or (text == "" and quoted):
        return _ABORTED
    if text == "+":
        return _ENDED
    if text == "hit" and not quoted:  # Varnish: the bytes are those of the answer, whatever was sent
        return _ANNOUNCED
    return _ABORTED if _HAPROXY_BROKEN.fullmatch(text) else None


def termination_flags(text: str) -> int:
    """The flags of HAProxy's state at the end of a session, of two or four letters.

    C and S are client and server, in small letters if they took too long; D and L are the phases in which the body is on its way.

    >>> termination_flags("----"), termination_flags("CL"), termination_flags("ID--"), termination_flags("LR--")
    (4, 2, 2, 0)
    """
    if text[:2] == "--":
        return _ENDED
    return _ABORTED if text[:1] in ("C", "c", "S", "s") or text[1:2] in ("D", "L") else 0


def envoy_flags(text: str) -> int:
    """The flags of Envoy's response flags, short or long.

    >>> envoy_flags("DC"), envoy_flags("UF,UR"), envoy_flags("DI"), envoy_flags("-")
    (2, 2, 0, 0)
    """
    return 0 if _ENVOY_BROKEN.isdisjoint(text.split(",")) else _ABORTED


@lru_cache(maxsize=256)
def is_broken_result(text: str) -> bool:
    """Whether one of CloudFront's detailed results is that of a response that broke, if its status is 200 or 206.

    >>> is_broken_result("ClientCommError"), is_broken_result("OriginReadError"), is_broken_result("Hit")
    (True, True, False)
    """
    return _RESULT_BROKEN.fullmatch(text) is not None


def ending_of_field(text: str, profile: str = "") -> int:
    """The flags of a field that is known to say how the response ended, by the words of any server. `profile`: of JSON, who wrote it.

    >>> ending_of_field("OK"), ending_of_field(""), ending_of_field("X"), ending_of_field("DC"), ending_of_field("-")
    (4, 2, 2, 2, 0)
    >>> ending_of_field("LR"), ending_of_field("LR", "envoy"), ending_of_field("CL"), ending_of_field("NoError")
    (0, 2, 2, 0)
    >>> ending_of_field("", "envoy"), ending_of_field("byte_range_caching_retrieval_abandoned"), ending_of_field("not_aborted")
    (0, 2, 0)
    """
    if text == "":
        return 0 if profile in _WITHOUT_EMPTY else _ABORTED
    if text == "+":
        return _ENDED
    words = text.split(",")
    if not _ENVOY_ALONE.isdisjoint(words) or (profile == "envoy" and "LR" in words) or text in WIN32_BROKEN:
        return _ABORTED
    if _WENT_WRONG.search(text) or is_broken_result(text):
        return _ABORTED
    if _HAPROXY_SHORT.fullmatch(text):
        return termination_flags(text)
    return ending_flags(text, True, True) or 0
