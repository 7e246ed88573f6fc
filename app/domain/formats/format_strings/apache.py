"""Apache's `LogFormat` and those who took over its letters: lighttpd, Varnish (varnishncsa -F), h2o, Tomcat, Jetty and Undertow.

A letter means the same to most of them but for the bytes: what `%b` counts is the servers' own matter.
"""

from __future__ import annotations

import re

from app.domain.formats.format_strings.words import (
    COLUMN,
    TEXT_COLUMN,
    Ended,
    Literal,
    Piece,
    Role,
    Variable,
    Word,
    all_bytes,
    announced_bytes,
    body_bytes,
    cut,
    request_header,
    response_header,
)

__all__ = ["NAMED", "WORDS", "pieces"]

_LETTERS = {
    "h": Word(Role.CLIENT),
    "a": Word(Role.CLIENT, rank=-1),
    "l": COLUMN,
    "u": TEXT_COLUMN,
    "t": Word(Role.TIME, clock="clf", bracketed=True),
    "r": Word(Role.REQUEST, text=True),
    "m": Word(Role.METHOD),
    "U": Word(Role.TARGET),
    "q": Word(Role.QUERY),
    "H": Word(Role.PROTOCOL),
    "s": Word(Role.STATUS, rank=1),
    ">s": Word(Role.STATUS),
    "<s": Word(Role.STATUS, rank=2),
    "D": Word(Role.DURATION, per_s=10**6),
    "T": Word(Role.DURATION, rank=1),
    "v": Word(Role.VIRTUAL_HOST),
    "V": Word(Role.VIRTUAL_HOST, rank=1),
    **dict.fromkeys(("A", "f", "F", "I", "k", "L", "p", "P", "R", "S", "E", "y"), COLUMN),
}
_CONNECTION = Word(Role.ENDED, ended=Ended.CONNECTION)
_BROKEN = Word(Role.ENDED, ended=Ended.BROKEN)
_JAVA = _LETTERS | dict.fromkeys("DTSI", COLUMN)
"""Their durations are in units that differ from version to version."""
WORDS = {
    "apache": _LETTERS
    | {
        "b": announced_bytes(dash=0),
        "B": announced_bytes(dash=0),
        "O": all_bytes(dash=0),
        "S": COLUMN,
        "X": _CONNECTION,
        "c": Word(Role.ENDED, ended=Ended.CONNECTION, rank=1),
    },
    "lighttpd": _LETTERS
    | {
        "b": body_bytes(dash=0),
        "B": body_bytes(dash=0),
        "O": all_bytes(dash=0),
        "X": _CONNECTION,
    },
    "varnish": _LETTERS | {"b": announced_bytes(dash=0), "O": announced_bytes(dash=0)._replace(rank=3)},
    "h2o": _LETTERS | {"b": body_bytes(dash=0)},
    # sendfile, which is Tomcat's default, logs the size of the answer and `+` whatever became of it
    "tomcat": _JAVA | {"b": announced_bytes(dash=0), "B": announced_bytes(dash=0), "X": _BROKEN},
    "tomcat-no-sendfile": _JAVA | {"b": body_bytes(dash=0), "B": body_bytes(dash=0), "X": _CONNECTION},
    # of a 200 that broke off `%O` is the size of the answer
    "jetty": _JAVA | {"O": announced_bytes(dash=0), "X": _CONNECTION},
    "undertow": _JAVA | {"b": body_bytes(dash=0), "B": body_bytes(dash=0)},
}
"""Server to its letters, without the percent sign. Headers are no words of the server."""

