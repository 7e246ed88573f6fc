"""What the words of log format strings mean: the fields that a hit is made of, and the headers that every server can log."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from app.domain.records import HitFlag

__all__ = [
    "COLUMN",
    "LAST_COLUMN",
    "OPTIONAL",
    "TEXT_COLUMN",
    "Ended",
    "FormatTextError",
    "Literal",
    "Piece",
    "Role",
    "Variable",
    "Word",
    "all_bytes",
    "announced_bytes",
    "body_bytes",
    "cut",
    "request_header",
    "response_header",
]


class FormatTextError(ValueError):
    """A text that is no format string, or one that lines cannot be read by. Says what is missing."""


class Role(Enum):
    """The field of a hit that a word gives, in the order in which the parser takes them."""

    TIME = 0
    """The whole minute of a time, or the whole seconds of an epoch."""
    REST = 1
    """What of the time is left: the seconds with the zone, or the fraction."""
    CLIENT = 2
    FORWARDED = 3
    """Addresses that proxies named, the nearest last."""
    AGENT = 4
    REQUEST = 5
    """The whole request line."""
    METHOD = 6
    TARGET = 7
    """Path, with its query or without, or URL."""
    QUERY = 8
    PROTOCOL = 9
    STATUS = 10
    CONTENT_RANGE = 11
    CONTENT_LENGTH = 12
    CONTENT_ENCODING = 13
    CONTENT_TYPE = 14
    SENT = 15
    """Bytes; which ones is in Word.counts."""
    ENDED = 16
    """How the response ended, in the server's own way: see Word.ended."""
    CAPTURE = 17
    """A response header that the text does not name: its value tells whether it is the Content-Range."""
    REFERER = 18
    VIRTUAL_HOST = 19
    DURATION = 20
    """In units of which Word.per_s are a second."""
    CACHE_RESULT = 21
    EDGE = 22
    DATE = 23
    """A part of a date, read by Word.date; there may be several."""
    FRACTION = 24
    """Digits behind the whole second."""
    NONE = 25
    """A column that is passed over."""


LAST_COLUMN = Role.EDGE
"""Of the roles of which a line has one text each."""
OPTIONAL = {
    Role.CACHE_RESULT: "cache_result",
    Role.CONTENT_TYPE: "content_type",
    Role.DURATION: "duration_s",
    Role.EDGE: "edge",
    Role.CONTENT_ENCODING: "encoding",
    Role.REFERER: "referer",
    Role.VIRTUAL_HOST: "virtual_host",
}
"""The optional field that each of these roles gives."""


class Ended(Enum):
    """How a server says how a response ended."""

    OK_OR_EMPTY = "OK or empty"
    """nginx: $request_completion."""
    CONNECTION = "X, + or -"
    """Apache: %X. Over HTTP/2 it is no witness: it gives false alarms there."""
    BROKEN = "X"
    """Tomcat with sendfile: `X` is true, `+` and `-` say nothing."""
    TERMINATION = "two letters"
    """HAProxy: %ts, the first letter says who ended the session, the second in which phase."""
    RESULT = "result code"
    """Squid: %Ss, a result that ends in _ABORTED."""
    FLAGS = "response flags"
    """Envoy: %RESPONSE_FLAGS%."""


class Word(NamedTuple):
    """The meaning of one word."""

    role: Role
    text: bool = False
    """May hold blanks."""
    rank: int = 0
    """Of several words with one role the one with the lowest rank is taken."""
    clock: str = ""
    """For TIME: clf, iso or epoch."""
    date: str = ""
    """For DATE: what is written, in the letters of strftime."""
    ended: Ended | None = None
    several: bool = False
    """May hold several values with a comma and a blank between."""
    counts: int = 0
    """For SENT: the HitFlag of what is counted; 0 is the body that was sent."""
    dash: int | None = None
    """For SENT: what `-` means; None where it says nothing."""
    per_s: int = 1
    bracketed: bool = False
    """The server writes brackets about it."""


_HEADERS_COUNTED, _ANNOUNCED = int(HitFlag.HEADERS_COUNTED), int(HitFlag.ANNOUNCED)


def body_bytes(dash: int | None = None) -> Word:
    """Bytes of the body that were sent: the best witness."""
    return Word(Role.SENT, dash=dash)


def all_bytes(dash: int | None = None) -> Word:
    """Bytes that were sent, with response heads."""
    return Word(Role.SENT, rank=1, counts=_HEADERS_COUNTED, dash=dash)


def announced_bytes(dash: int | None = None) -> Word:
    """The size of the answer, whatever was sent of it."""
    return Word(Role.SENT, rank=2, counts=_ANNOUNCED, dash=dash)


class Literal(NamedTuple):
    """Text that stands in every line as it is."""

    text: str


class Variable(NamedTuple):
    """A word as it stands in a text."""

    name: str
    """As written: `$remote_addr`, `%>s`."""
    word: Word
    known: bool = True
    padded: bool = False
    """Blanks may stand before and behind the value."""
    quoted: bool = False
    """The server writes quotes about it."""


Piece = Literal | Variable

COLUMN = Word(Role.NONE)
TEXT_COLUMN = Word(Role.NONE, text=True)

_REQUEST_HEADERS = {
    "referer": Word(Role.REFERER, text=True),
    "host": Word(Role.VIRTUAL_HOST, text=True, rank=1),
    "user-agent": Word(Role.AGENT, text=True),
    "x-forwarded-for": Word(Role.FORWARDED, several=True),
    "x-real-ip": Word(Role.CLIENT, rank=2),
    "true-client-ip": Word(Role.CLIENT, rank=2),
    "cf-connecting-ip": Word(Role.CLIENT, rank=2),
}
_RESPONSE_HEADERS = {
    "content-range": Word(Role.CONTENT_RANGE, text=True),
    "content-length": Word(Role.CONTENT_LENGTH),
    "content-encoding": Word(Role.CONTENT_ENCODING, several=True),
    "content-type": Word(Role.CONTENT_TYPE, text=True),
    "x-cache": Word(Role.CACHE_RESULT, text=True, rank=1),
    "x-cache-status": Word(Role.CACHE_RESULT, text=True, rank=1),
}
"""Headers are no matter of the server: every table of words asks here."""


def request_header(name: str) -> Word:
    """The meaning of a header of the request; TEXT_COLUMN for one that says nothing of a delivery."""
    return _REQUEST_HEADERS.get(name.lower().replace("_", "-"), TEXT_COLUMN)


def response_header(name: str) -> Word:
    """The meaning of a header of the response.

    >>> response_header("Content-Range").role.name, response_header("ETag").role.name
    ('CONTENT_RANGE', 'NONE')
    """
    return _RESPONSE_HEADERS.get(name.lower().replace("_", "-"), TEXT_COLUMN)


def cut(text: str, pattern: re.Pattern[str], found: Callable[[re.Match[str]], list[Piece]]) -> list[Piece]:
    """The pieces of a text: `found` makes them of what `pattern` matches, and what stands between is literal."""
    pieces: list[Piece] = []
    at = 0
    for match in pattern.finditer(text):
        pieces += [Literal(text[at : match.start()]), *found(match)]
        at = match.end()
    return [*pieces, Literal(text[at:])]
