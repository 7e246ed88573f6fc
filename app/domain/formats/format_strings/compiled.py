"""From a format string to a format."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from app.domain.formats.base import BadLine, Format, FormatOptions, LineParser
from app.domain.formats.format_strings.dates import clock_of, date_reader, names_zone
from app.domain.formats.format_strings.hits import CLOCKS, ENDED, hit_of
from app.domain.formats.format_strings.line_pattern import LinePattern, line_pattern, taken
from app.domain.formats.format_strings.servers import SERVERS, Text, text_of
from app.domain.formats.format_strings.words import FormatTextError, Literal, Piece, Role, Variable, Word
from app.domain.formats.values import shown

__all__ = ["MAX_CHARS", "FormatString", "compiled", "is_format_string"]

MAX_CHARS = 8192
"""A longer text is no log format: messages carry it in a header."""
_MOST_WORDS = 90
_GIVES = {
    "time": {Role.TIME, Role.DATE},
    "client": {Role.CLIENT, Role.FORWARDED},
    "request": {Role.REQUEST, Role.TARGET},
    "status": {Role.STATUS},
}
_BYTES = (Role.BODY_BYTES, Role.ALL_BYTES, Role.ANNOUNCED_BYTES)
_JSON_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_JSON_CHARACTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_DECODE = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).decode


class FormatString(NamedTuple):
    """A format string, compiled."""

    format: Format
    """Its name is the whole text, with the server before it."""
    server: str
    warnings: tuple[str, ...]
    """Sentences: what is passed over though it may have been meant, and what lines can not tell."""


def is_format_string(text: str) -> bool:
    """Whether it looks like one, rather than like the name of a format.

    >>> is_format_string("%h %s"), is_format_string("nginx:combined"), is_format_string("combined")
    (True, True, False)
    """
    return "$" in text or "%" in text or "{" in text or text.strip().startswith(tuple(f"{name}:" for name in SERVERS))


@lru_cache(maxsize=64)
def compiled(given: str) -> FormatString:
    """The format of a text. Raises FormatTextError with a sentence."""
    if len(given) > MAX_CHARS:
        raise FormatTextError(f"a log format of {len(given)} characters: at most {MAX_CHARS} are read")
    text = text_of(given)
    if text.text.lstrip().startswith("{") and text.server.name in ("envoy", "caddy"):
        reader: _Columns = _ObjectColumns(text)
    else:
        reader = _LineColumns(text)
    variables = reader.variables
    _check(text, variables)
    parse = _parser(reader, variables)
    made = Format(
        name=text.name,
        title=f"The log format of {text.server.name} that was given as a text.",
        example="",
        make_parser=lambda head, options: parse,
    )
    return FormatString(made, text.server.name, tuple(_warnings(text, variables)))


class _Columns:
    """How the texts of a line's columns are found."""

    variables: list[Variable]

    def texts(self, line: str) -> tuple[Sequence[str | None], list[str], str | None]:
        """One text for each Role up to CAPTURE, then the parts of a date and the fraction. Raises BadLine."""
        raise NotImplementedError


class _LineColumns(_Columns):
    """Of lines that are text, JSON that a text spells included."""

    def __init__(self, text: Text) -> None:
        pieces = [_clocked(piece) for piece in text.server.pieces(text.text)]
        self.variables = [piece for piece in pieces if isinstance(piece, Variable)]
        if len(self.variables) > _MOST_WORDS:
            raise FormatTextError(f"a log format of {len(self.variables)} words: at most {_MOST_WORDS} are read")
        self.pattern = line_pattern(pieces)
        self.json = text.text.lstrip().startswith("{")

    def found(self, line: str) -> re.Match[str]:
        found = self.pattern.match(line)
        if found is None and not self.json:
            found = self.pattern.match_damaged(line)
        if found is None:
            raise BadLine("bad_columns", f"not as the log format says: {shown(line)}" if line.strip() else "a blank line")
        return found

    def texts(self, line: str) -> tuple[Sequence[str | None], list[str], str | None]:
        found = self.found(line)
        texts: Sequence[str | None] = found.group(*self.pattern.order)
        if self.json and "\\" in line:
            texts = list(map(_unescaped, texts))
        return texts, [found[group] for group in self.pattern.dates], found[self.pattern.fraction]


class _ObjectColumns(_Columns):
    """Of JSON objects whose keys stand in any order: Envoy's and Caddy's."""

    def __init__(self, text: Text) -> None:
        try:
            template = json.loads(text.text)
        except (ValueError, RecursionError):
            raise FormatTextError(f"the log format begins as JSON but is none: {text.text[:60]!r}") from None
        self.variables = []
        self._steps: list[tuple[tuple[str, ...], int]] = []
        for path, value in _leaves(template, ()):
            pieces = [_clocked(piece) for piece in text.server.pieces(value)]
            words = [piece for piece in pieces if isinstance(piece, Variable)]
            others = "".join(piece.text for piece in pieces if isinstance(piece, Literal))
            if len(words) == 1 and not others.strip():
                self._steps.append((path, len(self.variables)))
                self.variables += words
            elif words:
                raise FormatTextError(f"the value {value[:60]!r} of {'.'.join(path)} has more than one word: give each a key of its own")
        chosen = taken(self.variables)
        self._plan = [(path, chosen[at]) for path, at in self._steps if at in chosen]
        self._clock = next((self.variables[at].word.clock for at, role in chosen.items() if role is Role.TIME), "")

    def texts(self, line: str) -> tuple[Sequence[str | None], list[str], str | None]:
        try:
            record = _DECODE(line)
        except (ValueError, RecursionError):
            raise BadLine("bad_columns", f"not JSON: {shown(line)}" if line.strip() else "a blank line") from None
        if not isinstance(record, dict):
            raise BadLine("bad_columns", f"not a JSON object: {shown(line)}")
        texts: list[str | None] = [None] * (Role.CAPTURE.value + 1)
        dates: list[str] = []
        for path, role in self._plan:
            value: Any = record
            for step in path:
                value = value.get(step) if isinstance(value, dict) else None
            while isinstance(value, list):
                value = value[0] if value else None
            found = value if isinstance(value, str) else "-"
            if role is Role.DATE:
                dates.append(found)
            elif role is Role.TIME:
                texts[0], texts[1] = _halves(found, self._clock)
            else:
                texts[role.value] = found
        return texts, dates, None


