"""From the texts of a line's columns to a hit: what is the same whatever the server and the form of the line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from app.domain.extras import NO_EXTRAS, chosen_extras, duration_s
from app.domain.formats.base import BadLine
from app.domain.formats.clients import Clients, addresses_of
from app.domain.formats.endings import envoy_flags, termination_flags
from app.domain.formats.format_strings.words import OPTIONAL, Ended, Role, Word
from app.domain.formats.remembered import Remembered
from app.domain.formats.times import CLF_MINUTES, CLF_SECONDS, ISO_MINUTES, ISO_SECONDS, clf_time, epoch_time, iso_time
from app.domain.formats.values import REQUESTS, STATUSES, content_range, count, is_early, joined_request, shown
from app.domain.proof import is_page_instead
from app.domain.records import HitFlag

__all__ = ["CLOCKS", "Hit", "Texts", "hit_maker"]

Hit = tuple[
    float,
    "str | None",
    str,
    "str | None",
    "str | None",
    int,
    "int | None",
    "int | None",
    "int | None",
    "int | None",
    int,
    dict[str, str],
]
"""In the order of Parsed."""
Texts = Sequence["str | None"]
"""One for each Role up to CAPTURE, in their order, or up to LAST_COLUMN; None where the text of the format has no such word."""

_HTTP2 = int(HitFlag.HTTP2)
_ENCODED, _PLAIN, _PLACELESS = int(HitFlag.ENCODED), int(HitFlag.PLAIN), int(HitFlag.PLACELESS)
_ABORTED, _ENDED, _UNSIZED = int(HitFlag.ABORTED), int(HitFlag.ENDED), int(HitFlag.UNSIZED)
_ANNOUNCED = int(HitFlag.ANNOUNCED)
_ABSENT: frozenset[str | None] = frozenset({"", "-", None})
_LATER_PROTOCOL = re.compile(r"(?:\A| )(?:HTTP/[2-9](?:\.[0-9]+)?|h[2-9]c?)\Z", re.IGNORECASE)


def _any_time(text: str) -> float:
    if text[4:5] == "-":
        return iso_time(text)
    return clf_time(text) if text[2:3] == "/" else epoch_time(text)


def _fraction(digits: str) -> float:
    if not (digits.isascii() and digits.isdigit()):
        raise BadLine("bad_time", f"no fraction of a second: {shown(digits)}")
    return float(f"0.{digits}")


CLOCKS: dict[str, tuple[Mapping[str, float], Mapping[str, float]]] = {
    "clf": (CLF_MINUTES, CLF_SECONDS),
    "iso": (ISO_MINUTES, ISO_SECONDS),
    "epoch": (Remembered(epoch_time, longest=32), Remembered(_fraction, longest=9)),
    "any": (Remembered(_any_time, longest=64), {}),
}
"""Clock to what reads the two parts of its time."""


def _joined(method: str | None, target: str | None, query: str | None) -> tuple[str | None, str | None, int]:
    """The request from columns of its own, with no flag."""
    if target in _ABSENT and method in _ABSENT:
        return "-", None, 0
    if query not in _ABSENT and "?" not in (target or ""):
        target = f"{target or ''}?{(query or '').removeprefix('?')}"
    if method is None:
        return *REQUESTS[target or "-"][:2], 0
    return *joined_request(method, target or "-"), 0


def _later(protocol: str) -> bool:
    """Whether it is HTTP/2 or later; Squid writes `2.0`, Envoy `HTTP/2`.

    >>> _later("HTTP/2.0"), _later("h2"), _later("3.0"), _later("HTTP/1.1")
    (True, True, True, False)
    """
    return bool(_LATER_PROTOCOL.search(protocol)) or protocol[:2] in ("2.", "3.") or protocol in ("2", "3")


_PROTOCOLS = Remembered(lambda protocol: _HTTP2 if _later(protocol) else 0)


_FORWARDED = Remembered(lambda text: addresses_of(text, ports=True) or [])
"""What the proxies named; nothing where that is no list of addresses, for clients can write there what they like."""


def _ok_or_empty(text: str, protocol_flag: int) -> int:
    return _ENDED if text == "OK" else _ABORTED if text in _ABSENT else 0


def _connection(text: str, protocol_flag: int) -> int:
    if protocol_flag:
        return 0
    return _ABORTED if text == "X" else _ENDED if text in ("+", "-") else 0


def _result(text: str, protocol_flag: int) -> int:
    """A result without the suffix does not say that all was sent."""
    return _ABORTED if text.endswith("_ABORTED") or "_ABORTED_" in text else 0


_ENDINGS: dict[Ended | None, Callable[[str, int], int]] = {
    Ended.OK_OR_EMPTY: _ok_or_empty,
    Ended.CONNECTION: _connection,
    Ended.BROKEN: lambda text, protocol_flag: _connection(text, protocol_flag) & _ABORTED,
    Ended.TERMINATION: lambda text, protocol_flag: termination_flags(text),
    Ended.RESULT: _result,
    Ended.FLAGS: lambda text, protocol_flag: envoy_flags(text),
}
"""What a text in the server's own way says of the end: HitFlag.ENDED, HitFlag.ABORTED or 0; over HTTP/2 where that is set."""


