"""The records that pass between the parts: hits, rejects, deliveries, and how they are named.

Times are UTC seconds since 1970 as float. Byte positions are inclusive integers of any size.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Callable, Hashable, Iterable, Sequence
from enum import IntFlag
from hashlib import blake2b
from json.encoder import encode_basestring_ascii as _quoted
from math import isfinite
from typing import NamedTuple, Protocol, TypeVar

__all__ = [
    "DAMAGED_STATE",
    "FOREIGN",
    "REASONS",
    "Delivery",
    "Hit",
    "HitFlag",
    "Parsed",
    "Reject",
    "all_raw_ids",
    "delivery_id",
    "hex_ids",
    "id_of_given",
    "key_hash",
    "key_text",
    "newest_by",
    "raw_ids",
    "short_id",
    "short_id_factors",
    "short_ids",
]

REASONS = ("bad_client", "bad_columns", "bad_range", "bad_status", "bad_time", "no_request", "too_long")
"""Why a line is rejected; a closed set."""
FOREIGN = "foreign_message"
"""Reason of the reject of a message that nobody can read."""
DAMAGED_STATE = "damaged_state"
"""Reason of the reject of a value of the state that nobody can read."""


class HitFlag(IntFlag):
    """What a log line says beyond its columns: which bytes its byte column counts, and how the response ended."""

    HEADERS_COUNTED = 1
    """`bytes_sent` counts response headers, too."""
    ABORTED = 2
    """The server saw the response break off."""
    ENDED = 4
    """The server saw the response end as it should."""
    ANNOUNCED = 8
    """`bytes_sent` is the size of the answer, whatever was sent of it."""
    HTTP2 = 16
    """HTTP/2 or later: a count with headers includes frame headers, too."""
    ENCODED = 32
    """The line names a content encoding other than identity."""
    PLAIN = 64
    """The line names the content encoding, and it is identity or none."""
    PLACELESS = 128
    """The body is no range of the file: several ranges (multipart/byteranges), or an HTML page in the place of a film or the like."""
    UNSIZED = 256
    """A 200 whose response named no length (chunked), by a server that calls it ended though its origin broke off."""


class Parsed(NamedTuple):
    """What a format reads from one line. Formats return plain tuples in this order: it is the hot path."""

    time: float
    ip_address: str | None
    user_agent: str | None
    request: str | None
    """As logged, without a trailing ` HTTP/…`; a bare path stays a bare path."""
    method: str | None
    """`GET` for a bare path; None where the request is broken or absent."""
    status: int
    lo: int | None
    """First byte announced, or None where the line names no offsets."""
    hi: int | None
    """Last byte announced, inclusive."""
    bytes_sent: int | None
    """Body bytes, or None; see HitFlag.HEADERS_COUNTED."""
    total_bytes: int | None
    """Size of the whole file, or None."""
    flags: int
    """Sum of HitFlag."""
    extras: dict[str, str] = {}
    """The optional fields that were wanted and that the line has: see app.domain.formats.extras. Never changed once made."""


class Hit(NamedTuple):
    """One parsed line and where it stands. The first fields are those of Parsed."""

    time: float
    ip_address: str | None
    user_agent: str | None
    request: str | None
    method: str | None
    status: int
    lo: int | None
    hi: int | None
    bytes_sent: int | None
    total_bytes: int | None
    flags: int
    extras: dict[str, str]
    raw_id: str
    """32 hex digits; the first 16 are the short id that a delivery's state keeps."""
    source: str
    """Id of the source: fingerprint of a file, or the topic partition of a message without one."""
    position: int
    """Byte offset of the line in the decompressed file, or (offset, line) of a message in one number."""
    logged_request: str | None = None
    """The request as logged, if parameters of its query are left out of `request`: see app.domain.requests."""


class Reject(NamedTuple):
    """One line that is no hit, kept with the reason."""

    reason: str
    detail: str
    """One phrase for people: what was wrong with which value."""
    line: str
    """The line, bytes that are no UTF-8 escaped, cut to a bounded length."""
    raw_id: str
    source: str
    position: int
    time: float
    """When it arrived (not an event time: that may be what is broken)."""


class Delivery(NamedTuple):
    """What is known of one file going to one client in one window."""

    ip_address: str
    user_agent: str
    request: str
    window_start: float
    first: float
    """Time of the earliest hit merged in."""
    last: float
    """Time of the latest hit merged in."""
    ranges: list[list[int]]
    """Sorted, disjoint, touching ones joined: [[lo, hi], …]."""
    missing: list[list[int]]
    """What lacks of 0..total-1, or before and between the ranges where the size is unknown."""
    covered_bytes: int
    total_bytes: int | None
    size_known: bool
    verdict: str
    """complete, partial or unknown."""
    evidence: str
    """ranges, resumed, learned or bytes."""
    reason: str | None
    hits: int
    """Distinct hits merged in; a lower bound where reason is fragmented."""
    bytes_sent: int | None
    """Sum over the distinct hits, or None where no hit names it."""
    flags: list[str]
    """beyond_size, cut_off, fragmented, headers_counted; sorted."""
    hit_ids: list[str]
    """The smallest 100 short ids (16 hex digits) of the hits, sorted: raw ids begin with them."""
    final: bool
    version: int
    """Grows with what is known and with nothing else; a store refuses an older one."""
    superseded_by: float | None
    """Window start of the delivery that took this one in; every read hides such a record."""
    doubtful: list[list[int]]
    """What may have arrived: neither in `ranges` nor in `missing`."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What names who asked for what."""
        return self.ip_address, self.user_agent, self.request

    @property
    def id(self) -> str:
        """What names it in every store."""
        return delivery_id(*self.key, self.window_start)

    @property
    def is_counted(self) -> bool:
        """Whether it is judged by how many bytes were sent: nothing says which."""
        return self.evidence == "bytes" or self.reason == "not_enough_bytes"


