"""Where the columns of a line are: in its text, or under the keys of a JSON object."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from app.domain.formats.base import BadLine
from app.domain.formats.format_strings.dates import clock_of
from app.domain.formats.format_strings.line_pattern import line_pattern, taken
from app.domain.formats.format_strings.servers import Text
from app.domain.formats.format_strings.words import LAST_COLUMN, FormatTextError, Literal, Piece, Role, Variable, Word
from app.domain.formats.values import not_as, shown

__all__ = ["Columns", "Found", "ObjectColumns", "TextColumns"]

Found = tuple["Sequence[str | None]", "Sequence[str]", "str | None"]
"""One text for each Role up to LAST_COLUMN, the parts of a date, and the fraction of a second that belongs to them."""

_MOST_WORDS = 90
_MOST_LAYOUTS = 8
_STRING = r'[^"\\\x00-\x1f]*+'
_NUMBER = r"(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?"
_TIMES = {
    "clf": r'"([^"\\\x00-\x1f]{0,17}+)([^"\\\x00-\x1f]*+)"',
    "iso": r'"([^"\\\x00-\x1f]{0,16}+)([^"\\\x00-\x1f]*+)"',
    "epoch": r"([1-9][0-9]*+)(?:\.([0-9]++))?",
}
_JSON_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_JSON_CHARACTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
# numbers stay text: whatever their length, they go the way of numbers in any other format
_DECODE = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).raw_decode


class Columns(ABC):
    """How the texts of a line's columns are found."""

    variables: list[Variable]

    @abstractmethod
    def texts(self, line: str) -> Found:
        """One text for each Role up to LAST_COLUMN, then the parts of a date and the fraction. Raises BadLine."""


class TextColumns(Columns):
    """Of lines that are text, JSON that a text spells included."""

    def __init__(self, text: Text) -> None:
        pieces = [_clocked(piece) for piece in text.server.pieces(text.text)]
        self.variables = [piece for piece in pieces if isinstance(piece, Variable)]
        if len(self.variables) > _MOST_WORDS:
            raise FormatTextError(f"a log format of {len(self.variables)} words: at most {_MOST_WORDS} are read")
        self.pattern = line_pattern(pieces)
        self.json = text.text.lstrip().startswith("{")
        self._what = _what(text)

    def found(self, line: str) -> re.Match[str]:
        found = self.pattern.match(line)
        if found is None and not self.json:
            found = self.pattern.match_damaged(line)
        if found is None:
            raise not_as(f"as {self._what} says", line)
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
        """Raises FormatTextError."""
        self._what = _what(text)
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
                raise FormatTextError(
                    f"the value {value[:60]!r} of {'.'.join(path)} is more than one word: give each a key of its own"
                )
            if words:
                paths.append(path)
                self.variables += words
        chosen = taken(self.variables)
        self._fields = [(paths[at], role) for at, role in chosen.items() if role is not Role.DATE]
        self._dates = [paths[at] for at, role in sorted(chosen.items()) if role is Role.DATE]
        self._clock = next((self.variables[at].word.clock for at, role in chosen.items() if role is Role.TIME), "")
        self._layouts: list[_Layout] = []
        flat = not self._dates and all(len(path) == 1 for path, _ in self._fields)
        self._most_layouts = _MOST_LAYOUTS if flat else 0

    def texts(self, line: str) -> Found:
        for layout in self._layouts:
            texts = layout.texts(line)
            if texts is not None:
                return texts, (), None
        record = _record(line, self._what)
        if len(self._layouts) < self._most_layouts and "\\" not in line:
            found = _layout(line, {path[0]: role for path, role in self._fields}, self._clock)
            self._layouts += [] if found is None or found.texts(line) is None else [found]
        texts = [None] * (LAST_COLUMN.value + 1)
        for path, role in self._fields:
            texts[role.value] = _text_at(record, path)
        if self._clock:
            texts[0], texts[1] = _halves(texts[0] or "", self._clock)
        return texts, [_text_at(record, path) for path in self._dates], None


def _what(text: Text) -> str:
    return f"the log format of {text.server.name} {shown(text.text)}"


def _record(line: str, what: str) -> dict[str, Any]:
    try:
        record, end = _DECODE(line)
    except (ValueError, RecursionError):
        raise not_as(f"JSON, as {what} says", line) from None
    if not isinstance(record, dict) or line[end:].strip():
        raise BadLine("bad_columns", f"not a JSON object, as {what} says: {shown(line)}")
    return record


class _Layout:
    """Lines with the same keys in the same order, as one pattern: half the time that decoding takes."""

    def __init__(
        self, match: Callable[[str], re.Match[str] | None], order: tuple[int, ...], slots: tuple[int, ...]
    ) -> None:
        self._match, self._order, self._slots = match, order, slots

    def texts(self, line: str) -> Sequence[str | None] | None:
        """One for each Role up to LAST_COLUMN; None where the line is laid out in another way or has escapes."""
        found = self._match(line)
        if found is None:
            return None
        texts: Sequence[str | None] = found.group(*self._order)
        if "null" in line:
            texts = list(texts)
            for slot in self._slots:
                texts[slot] = "-" if texts[slot] is None else texts[slot]
        return texts


def _layout(line: str, roles: dict[str, Role], clock: str) -> _Layout | None:
    """How a line is laid out; None where objects or lists stand in it, or a key is missing."""
    try:
        record = json.loads(line)
    except ValueError:  # an integer that Python does not turn into one
        return None
    plain = all(
        value is None or (isinstance(value, (str, int, float)) and not isinstance(value, bool))
        for value in record.values()
    )
    if not plain or len(record) > _MOST_WORDS or not roles.keys() <= record.keys():
        return None
    members: list[str] = []
    slots: list[int] = []
    for key, value in record.items():
        text = _NUMBER if isinstance(value, (int, float)) else _STRING
        if key in roles:
            slots.append(roles[key].value)
            text = f"({text})" if isinstance(value, (int, float)) else f'"({text})"'
            if roles[key] is Role.TIME and clock != "any":
                slots.append(Role.REST.value)
                text = _TIMES[clock]
        elif not isinstance(value, (int, float)):
            text = f'"{text}"'
        members.append(rf'"{re.escape(key)}": ?(?:{text}|null)')
    match = re.compile(r"\{" + ", ?".join(members) + r"\}(?:(?!)())?").fullmatch
    order = tuple(slots.index(at) + 1 if at in slots else len(slots) + 1 for at in range(LAST_COLUMN.value + 1))
    return _Layout(match, order, tuple(slot for slot in slots if slot != Role.REST.value))


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
    return _JSON_ESCAPE.sub(
        lambda found: chr(int(found[1], 16)) if found[1] else _JSON_CHARACTERS.get(found[2], found[2]), text
    )


def _clocked(piece: Piece) -> Piece:
    """A date that one of the clocks reads is a time like others."""
    if isinstance(piece, Variable) and piece.word.role is Role.DATE and clock_of(piece.word.date):
        return piece._replace(word=Word(Role.TIME, rank=piece.word.rank, clock=clock_of(piece.word.date)))
    return piece