_COMBINED = ' "%{Referer}i" "%{User-Agent}i"'
_COMMON = '%h %l %u %t "%r" %>s %b'
NAMED = {
    "apache": {
        "common": _COMMON,
        "combined": _COMMON + _COMBINED,
        "vhost_common": "%v " + _COMMON,
        "vhost_combined": "%v:%p " + _COMMON + _COMBINED,
        "combinedio": _COMMON + _COMBINED + " %I %O",
    },
    "lighttpd": {"default": '%h %V %u %t "%r" %>s %b' + _COMBINED},
    "varnish": {"default": '%h %l %u %t "%r" %s %b' + _COMBINED},
    "h2o": {"default": '%h %l %u %t "%r" %s %b' + _COMBINED},
    **{
        name: {"common": '%h %l %u %t "%r" %s %b', "combined": '%h %l %u %t "%r" %s %b' + _COMBINED}
        for name in ("tomcat", "tomcat-no-sendfile", "undertow")
    },
    "jetty": {"ncsa": '%{client}a - %u %t "%r" %s %O', "extended": '%{client}a - %u %t "%r" %s %O' + _COMBINED},
}
"""Formats that the servers know by name, or write where nothing else is configured."""

_DIRECTIVE = re.compile(r"%(?:(%)|([<>]?)(?:!?[0-9]{3}(?:,[0-9]{3})*)?([<>]?)(?:\{([^}]*)\})?(\^[a-zA-Z]{2}|[a-zA-Z]))")
_COMMA = re.compile(r"%\{([io]),([^}]*)\}")
"""Undertow's way to name a header: `%{o,Content-Range}`."""
_EPOCHS = {
    "sec": Word(Role.TIME, clock="epoch", rank=1),
    "msec": Word(Role.TIME, clock="epoch"),
    "usec": Word(Role.TIME, clock="epoch"),
}
_PER_S = {"s": 1, "ms": 10**3, "us": 10**6}
_FRACTIONS = ("msec_frac", "usec_frac")


def _time_word(argument: str) -> Word:
    """`%{…}t`: an epoch, a fraction, or what strftime writes."""
    argument = argument.removeprefix("begin:").removeprefix("end:")
    if argument in _EPOCHS:
        return _EPOCHS[argument]
    if argument in _FRACTIONS:
        return Word(Role.FRACTION)
    return Word(Role.DATE, date=argument) if argument else _LETTERS["t"]


def _word(server: str, letter: str, arrow: str, argument: str | None) -> tuple[Word, bool]:
    if argument is None or (argument == "CLF" and letter in "ISO"):
        word = WORDS[server].get(arrow + letter) or WORDS[server].get(letter)
        return (COLUMN, False) if word is None else (word, True)
    if letter == "i":
        return request_header(argument), True
    if letter == "o":
        return response_header(argument), True
    if letter == "t":
        if server == "jetty":  # the letters are Java's: yyyy for %Y
            return TEXT_COLUMN, False
        return _time_word(argument), True
    if letter in ("a", "h"):  # %{c}a is the connection's address, behind which mod_remoteip may have found the client
        return Word(Role.CLIENT, rank=1), True
    if letter == "T" and argument in _PER_S:
        return Word(Role.DURATION, per_s=_PER_S[argument]), True
    if letter == "x" and argument == "Varnish:hitmiss":
        return Word(Role.CACHE_RESULT), True
    if letter in ("x", "C", "e", "n", "p", "P", "T", "L", "s", "^ti", "^to", "V"):
        return TEXT_COLUMN, True
    return TEXT_COLUMN, letter.startswith("^")


def pieces(text: str, server: str) -> list[Piece]:
    """The pieces of a text.

    >>> [piece.name for piece in pieces('%h %>s %{Content-Range}o', "apache") if isinstance(piece, Variable)]
    ['%h', '%>s', '%{Content-Range}o']
    """

    def found(match: re.Match[str]) -> list[Piece]:
        if match[1]:
            return [Literal("%")]
        word, known = _word(server, match[5], match[2] or match[3], match[4])
        variable = Variable(match[0], word, known)
        return [Literal("["), variable, Literal("]")] if word.bracketed else [variable]

    if server == "undertow":
        text = _COMMA.sub(r"%{\2}\1", text)
    return cut(text, _DIRECTIVE, found)
