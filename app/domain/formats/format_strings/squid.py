"""Squid: the text of `logformat`."""

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
    request_header,
    response_header,
)

__all__ = ["NAMED", "WORDS", "pieces"]

WORDS = {
    ">a": Word(Role.CLIENT),
    ">A": Word(Role.CLIENT, rank=1),
    "ts": Word(Role.TIME, clock="epoch"),
    "tu": Word(Role.FRACTION),
    "tl": Word(Role.TIME, clock="clf", rank=1),
    "tg": Word(Role.TIME, clock="clf", rank=1),
    "rm": Word(Role.METHOD),
    ">rm": Word(Role.METHOD, rank=1),
    "<rm": Word(Role.METHOD, rank=2),
    "ru": Word(Role.TARGET),
    ">ru": Word(Role.TARGET, rank=1),
    "<ru": Word(Role.TARGET, rank=3),
    "rp": Word(Role.TARGET, rank=2),
    ">rp": Word(Role.TARGET, rank=2),
    "rv": Word(Role.PROTOCOL),
    ">rv": Word(Role.PROTOCOL),
    "<rv": COLUMN,
    ">Hs": Word(Role.STATUS),
    "Hs": Word(Role.STATUS, rank=1),
    "<Hs": Word(Role.STATUS, rank=3),
    "<st": all_bytes(),
    "st": COLUMN,
    ">st": COLUMN,
    "<sH": COLUMN,
    "<sh": COLUMN,
    ">sh": COLUMN,
    "Ss": Word(Role.ENDED, ended=Ended.RESULT),
    "mt": Word(Role.CONTENT_TYPE),
    "tr": Word(Role.DURATION, per_s=1000),
    ">rd": Word(Role.VIRTUAL_HOST),
    "un": TEXT_COLUMN,
    "ul": TEXT_COLUMN,
    "ui": TEXT_COLUMN,
    "ue": TEXT_COLUMN,
    "us": TEXT_COLUMN,
    "et": TEXT_COLUMN,
    "ea": TEXT_COLUMN,
    "ssl::>sni": COLUMN,
    **dict.fromkeys(
        (
            "sn", ">p", ">la", ">lp", "la", "lp", "<a", "<A", "<p", "<la", "<lp", ">eui", ">qos", "<qos", "nfmark", "tS", "dt",
            "Sh", "<pt", "<tt", "<bs", "rs", ">rs", "<rs", "<rd", ">rP", "<rP", "rG", "as", "ssl::bump_mode", "err_code",
            "err_detail", "master_xaction", "oa", "lm", "note", "transport::>connection_id", ">sni", "<pa", "<bh", "<ba",
        ),
        COLUMN,
    ),
}  # fmt: skip
"""Name without `%` to its meaning. Headers are no words of the server."""

_REFERRER = ' "%{Referer}>h" "%{User-Agent}>h"'
_COMMON = '%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st'
NAMED = {
    "squid": "%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt",
    "common": _COMMON + " %Ss:%Sh",
    "combined": _COMMON + _REFERRER + " %Ss:%Sh",
}
"""Formats that the server knows by name (5.7; 7 has %[ul for %[un)."""

# % quoting - 0 width . precision {argument} code
_ITEM = re.compile(
    r"%(?:(%)|([\"\[#'/\\]?)(-?)(0?)([0-9]*)(?:\.[0-9]+)?(?:\{([^}]*)\})?([<>a-zA-Z_:]+)(?:\{([^}]*)\})?)"
)


def _word(code: str, argument: str | None) -> Word | None:
    name = code.removeprefix("http::") if code.startswith("http::") else code
    if name in (">h", ">ha"):
        return request_header(argument or "") if argument else TEXT_COLUMN
    if name == "<h":
        return response_header(argument or "") if argument else TEXT_COLUMN
    if name in ("tl", "tg") and argument:
        return Word(Role.DATE, date=argument, rank=1)
    return WORDS.get(name)


def pieces(text: str) -> list[Piece]:
    """The pieces of a text.

    >>> [piece.name for piece in pieces('%ts.%03tu %6tr %>a') if isinstance(piece, Variable)]
    ['%ts', '%03tu', '%6tr', '%>a']
    """
    found: list[Piece] = []
    at = 0
    while match := _ITEM.search(text, at):
        found.append(Literal(text[at : match.start()]))
        at = match.end()
        if match[1]:
            found.append(Literal("%"))
            continue
        code, argument = match[7], match[6] if match[6] is not None else match[8]
        # the longest code that the server knows: a colon or letters may follow it
        size = next((size for size in range(len(code), 0, -1) if _word(code[:size], argument) is not None), 0)
        if size and match[8] is None:
            at -= len(code) - size
        word = _word(code[:size], argument) if size else None
        padded = bool(match[5]) and not match[4]
        found.append(Variable(text[match.start() : at], word or COLUMN, word is not None, padded))
    return [*found, Literal(text[at:])]