def key_text(ip_address: str, user_agent: str, request: str) -> str:
    """The key as people write it.

    >>> key_text("10.0.0.1", "curl/8", "GET /a")
    '10.0.0.1_curl/8_GET /a'
    """
    return f"{ip_address}_{user_agent}_{request}"


def key_hash(text: str) -> str:
    """32 hex digits of a joined key: finds it though agents contain `_`. Keys that join alike share it.

    >>> key_hash("10.0.0.1_curl/8_GET /a")
    '870741b7af200f9bad78c32ce7d0403c'
    """
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def delivery_id(ip_address: str, user_agent: str, request: str, window_start: float) -> str:
    """32 hex digits that name one reduced record in every store; no two keys share one."""
    start = float(window_start) + 0.0  # -0.0 and 0.0 are one time
    if isfinite(start):  # what json.dumps writes, for a tenth of the time
        written = f"[{_quoted(ip_address)}, {_quoted(user_agent)}, {_quoted(request)}, {start!r}]"
    else:
        written = json.dumps([ip_address, user_agent, request, start])
    return blake2b(written.encode(), digest_size=16).hexdigest()


_MASK_64 = (1 << 64) - 1


def _constants(source: str) -> tuple[int, int, int, int]:
    digest = blake2b(source.encode("utf-8", "surrogatepass"), digest_size=32).digest()
    a, b, c, d = (int.from_bytes(digest[i : i + 8], "big") for i in (0, 8, 16, 24))
    return a | 1, b, c | 1, d


def short_id(source: str) -> Callable[[int], int]:
    """The function from a position in `source` to the 64-bit id of the line there.

    `(a * position + b) mod 2**64` with odd `a`, both drawn from the hash of the source: no two positions of one source
    share an id, and lines of two sources meet with probability 2**-64 (Carter and Wegman's universal hashing). It is
    one multiplication, where a cryptographic hash a line would cost as much as parsing the line.

    >>> f = short_id("weblogs/0")
    >>> len({f(position) for position in range(1000)})
    1000
    """
    a, b, _, _ = _constants(source)
    return lambda position: (a * position + b) & _MASK_64


def short_id_factors(source: str) -> tuple[int, int]:
    """The a and b of `short_id`, for arithmetic on columns of positions, which wraps around at 2**64 by itself.

    >>> a, b = short_id_factors("weblogs/0")
    >>> (a * 7 + b) % 2**64 == short_id("weblogs/0")(7)
    True
    """
    a, b, _, _ = _constants(source)
    return a, b


def all_raw_ids(source: str, positions: Iterable[int]) -> list[str]:
    """What `raw_ids` gives for each of many positions, for a third of the time.

    >>> identify = raw_ids("weblogs/0")
    >>> all_raw_ids("weblogs/0", [7, 2**64 + 7]) == [identify(7), identify(2**64 + 7)], all_raw_ids("weblogs/0", [])
    (True, [])
    """
    a, b, c, d = _constants(source)
    # both products in one number, 128 bits apart: neither carries into the other. The bits between them are left out
    factor, summand, mask = a << 128 | c, b << 128 | d, _MASK_64 << 128 | _MASK_64
    numbers = [(((at & _MASK_64) * factor + summand) & mask).to_bytes(24, "big") for at in positions]
    words = array("Q", b"".join(numbers))
    del words[1::3]
    return words.tobytes().hex(",", 16).split(",") if words else []


def raw_ids(source: str) -> Callable[[int], str]:
    """The function from a position in `source` to the 128-bit raw id of the line there, as 32 hex digits.

    The first 16 digits are the short id.

    >>> raw_ids("weblogs/0")(7)[:16] == f'{short_id("weblogs/0")(7):016x}'
    True
    """
    a, b, c, d = _constants(source)
    # both halves in one number: the low one cannot carry into the high one, because each is masked by itself
    return lambda position: f"{(((a * position + b) & _MASK_64) << 64) | ((c * position + d) & _MASK_64):032x}"


def short_ids(raw_ids: Iterable[str]) -> list[int]:
    """The short ids that raw ids begin with.

    >>> short_ids([raw_ids("weblogs/0")(7)]) == [short_id("weblogs/0")(7)], short_ids([])
    (True, [])
    """
    words = array("Q", bytes.fromhex("".join(raw_ids)))
    if sys.byteorder == "little":
        words.byteswap()
    return words[::2].tolist()


def id_of_given(text: str) -> str:
    """The raw id of a line whose shipper gave it an id of its own."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, person=b"given id").hexdigest()


class _Versioned(Protocol):
    @property
    def version(self) -> int: ...


Versioned = TypeVar("Versioned", bound=_Versioned)
Name = TypeVar("Name", bound=Hashable)


def newest_by(names: Iterable[Name], records: Sequence[Versioned]) -> dict[Name, Versioned]:
    """The record of the highest version under each name, one of `names` for each of `records`; the first of equal ones."""
    names = list(names)
    newest = dict(zip(names, records, strict=True))
    if len(newest) == len(records):  # as in most batches
        return newest
    newest.clear()
    for name, record in zip(names, records, strict=True):
        other = newest.get(name)
        if other is None or other.version < record.version:
            newest[name] = record
    return newest


def hex_ids(ids: array[int]) -> list[str]:
    """Short ids, each as 16 hex digits; all at once, because records are made by the thousand."""
    if sys.byteorder == "little":
        ids.byteswap()
    return ids.tobytes().hex(",", ids.itemsize).split(",") if ids else []
