"""What one log line proves: which bytes of the range that it announces count, and what is doubtful.

ROWS is the one table of it: `row_of` reads it, docs/explanation/deliveries.md shows it, and the tests go through it row by row.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache
from mimetypes import MimeTypes
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from app.domain.records import HitFlag

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "HEADER_ALLOWANCE_BYTES",
    "IN_FLIGHT_BYTES",
    "ROWS",
    "Claim",
    "Measure",
    "Proof",
    "Row",
    "is_page_instead",
    "may_be_compressed",
    "most_sent",
    "row_of",
]

Size = TypeVar("Size", int, "NDArray[Any]")
HEADER_ALLOWANCE_BYTES = 8 << 10
"""How much of a sent-bytes column may be response headers, where the column counts them."""
IN_FLIGHT_BYTES = 8 << 20
"""How far a server's count may run ahead of the client: socket buffers were seen to hold 3 to 7 MB."""


def most_sent(size: Size) -> Size:
    """As many bytes as a server may count of a response with a body of this size: heads, TLS records, frames and chunks add some.

    16,021 bytes were seen on top of 5,000,000 (Apache's `%O` with TLS); where TLS records have 1,400 bytes, 29 on each are 2 %. If a 200
    sent more, it was another file.

    >>> most_sent(1000), most_sent(5_000_000)
    (9223, 5164442)
    """
    return size + HEADER_ALLOWANCE_BYTES + size // 32


class Proof(NamedTuple):
    """How far a broken response is believed."""

    in_flight_bytes: int = IN_FLIGHT_BYTES
    """The last bytes before the end of a broken response: handed to the network, not surely received."""
    strict: bool = False
    """Bytes in flight never make a delivery complete."""


class Claim(IntEnum):
    """What of an announced range counts."""

    ALL = 0
    SENT = 1
    """Up to the bytes sent; the response broke."""
    ANSWERED = 2
    """Nothing; what was answered may have arrived."""
    NO_POSITIONS = 3
    """Nothing, and the line does not say which bytes of the file it is about."""
    CONTRADICTED = 4
    """The same, for the line says two things that cannot both be true."""


class Measure(IntEnum):
    """How the bytes sent compare with those announced; response heads are taken off before."""

    ENOUGH = 0
    FEWER = 1
    NO_COUNT = 2
    """The line names a range but no bytes sent."""
    NO_LENGTH = 3
    """A 200 whose length is compared later, when that of the file is known."""
    NO_LENGTH_NO_COUNT = 4
    """A 200 without a count."""
    NO_RANGE = 5
    """A 206 that does not name its range, or one that ends beyond the size in the same line."""


class Row(NamedTuple):
    """One row: the first that fits a line counts."""

    name: str
    says: str
    """What the line says, for people."""
    counts: str
    """What of the announced range counts, for people."""
    claim: Claim
    fits: Callable[[int, Measure, bool], bool]
    """From flags (HitFlag), measure, and whether the path may name something that servers compress."""


_ABORTED, _ENDED, _HTTP2 = int(HitFlag.ABORTED), int(HitFlag.ENDED), int(HitFlag.HTTP2)
_ANNOUNCED, _HEADERS_COUNTED = int(HitFlag.ANNOUNCED), int(HitFlag.HEADERS_COUNTED)
_ENCODED, _PLACELESS, _UNSIZED = int(HitFlag.ENCODED), int(HitFlag.PLACELESS), int(HitFlag.UNSIZED)
_COUNTLESS = (Measure.NO_COUNT, Measure.NO_LENGTH_NO_COUNT)


def _tells_no_sent(flags: int) -> bool:
    """Whether the byte column does not tell what was sent of the body."""
    return bool(flags & _ANNOUNCED) or flags & (_HEADERS_COUNTED | _HTTP2) == _HEADERS_COUNTED | _HTTP2


ROWS: tuple[Row, ...] = (
    Row(
        "several ranges",
        "several ranges in one response (multipart/byteranges), an HTML page in the place of a film or the like, or a 206 that names no range,"
        " or one beyond the size that it names",
        "no positions: only the number of bytes",
        Claim.NO_POSITIONS,
        lambda flags, measure, _: bool(flags & _PLACELESS) or measure == Measure.NO_RANGE,
    ),
    Row(
        "encoded",
        "a content encoding other than identity",
        "no positions",
        Claim.NO_POSITIONS,
        lambda flags, measure, _: bool(flags & _ENCODED),
    ),
    Row(
        "perhaps encoded",
        "no encoding, a type that servers compress, and fewer bytes than announced",
        "no positions",
        Claim.NO_POSITIONS,
        lambda flags, measure, compressible: compressible and measure == Measure.FEWER,
    ),
    Row(
        "ended, of no length",
        "a 200 ended as it should, its Content-Length is logged, and it has none (chunked)",
        "nothing; what was answered may have arrived: nginx and Apache call it ended, too, if the server behind them broke off",
        Claim.ANSWERED,
        lambda flags, measure, _: bool(flags & _ENDED and flags & _UNSIZED),
    ),
    Row(
        "ended early",
        "the response ended as it should, but with fewer bytes than announced",
        "no positions: it was another file, or cut behind a proxy, or compressed",
        Claim.CONTRADICTED,
        lambda flags, measure, _: bool(flags & _ENDED) and measure == Measure.FEWER,
    ),
    Row(
        "ended",
        "the response ended as it should",
        "all",
        Claim.ALL,
        lambda flags, measure, _: bool(flags & _ENDED),
    ),
    Row(
        "aborted, not counted",
        "the response broke, and the line does not say how many bytes were sent",
        "nothing; the response is broken, and its last byte did not arrive (over HTTP/2 it may have)",
        Claim.ANSWERED,
        lambda flags, measure, _: bool(flags & _ABORTED) and (_tells_no_sent(flags) or measure in _COUNTLESS),
    ),
    Row(
        "aborted",
        "the response broke",
        "up to the bytes sent; the response is broken, even if all was sent",
        Claim.SENT,
        lambda flags, measure, _: bool(flags & _ABORTED),
    ),
    Row(
        "announced",
        "a byte column of kind `announced`, or one `with-headers` over HTTP/2 or later",
        "nothing; what was answered may have arrived",
        Claim.ANSWERED,
        lambda flags, measure, _: _tells_no_sent(flags),
    ),
    Row(
        "200 without count",
        "a 200, and no byte count",
        "nothing; what was answered may have arrived",
        Claim.ANSWERED,
        lambda flags, measure, _: measure == Measure.NO_LENGTH_NO_COUNT,
    ),
    Row(
        "range without count",
        "a range, and no byte count",
        "all: the log knows nothing but the range",
        Claim.ALL,
        lambda flags, measure, _: measure == Measure.NO_COUNT,
    ),
    Row(
        "enough",
        "as many body bytes as announced, or more; with headers: more than announced",
        "all",
        Claim.ALL,
        lambda flags, measure, _: measure == Measure.ENOUGH,
    ),
    Row(
        "fewer",
        "fewer body bytes than announced; with headers: as many, or fewer",
        "up to the bytes sent, with headers 8 KiB less; the response is broken",
        Claim.SENT,
        lambda flags, measure, _: measure in (Measure.FEWER, Measure.NO_LENGTH),
    ),
)


