"""The values that formats share: counts, statuses, byte ranges, requests, agents.

Everything takes text as it stands in a column and raises BadLine with the reason. Numbers are ASCII digits of any
length that Python turns into an integer; longer ones are bad_range.
"""

from __future__ import annotations

import re
from decimal import Decimal
from urllib.parse import unquote

from app.domain.formats.base import BadLine
from app.domain.formats.remembered import Remembered
from app.domain.records import HitFlag

__all__ = [
    "AGENTS", "CONTENT_TYPES", "ENCODINGS", "PROTOCOLS", "REQUESTS", "STATUSES", "byte_range", "content_range", "content_type_flags", "count", "ends", "headers_counted", "is_early", "joined_request",
    "matched", "not_as", "number", "plain_number", "protocol_flags", "ratio_flags", "shown",
]  # fmt: skip

_HEADERS_COUNTED = int(HitFlag.HEADERS_COUNTED)
_HTTP2, _ENCODED, _PLAIN, _PLACELESS = map(int, (HitFlag.HTTP2, HitFlag.ENCODED, HitFlag.PLAIN, HitFlag.PLACELESS))
_STATUS = re.compile(r"[1-5][0-9]{2}")
_PROTOCOL = re.compile(r"(?<! ) ++(?:HTTP/[0-9](?:\.[0-9]+)?|[hH][23](?:c|-[0-9]{1,2})?)\Z")
_FRAMED = re.compile(r"(?:http/?|h)(?:[2-9](?:\.[0-9]+)?|[2-9]c|[2-9]-[0-9]{1,2})", re.IGNORECASE)
"""A protocol from HTTP/2 on."""
_METHOD = re.compile(r"[A-Z][A-Z0-9_-]*")
_METHOD_AND_TARGET = re.compile(r"([A-Z][A-Z0-9_-]*) \S")
_BARE_TARGET = re.compile(r"/|[a-z][a-z0-9+.-]*://")
_CONTENT_RANGE = re.compile(
    r" *bytes[ =+:]*(?:([0-9]{1,999})-([0-9]{1,999})|\*)/(?:([0-9]{1,999})|\*) *", re.IGNORECASE
)
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_LONGEST_EXPONENT = 30


def shown(text: str) -> str:
    """A value as a reject's detail quotes it, cut to 60 characters."""
    return repr(text) if len(text) <= 60 else f"{text[:60]!r}… ({len(text)} characters)"


def not_as(what: str, line: str) -> BadLine:
    """What is raised for a line whose columns are not as `what` says, in words."""
    return BadLine("bad_columns", f"not {what}: {shown(line)}" if line.strip() else "a blank line")


def matched(pattern: re.Pattern[str], line: str, what: str) -> re.Match[str]:
    """The match of the whole line, which has `what` in columns."""
    found = pattern.fullmatch(line)
    if found is None:
        raise not_as(f"the columns of {what}", line)
    return found


def plain_number(text: str) -> str:
    """A number as its digits, without the fraction 0 that programs write which keep all numbers as floats.

    >>> plain_number("206.0"), plain_number("6.0E7"), plain_number("0.25"), plain_number("1e999"), plain_number("0e-999")
    ('206', '60000000', '0.25', '1e999', '0')
    """
    if text[-2:] == ".0":
        return text[:-2]
    if "e" in text or "E" in text:
        try:
            number = Decimal(text)
        except ArithmeticError:  # an exponent of twenty digits
            return text
        if number == 0:
            return "0"
        if abs(number.adjusted()) < _LONGEST_EXPONENT:
            digits = format(number, "f")
            return digits.rstrip("0").rstrip(".") if "." in digits else digits
    return text


def number(text: str, what: str) -> int:
    """A non-negative integer.

    >>> number("10", "bytes")
    10
    """
    if not (text.isdigit() and text.isascii()):
        raise BadLine("bad_range", f"{what} is no number: {shown(text)}")
    try:
        return int(text)
    except ValueError:
        raise BadLine("bad_range", f"{what} has {len(text)} digits") from None


def count(text: str, what: str) -> int | None:
    """A number of bytes; None for `-` or nothing. What is no number is bad_columns.

    >>> count("10", "bytes"), count("-", "bytes")
    (10, None)
    """
    if text.isdigit() and text.isascii():
        try:
            return int(text)
        except ValueError:
            return number(text, what)  # it has thousands of digits: raises
    if text in ("-", ""):
        return None
    raise BadLine("bad_columns", f"{what} is no number: {shown(text)}")


def is_early(text: str) -> bool:
    """Whether a number of bytes has HAProxy's plus: the line was written before the response was over (`option logasap`).

    >>> is_early("+320"), is_early("320")
    (True, False)
    """
    return text[:1] == "+" and text[1:].isdigit()


def headers_counted(text: str) -> tuple[int | None, int]:
    """Bytes that were sent with the response headers, and the flag that says so.

    >>> headers_counted("10") == (10, HitFlag.HEADERS_COUNTED), headers_counted("-")
    (True, (None, 0))
    """
    sent = count(text, "bytes sent")
    return sent, 0 if sent is None else _HEADERS_COUNTED


def _status(text: str) -> int:
    if _STATUS.fullmatch(text):
        return int(text)
    if text in ("000", "0"):
        return 0
    raise BadLine("bad_status", f"no status from 100 to 599: {shown(text)}")


STATUSES = Remembered(_status, longest=3)
"""`206` to 206; `000`, the client left before any answer, to 0; anything else is bad_status."""


