"""HAProxy: the text of `log-format` (Configuration Manual, 8.2.6), with the `capture` lines above it where it has some."""

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

_CLOCK = Word(Role.DATE, date="%d/%b/%Y:%H:%M:%S.%N")
_CLF = Word(Role.TIME, clock="clf")
WORDS = {
    "ci": Word(Role.CLIENT),
    "t": _CLOCK,
    "tr": _CLOCK._replace(rank=-1),
    "T": _CLF,
    "Tl": _CLF,
    "trg": _CLF._replace(rank=-1),
    "trl": _CLF._replace(rank=-1),
    "Ts": Word(Role.TIME, clock="epoch", rank=1),
    "r": Word(Role.REQUEST, text=True),
    "HM": Word(Role.METHOD),
    "HU": Word(Role.TARGET),
    "HPO": Word(Role.TARGET, rank=2),
    "HP": Word(Role.TARGET, rank=1),
    "HQ": Word(Role.QUERY),
    "HV": Word(Role.PROTOCOL),
    "ST": Word(Role.STATUS),
    "B": all_bytes(),
    "ts": Word(Role.ENDED, ended=Ended.TERMINATION, rank=1),
    "tsc": Word(Role.ENDED, ended=Ended.TERMINATION),
    "Ta": Word(Role.DURATION, per_s=1000),
    "Tt": Word(Role.DURATION, per_s=1000, rank=1),
    "hr": TEXT_COLUMN,
    "hs": Word(Role.CAPTURE, text=True),
    "hrl": TEXT_COLUMN,
    "hsl": Word(Role.CAPTURE, text=True),
    "CC": TEXT_COLUMN,
    "CS": TEXT_COLUMN,
    "sslc": COLUMN,
    "sslv": COLUMN,
    **dict.fromkeys(
        (
            "Ms", "ms", "H", "ID", "U", "Tc", "Td", "Th", "Ti", "Tq", "Tr", "TR", "Tu", "Tw", "ac", "b", "bc", "bi", "bp", "bq",
            "cp", "f", "fc", "fi", "fp", "ft", "lc", "pid", "rc", "rt", "s", "sc", "si", "sp", "sq",
        ),
        COLUMN,
    ),
}  # fmt: skip
"""Name without `%` to its meaning. Captured headers are no words of the server."""

_FETCHES = {
    "src": Word(Role.CLIENT),
    "capture.req.method": Word(Role.METHOD),
    "capture.req.uri": Word(Role.TARGET),
    "capture.req.ver": Word(Role.PROTOCOL),
    "capture.res.ver": COLUMN,
    "status": Word(Role.STATUS, rank=1),
    "txn.status": Word(Role.STATUS, rank=1),
    "method": Word(Role.METHOD, rank=1),
    "pathq": Word(Role.TARGET, rank=1),
    "path": Word(Role.TARGET, rank=2),
    "query": Word(Role.QUERY, rank=1),
}
_HTTPLOG = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"
NAMED = {
    "httplog": _HTTPLOG,
    "default": _HTTPLOG,
}
"""Formats that the server knows by name: `option httplog`."""

_QUOTED = frozenset((
    "ci", "bi", "fi", "si", "f", "ft", "b", "s", "r", "HM", "HU", "HP", "HPO", "HQ", "HV", "CC", "CS", "H", "ID", "U",
    "sslc", "sslv", "hr", "hs",
))  # fmt: skip
"""The words that `+Q` puts into quotes: texts and addresses, no numbers and no times."""

_ITEM = re.compile(r"%(?:(%)|(?:\{([+-][A-Z](?:,[+-]?[A-Z])*)\})?(?:\[((?:[^\[\]]|\[[^\]]*\])*)\]|(o\b)|([a-zA-Z]+)))")
_CAPTURE = re.compile(
    r"(?:capture (request|response) header|(http-request|http-response) capture (?:req|res)\.hdr\()\s*([\w-]+)"
)
_HEADER = re.compile(r"(?:(req|res)\.f?hdr|capture\.(req|res)\.hdr)\(([\w-]+)(?:,[^)]*)?\)")