@lru_cache(maxsize=4096)
def row_of(flags: int, measure: Measure, compressible: bool) -> Row:
    """The first row that fits a GET answered 200 or 206; one does always.

    >>> row_of(0, Measure.ENOUGH, False).name, row_of(int(HitFlag.ANNOUNCED), Measure.ENOUGH, False).name
    ('enough', 'announced')
    """
    return next(row for row in ROWS if row.fits(flags, measure, compressible))


_COMPRESSED_TYPES = frozenset(
    {
        "application/javascript",
        "application/json",
        "application/manifest+json",
        "application/postscript",
        "application/rtf",
        "application/vnd.apple.mpegurl",
        "application/vnd.ms-fontobject",
        "application/wasm",
        "application/x-javascript",
        "application/x-sh",
        "application/x-tex",
        "application/xml",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/svg+xml",
        "image/vnd.microsoft.icon",
        "image/x-icon",
        "image/x-ms-bmp",
    }
)


@lru_cache(maxsize=1)
def _types() -> MimeTypes:
    """Python's own table: the system's differs from machine to machine."""
    return MimeTypes()


@lru_cache(maxsize=1 << 16)
def may_be_compressed(request: str) -> bool:
    """Whether the path of a request names a type that servers compress on the way, by Python's mimetypes; a folder is a page.

    >>> may_be_compressed("GET /a.html?x=1"), may_be_compressed("GET /a.mp4"), may_be_compressed("GET /"), may_be_compressed("/a.js.gz")
    (True, False, True, False)
    """
    name = _last_part(request)
    return not name or _is_compressed(name)


_ABOUT_A_FILE = re.compile(
    r"/(?:(?:wiki|index\.php)/[^/:]{1,200}|File|Image|Datei|Bild|Fichier|Archivo)(?::|%3A)[^/]*\Z", re.IGNORECASE
)
"""A wiki's page about a file: `/wiki/File:a.jpg` ends like the file, and is no file."""


def _last_part(request: str) -> str:
    """The last part of the path, with one letter before its first dot: many names, few of these. Empty for a wiki's page."""
    path = request.partition("?")[0].partition("#")[0]
    name = path.rpartition("/")[2]
    if (":" in name or "%3" in name) and _ABOUT_A_FILE.search(path):
        return ""
    begin = name.find(".")
    return name if begin < 1 else f"x{name[begin:]}"


def is_page_instead(request: str | None, content_type: str) -> bool:
    """Whether an HTML page was answered where the path names something else: a film, an image, a script, an archive.

    Servers answer 200 with a page of errors, a log-in, or the start page of an application whose paths are all one file.

    >>> is_page_instead("GET /a.mp4?x=1", "text/html; charset=utf-8"), is_page_instead("GET /a.html", "text/html")
    (True, False)
    >>> is_page_instead("GET /watch", "text/html"), is_page_instead("GET /a.mp4", "video/mp4")
    (False, False)
    """
    return _is_page(content_type) and request is not None and _names_no_page(request)


@lru_cache(maxsize=1 << 10)
def _is_page(content_type: str) -> bool:
    return content_type[:21].lower().startswith(("text/html", "application/xhtml+xml"))


@lru_cache(maxsize=1 << 14)
def _names_no_page(request: str) -> bool:
    return _is_no_page(_last_part(request))


@lru_cache(maxsize=1 << 12)
def _is_no_page(name: str) -> bool:
    kind, encoding = _types().guess_type(f"/{name}", strict=False)
    return encoding is not None or (kind is not None and not kind.startswith(("text/", "application/xhtml")))


@lru_cache(maxsize=1 << 12)
def _is_compressed(name: str) -> bool:
    kind, encoding = _types().guess_type(f"/{name}", strict=False)
    if kind is None or encoding is not None:
        return False
    return kind.startswith("text/") or kind.endswith(("+xml", "+json")) or kind in _COMPRESSED_TYPES