def byte_range(text: str) -> tuple[int | None, int | None]:
    """`lo-hi`, both inclusive; (None, None) for `-` or nothing.

    >>> byte_range("0-499"), byte_range("-")
    ((0, 499), (None, None))
    """
    if text in ("-", ""):
        return None, None
    first, _, last = text.partition("-")
    lo, hi = number(first, "the first byte"), number(last, "the last byte")
    if hi < lo:
        raise BadLine("bad_range", f"ends before it begins: {shown(text)}")
    return lo, hi


def ends(first: str, last: str) -> tuple[int | None, int | None]:
    """A range by its ends; what is none costs the range, not the hit.

    >>> ends("0", "499"), ends("", "499"), ends("500", "499"), ends("a", "b")
    ((0, 499), (None, None), (None, None), (None, None))
    """
    if not (first.isdigit() and last.isdigit() and first.isascii() and last.isascii()):
        return None, None
    try:
        lo, hi = int(first), int(last)
    except ValueError:  # thousands of digits
        return None, None
    return (lo, hi) if lo <= hi else (None, None)


def content_range(text: str) -> tuple[int | None, int | None, int | None]:
    """A response's Content-Range (RFC 9110, 14.4) as (lo, hi, total); None for what it does not name.

    Another unit, a request's `bytes=0-`, ends the wrong way round and anything else name nothing: such a value costs the
    range, not the hit.

    >>> content_range("bytes 0-499/1234"), content_range("Bytes 0-499/*"), content_range("bytes */1234")
    ((0, 499, 1234), (0, 499, None), (None, None, 1234))
    >>> content_range("items 0-24/66"), content_range("bytes=0-")
    ((None, None, None), (None, None, None))
    """
    found = _CONTENT_RANGE.fullmatch(text)
    if found is None:
        return None, None, None
    first, last, whole = found.groups()
    total = None if whole is None else int(whole)
    if first is None:
        return None, None, total
    lo, hi = int(first), int(last)
    return (lo, hi, total) if lo <= hi else (None, None, None)


def protocol_flags(text: str) -> int:
    """HTTP2 for a request or a protocol of HTTP/2 or later.

    >>> protocol_flags("GET /a HTTP/1.1"), protocol_flags("GET /a HTTP/2.0"), protocol_flags("h3"), protocol_flags("/h2")
    (0, 16, 16, 0)
    """
    return _HTTP2 if _FRAMED.fullmatch(text.rpartition(" ")[2]) else 0


_USUAL_PROTOCOLS = {protocol: protocol_flags(protocol) for protocol in (" HTTP/1.1", " HTTP/1.0", " HTTP/2.0")}
PROTOCOLS = Remembered(protocol_flags)
"""A logged request or protocol to the flags that it sets."""


def _request(text: str) -> tuple[str, str | None, int]:
    flags = _USUAL_PROTOCOLS.get(text[-9:])
    if flags is None:
        request, flags = _PROTOCOL.sub("", text), protocol_flags(text)
    else:
        request = text[:-9]
    if request.startswith(("GET /", "/")):
        return request, "GET", flags
    found = _METHOD_AND_TARGET.match(request)
    if found:
        return request, found[1], flags
    return request, "GET" if _BARE_TARGET.match(request) else None, flags


REQUESTS = Remembered(_request, limit=1 << 15)
"""A logged request to (request without ` HTTP/…`, method, flags that the protocol sets). The method is None where the text is
neither `METHOD target` nor a bare path or URL: `-`, empty or broken requests keep their text and never count."""


def _encoding_flags(text: str) -> int:
    if text in ("-", ""):
        return 0
    return _PLAIN if all(name.strip().lower() in ("identity", "") for name in text.split(",")) else _ENCODED


ENCODINGS = Remembered(_encoding_flags)
"""A logged Content-Encoding to ENCODED or PLAIN; 0 for `-` or nothing, because that may be a column that is not filled."""


def ratio_flags(text: str) -> int:
    """ENCODED for the ratio of a response that was compressed on its way out; others write 0, 1 or `-`, which says little.

    >>> ratio_flags("5.2"), ratio_flags("0"), ratio_flags("1.00"), ratio_flags("-")
    (32, 0, 0, 0)
    """
    try:
        return _ENCODED if float(text) > 1 else 0
    except ValueError:
        return 0


def content_type_flags(text: str) -> int:
    """PLACELESS for a response of several ranges.

    >>> content_type_flags("multipart/byteranges; boundary=x"), content_type_flags("video/mp4")
    (128, 0)
    """
    return _PLACELESS if text[:20].lower() == "multipart/byteranges" else 0


CONTENT_TYPES = Remembered(content_type_flags)
"""A logged Content-Type to the flags that it sets."""


def joined_request(method: str, target: str) -> tuple[str, str | None]:
    """(request, method) from columns of their own.

    >>> joined_request("GET", "/a"), joined_request("-", "/a"), joined_request("-", "-")
    (('GET /a', 'GET'), ('/a', None), ('-', None))
    """
    if method == "GET" and target[:1] == "/":
        return f"GET {target}", "GET"
    if method in ("-", ""):
        return target, None
    if target in ("-", ""):
        return method, None
    return f"{method} {target}", method if _METHOD.fullmatch(method) else None


def _agent(text: str) -> str:
    once = unquote(text, errors="backslashreplace")
    return unquote(once, errors="backslashreplace") if _ESCAPE.search(once) else once


AGENTS = Remembered(_agent, longest=1024)
"""A percent-encoded user agent, encoded once or twice, to what the client sent."""