class _Captures:
    """The headers that the `capture` lines above the text name, in their order."""

    def __init__(self, lines: list[str]) -> None:
        self.request: list[str] = []
        self.response: list[str] = []
        for line in lines:
            found = _CAPTURE.search(line)
            if found is not None:
                (self.request if (found[1] or found[2]).endswith("request") else self.response).append(found[3])

    def headers(self, variable: Variable) -> list[Piece]:
        """The headers that `%hr` or `%hs` writes as `{a|b}`; nothing for another word, or where no line names them."""
        side = {"%hr": (request_header, self.request), "%hs": (response_header, self.response)}.get(variable.name)
        if side is None or not side[1]:
            return []
        word_of, names = side
        pieces: list[Piece] = []
        for name in names:
            pieces += [Literal("|" if pieces else "{"), Variable(f"%[{name}]", word_of(name))]
        return [*pieces, Literal("}")]


def _fetch_word(expression: str, captures: _Captures) -> tuple[Word, bool]:
    """`%[…]`: a sample expression; converters behind it do not change what a column is."""
    header = _HEADER.match(expression)
    if header is None:
        name = expression.split(",")[0].strip()
        return (_FETCHES[name], True) if name in _FETCHES else (TEXT_COLUMN, False)
    side, name = header[1] or header[2], header[3]
    word_of, captured = (request_header, captures.request) if side == "req" else (response_header, captures.response)
    if header[2] is None:
        return word_of(name), True
    number = int(name) if name.isdigit() else -1
    if 0 <= number < len(captured):
        return word_of(captured[number]), True
    if side == "res":
        return Word(Role.CAPTURE, text=True), True
    # the usual configuration captures the agent first; the text alone cannot say
    return (Word(Role.AGENT, text=True, rank=5), True) if name == "0" and not captured else (TEXT_COLUMN, False)


def _variable(match: re.Match[str], captures: _Captures, quote_all: bool) -> tuple[Variable, int]:
    end = match.end()
    flags = match[2] or ""
    name = None
    if match[3] is not None:
        word, known = _fetch_word(match[3], captures)
    else:
        # the longest name that the server knows: letters may follow it
        name = next((match[5][:size] for size in range(len(match[5]), 0, -1) if match[5][:size] in WORDS), None)
        word, known = (COLUMN, False) if name is None else (WORDS[name], True)
        end -= len(match[5]) - len(name or match[5])
    quoted = ("+Q" in flags or quote_all) and "-Q" not in flags and (match[3] is not None or name in _QUOTED)
    return Variable(match.string[match.start() : end], word, known, quoted=quoted), end


def pieces(text: str) -> list[Piece]:
    """The pieces of a text. Lines above the last one are configuration: `capture request header User-Agent len 200`.

    >>> [piece.quoted for piece in pieces('%ci %{+Q}r') if isinstance(piece, Variable)]
    [False, True]
    """
    *above, text = text.strip("\n").split("\n")
    captures = _Captures(above)
    found: list[Piece] = []
    at, quote_all = 0, False
    while match := _ITEM.search(text, at):
        found.append(Literal(text[at : match.start()]))
        at = match.end()
        if match[1]:
            found.append(Literal("%"))
        elif match[4]:
            quote_all = "+Q" in (match[2] or "")
            at += text.startswith(" ", at)
        else:
            variable, at = _variable(match, captures, quote_all)
            found += captures.headers(variable) or _expanded(variable)
    return [*found, Literal(text[at:])]


def _expanded(variable: Variable) -> list[Piece]:
    """A date with its thousandths is two words."""
    if variable.word.date.endswith(".%N"):
        date = variable.word._replace(date=variable.word.date.removesuffix(".%N"))
        return [variable._replace(word=date), Literal("."), Variable(variable.name, Word(Role.FRACTION))]
    return [Literal('"'), variable, Literal('"')] if variable.quoted else [variable]
