"""Where the columns of a line are: in its text, or under the keys of a JSON object."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from app.domain.formats.base import BadLine
from app.domain.formats.format_strings.dates import clock_of
from app.domain.formats.format_strings.line_pattern import line_pattern, taken
from app.domain.formats.format_strings.servers import Text
from app.domain.formats.format_strings.words import FormatTextError, Literal, Piece, Role, Variable, Word
from app.domain.formats.values import shown

__all__ = ["Columns", "Found", "LineColumns", "ObjectColumns"]

Found = tuple["Sequence[str | None]", "Sequence[str]", "str | None"]
"""One text for each Role up to CAPTURE, the parts of a date, and the fraction of a second that belongs to them."""

_MOST_WORDS = 90
_JSON_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_JSON_CHARACTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
# numbers stay text: whatever their length, they go the way of numbers in any other format
_DECODE = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).raw_decode


class Columns:
    """How the texts of a line's columns are found."""

    variables: list[Variable]

    def texts(self, line: str) -> Found:
        """One text for each Role up to CAPTURE, then the parts of a date and the fraction. Raises BadLine."""
        raise NotImplementedError


class LineColumns(Columns):
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

    def texts(self, line: str) -> Found:
        found = self.found(line)
        texts: Sequence[str | None] = found.group(*self.pattern.order)
        if self.json and "\\" in line:
            texts = list(map(_unescaped, texts))
        return texts, [found[group] for group in self.pattern.dates], found[self.pattern.fraction]


class ObjectColumns(Columns):
    """Of JSON objects whose keys stand in any order: Envoy's and Caddy's."""

    def __init__(self, text: Text) -> None:
        try:
            template = json.loads(text.text)
        except (ValueError, RecursionError):
            raise FormatTextError(f"the log format begins as JSON but is none: {text.text[:60]!r}") from None
        self.variables = []
        paths: list[tuple[str, ...]] = []
        for path, value in _leaves(template, ()):
            pieces = [_clocked(piece) for piece in text.server.pieces(value)]
            words = [piece for piece in pieces if isinstance(piece, Variable)]
            others = "".join(piece.text for piece in pieces if isinstance(piece, Literal))
            if len(words) > 1 or (words and others.strip()):
                raise FormatTextError(f"the value {value[:60]!r} of {'.'.join(path)} is more than one word: give each a key of its own")
            if words:
                paths.append(path)
                self.variables += words
        chosen = sorted(taken(self.variables).items())
        columns = [at for at, role in chosen if role is not Role.DATE] + [at for at, role in chosen if role is Role.DATE]
        roles = dict(chosen)
        self._paths = [paths[at] for at in columns]
        self._slots = [roles[at].value for at in columns if roles[at] is not Role.DATE]
        self._flat = itemgetter(*(path[0] for path in self._paths)) if _all_flat(self._paths) else None
        self._clock = next((self.variables[at].word.clock for at, role in chosen if role is Role.TIME), "")

    def texts(self, line: str) -> Found:
        try:
            record, end = _DECODE(line)
            if end != len(line) and line[end:].strip():
                raise ValueError
        except (ValueError, RecursionError):
            raise BadLine("bad_columns", f"not JSON: {shown(line)}" if line.strip() else "a blank line") from None
        if not isinstance(record, dict):
            raise BadLine("bad_columns", f"not a JSON object: {shown(line)}")
        values = self._values(record)
        texts: list[str | None] = [None] * (Role.CAPTURE.value + 1)
        for slot, value in zip(self._slots, values, strict=False):
            texts[slot] = value
        if self._clock:
            texts[0], texts[1] = _halves(texts[0] or "", self._clock)
        return texts, values[len(self._slots) :], None

    def _values(self, record: dict[str, Any]) -> Sequence[str]:
        """A text for each path; `-` for null and for a key that is missing."""
        if self._flat is not None:
            try:
                values = self._flat(record)
                "".join(values)
            except (KeyError, TypeError):
                pass
            else:
                return values
        return [_text_at(record, path) for path in self._paths]


def _all_flat(paths: list[tuple[str, ...]]) -> bool:
    # with one key itemgetter gives no tuple
    return len(paths) > 1 and all(len(path) == 1 for path in paths)


def _text_at(record: dict[str, Any], path: tuple[str, ...]) -> str:
    value: Any = record
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    while isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, str) else "-"


def _leaves(value: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
    """The texts of a template with the keys that lead to them; of a list the first member counts."""
    if isinstance(value, str):
        return [(path, value)]
    if isinstance(value, dict):
        return [leaf for key, member in value.items() for leaf in _leaves(member, (*path, key))]
    return _leaves(value[0], path) if isinstance(value, list) and value else []


def _halves(text: str, clock: str) -> tuple[str, str | None]:
    if clock == "iso":
        return text[:16], text[16:]
    if clock == "clf":
        return text[:17], text[17:]
    whole, point, fraction = text.partition(".") if clock == "epoch" else (text, "", "")
    return whole, fraction if point else None


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