def _range(text: str) -> tuple[int | None, int | None, int | None]:
    """A header that is no Content-Range of bytes costs the range, not the hit."""
    try:
        return content_range(text)
    except BadLine:
        return None, None, None


def _representation(encoding: str | None, content_type: str | None) -> int:
    """The flags of the two headers that say whether the body is the file's bytes. Later they are fields of a hit themselves."""
    flags = 0
    if encoding is not None:
        flags = _PLAIN if encoding in _ABSENT or encoding.lower() == "identity" else _ENCODED
    if content_type is not None and content_type[:20].lower() == "multipart/byteranges":
        flags |= _PLACELESS
    return flags


def _captured_range(text: str) -> str:
    """The Content-Range among captured headers: `{bytes 0-1/2|text/html}`, or the value alone."""
    return next((each for each in text.strip("{}").split("|") if each[:6].lower() == "bytes "), "-")


def _length(text: str) -> int | None:
    """A Content-Length; what is none says nothing."""
    return count(text, "the size") if text.isascii() and text.isdigit() else None


def _extras_maker(words: Mapping[Role, Word], fields: str) -> Callable[[Texts], dict[str, str]] | None:
    """From the texts of a line to its optional fields; None if it has none that is wanted."""
    wanted = chosen_extras(fields)
    places = [(name, role.value) for role, name in OPTIONAL.items() if role in words and name in wanted]
    if "cache_result" in wanted and Role.ENDED in words and words[Role.ENDED].ended is Ended.RESULT:
        places.append(("cache_result", Role.ENDED.value))
    per_s = words[Role.DURATION].per_s if Role.DURATION in words else 1
    durations = Remembered(lambda text: duration_s(text, per_s), longest=32)

    def make(texts: Texts) -> dict[str, str]:
        found = {name: text for name, at in places if (text := texts[at]) not in _ABSENT}
        if "duration_s" in found:
            duration = durations[found.pop("duration_s") or ""]
            if duration is not None:
                found["duration_s"] = duration
        return found  # type: ignore[return-value]

    return make if places else None


def hit_maker(words: Mapping[Role, Word], its_clients: Clients, fields: str = "") -> Callable[[Texts, float], Hit]:
    """From the texts and the time of a line to its hit. `words`: those that give the fields; `fields`: the optional ones.

    A Content-Length is the size of the file where it is that of a whole answer to a GET, as far as the line can tell.
    """
    make_extras, client_of = _extras_maker(words, fields), its_clients.of
    end = _ENDINGS[words[Role.ENDED].ended] if Role.ENDED in words else None
    may_lack_origin = Role.ENDED in words and words[Role.ENDED].ended in (Ended.OK_OR_EMPTY, Ended.CONNECTION)
    counts, dash = (words[Role.SENT].counts, words[Role.SENT].dash) if Role.SENT in words else (0, None)

    def hit(texts: Texts, time: float) -> Hit:
        (
            _, _, client, forwarded, agent, line, method, target, query, protocol, status_text,
            range_text, length, encoding, content_type, sent_text, ended, captured, *_,
        ) = texts  # fmt: skip
        address = None if client is None else client_of[client]
        if forwarded is not None and forwarded not in _ABSENT and (listed := _FORWARDED[forwarded]):
            address = its_clients.behind(address, listed)
        request, method, flags = _joined(method, target, query) if line is None else REQUESTS[line]
        if protocol is not None:
            flags |= _PROTOCOLS[protocol]
        status = STATUSES[status_text or ""] if status_text != "-1" else 0  # HAProxy's for no answer
        lo = hi = total = None
        if captured is not None and range_text is None:
            range_text = _captured_range(captured)
        if range_text is not None and range_text not in _ABSENT:
            lo, hi, total = _range(range_text)
        early = sent_text is not None and sent_text[:1] == "+" and is_early(sent_text)
        sent = None if sent_text is None or early else dash if sent_text == "-" else count(sent_text, "bytes")
        flags |= counts
        if end is not None and ended is not None:
            flags |= end(ended, flags & _HTTP2)
        if early:
            flags = flags & ~_ENDED | _ANNOUNCED
        if encoding is not None or content_type is not None:
            flags |= _representation(encoding, content_type)
        if length is not None and total is None and status == 200 and method == "GET" and not flags & _ENCODED:
            total = _length(length)
            if lo is None and length in _ABSENT and may_lack_origin and flags & _ENDED:
                flags |= _UNSIZED
        if content_type is not None and status in (200, 206) and is_page_instead(request, content_type):
            flags, lo, hi, total = flags | _PLACELESS, None, None, None
        return (
            time,
            address,
            "-" if agent is None or agent in _ABSENT else agent,
            request,
            method,
            status,
            lo,
            hi,
            sent,
            total,
            flags,
            NO_EXTRAS if make_extras is None else make_extras(texts),
        )

    return hit