def _leaves(value: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
    """The texts of a template with the keys that lead to them; of a list the first member counts."""
    if isinstance(value, str):
        return [(path, value)]
    if isinstance(value, dict):
        return [leaf for key, member in value.items() for leaf in _leaves(member, (*path, key))]
    return _leaves(value[0], path) if isinstance(value, list) and value else []


def _halves(text: str, clock: str) -> tuple[str, str | None]:
    if clock == "epoch":
        whole, point, fraction = text.partition(".")
        return whole, fraction if point else None
    at = {"clf": 17, "iso": 16}.get(clock, len(text))
    return text[:at], text[at:] if clock in ("clf", "iso") else None


def _unescaped(text: str | None) -> str | None:
    r"""A JSON string's escapes undone; `\x22`, which is none, stays as it is."""
    if text is None or "\\" not in text:
        return text
    return _JSON_ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _JSON_CHARACTERS.get(found[2], found[2]), text)


def _clocked(piece: Piece) -> Piece:
    """A date that one of the clocks reads is a time like others."""
    if isinstance(piece, Variable) and piece.word.role is Role.DATE and clock_of(piece.word.date):
        return piece._replace(word=Word(Role.TIME, rank=piece.word.rank, clock=clock_of(piece.word.date)))
    return piece


def _words_of(variables: Sequence[Variable]) -> dict[Role, Word]:
    """The words that give the fields."""
    return {role: variables[at].word for at, role in taken(variables).items()}


def _parser(columns: _Columns, variables: Sequence[Variable]) -> LineParser:
    words = _words_of(variables)
    end = ENDED[words[Role.ENDED].ended if Role.ENDED in words else None]
    dash = next((words[role].dash for role in _BYTES if role in words), None)
    if Role.TIME not in words:
        return _with_date(columns, variables, end, dash)
    first, second = CLOCKS[words[Role.TIME].clock]

    def parse(line: str) -> tuple:
        texts, _, _ = columns.texts(line)
        rest = texts[1]
        time = first[texts[0] or ""]
        return hit_of(texts, time if rest is None else time + second[rest], end, dash)

    if not isinstance(columns, _LineColumns) or columns.json:
        return parse
    match, order, found_otherwise = columns.pattern.match, columns.pattern.order, columns.found

    def parse_text(line: str) -> tuple:
        texts = (match(line) or found_otherwise(line)).group(*order)
        rest = texts[1]
        time = first[texts[0]]
        return hit_of(texts, time if rest is None else time + second[rest], end, dash)

    return parse_text


def _with_date(columns: _Columns, variables: Sequence[Variable], end: Callable[[str, int], int], dash: int | None) -> LineParser:
    read = date_reader([variables[at].word.date for at, role in sorted(taken(variables).items()) if role is Role.DATE])

    def parse(line: str) -> tuple:
        texts, dates, fraction = columns.texts(line)
        time = read("\0".join(dates))
        return hit_of(texts, time + float(f"0.{fraction}") if fraction else time, end, dash)

    return parse


def _check(text: Text, variables: Sequence[Variable]) -> None:
    """Raises FormatTextError where the text can not give what every hit has."""
    roles = {variable.word.role for variable in variables}
    missing = [name for name, those in _GIVES.items() if not roles & those]
    if missing:
        words = ", ".join(text.server.shown[name] for name in missing)
        raise FormatTextError(f"the log format of {text.server.name} gives no {' and no '.join(missing)}: add {words} to {text.text[:200]!r}")


def _warnings(text: Text, variables: Sequence[Variable]) -> list[str]:
    found = [f"{name} is not known: its column is passed over" for name in _names(variables, lambda variable: not variable.known)]
    roles = {variable.word.role for variable in variables}
    if Role.CONTENT_RANGE not in roles:
        found += [
            f"{name} is passed over: the server behind may have answered another range; log $sent_http_content_range"
            for name in _names(variables, lambda variable: variable.name.strip("${}").lower() == "upstream_http_content_range")
        ]
    guessed = _names(variables, lambda variable: variable.word.role is Role.AGENT and variable.word.rank > 0)
    found += [f"{name} is taken for the user agent: put the configuration's capture lines above the format to be sure" for name in guessed]
    if Role.TIME not in roles:
        dates = [variable.word.date for variable in variables if variable.word.role is Role.DATE]
        if not any(map(names_zone, dates)):
            found.append("the time has no zone: it is read as UTC")
    return found


def _names(variables: Sequence[Variable], wanted: Callable[[Variable], bool]) -> list[str]:
    return list(dict.fromkeys(variable.name for variable in variables if wanted(variable)))
