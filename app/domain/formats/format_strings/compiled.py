"""From a format string to a format."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from app.domain.formats.base import Format, LineParser
from app.domain.formats.clients import Clients, clients
from app.domain.formats.format_strings.columns import Columns, ObjectColumns, TextColumns
from app.domain.formats.format_strings.dates import date_reader, names_zone
from app.domain.formats.format_strings.hits import CLOCKS, Hit, Texts, hit_maker
from app.domain.formats.format_strings.line_pattern import Span, taken
from app.domain.formats.format_strings.servers import SERVERS, Text, text_of
from app.domain.formats.format_strings.words import FormatTextError, Role, Variable, Word
from app.domain.formats.prefixes import behind_prefix

__all__ = ["MAX_CHARS", "FormatString", "LineSpans", "compiled", "is_format_string"]

MAX_CHARS = 8192
"""A longer text is no log format: messages carry it in a header."""
_GIVES = {
    "time": {Role.TIME, Role.DATE},
    "client": {Role.CLIENT, Role.FORWARDED},
    "request": {Role.REQUEST, Role.TARGET},
    "status": {Role.STATUS},
}


class LineSpans(NamedTuple):
    """Where the values of a line stand and what they mean, for those who read many lines at once: as its parser reads them."""

    before: str
    """What stands before the first value."""
    spans: tuple[Span, ...]
    words: dict[Role, Word]
    """Those that give the fields."""
    dates: tuple[str, ...]
    """Of the parts of a date, in their order: what is written."""
    json: bool
    """A value may have the escapes of JSON."""


class FormatString(NamedTuple):
    """A format string, compiled."""

    format: Format
    """Its name is the whole text, with the server before it."""
    server: str
    warnings: tuple[str, ...]
    """Sentences: what is passed over though it may have been meant, and what lines cannot tell."""
    spans: LineSpans | None
    """None where patterns alone find the values, or lines are objects."""


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
    reader = ObjectColumns(text) if _is_object(text) else TextColumns(text)
    variables = reader.variables
    _check(text, variables)
    parser = lru_cache(maxsize=64)(
        lambda fields, trusted, heads: behind_prefix(_parser(reader, variables, fields, clients(trusted)), heads)
    )
    parser("", "", "")  # says at once what lines cannot be read by
    made = Format(
        name=text.name,
        title=f"The log format of {text.server.name} that was given as a text.",
        example="",
        make_parser=lambda head, options: parser(options.fields, options.trusted_proxies, options.heads),
    )
    return FormatString(made, text.server.name, tuple(_warnings(text, variables)), _spans(reader))


def _spans(columns: Columns) -> LineSpans | None:
    if not isinstance(columns, TextColumns) or (spans := columns.pattern.spans) is None:
        return None
    variables = columns.variables
    return LineSpans(columns.pattern.before, spans, _words_of(variables), tuple(_dates(variables)), columns.json)


def _dates(variables: Sequence[Variable]) -> list[str]:
    return [variables[at].word.date for at, role in sorted(taken(variables).items()) if role is Role.DATE]


def _is_object(text: Text) -> bool:
    """Whether the server makes an object of it; the others write a text, though it may read as JSON."""
    return (text.server.name == "envoy" and text.text.lstrip().startswith("{")) or (
        text.server.name == "caddy" and re.match(r'\s*\{\s*"', text.text) is not None
    )


def _words_of(variables: Sequence[Variable]) -> dict[Role, Word]:
    return {role: variables[at].word for at, role in taken(variables).items()}


def _parser(columns: Columns, variables: Sequence[Variable], fields: str, its_clients: Clients) -> LineParser:
    words = _words_of(variables)
    make = hit_maker(words, its_clients, fields)
    if Role.TIME not in words:
        return _with_date(columns, variables, make)
    first, second = CLOCKS[words[Role.TIME].clock]

    def parse(line: str) -> Hit:
        texts, _, _ = columns.texts(line)
        time, rest = first[texts[0] or ""], texts[1]
        return make(texts, time if rest is None else time + second[rest])

    if not isinstance(columns, TextColumns) or columns.json:
        return parse
    match, found_otherwise = columns.pattern.match, columns.found
    order = columns.pattern.order if fields else columns.pattern.order[: Role.CAPTURE.value + 1]

    def parse_text(line: str) -> Hit:
        texts = (match(line) or found_otherwise(line)).group(*order)
        time, rest = first[texts[0]], texts[1]
        return make(texts, time if rest is None else time + second[rest])

    return parse_text


def _with_date(columns: Columns, variables: Sequence[Variable], make: Callable[[Texts, float], Hit]) -> LineParser:
    read = date_reader(_dates(variables))

    def parse(line: str) -> Hit:
        texts, dates, fraction = columns.texts(line)
        time = read("\0".join(dates))
        return make(texts, time + float(f"0.{fraction}") if fraction else time)

    return parse


def _check(text: Text, variables: Sequence[Variable]) -> None:
    """Raises FormatTextError where the text cannot give what every hit has."""
    roles = {variable.word.role for variable in variables}
    missing = [name for name, those in _GIVES.items() if not roles & those]
    if missing:
        words = ", ".join(text.server.shown[name] for name in missing)
        raise FormatTextError(
            f"the log format of {text.server.name} gives no {' and no '.join(missing)}: add {words} to {text.text[:200]!r}"
        )


def _warnings(text: Text, variables: Sequence[Variable]) -> list[str]:
    found = [
        f"{name} is not known: its column is passed over"
        for name in _names(variables, lambda variable: not variable.known)
    ]
    roles = {variable.word.role for variable in variables}
    if Role.CONTENT_RANGE not in roles:
        found += [
            f"{name} is passed over: the server behind may have answered another range; log $sent_http_content_range"
            for name in _names(
                variables, lambda variable: variable.name.strip("${}").lower() == "upstream_http_content_range"
            )
        ]
    guessed = _names(variables, lambda variable: variable.word.role is Role.AGENT and variable.word.rank > 0)
    found += [
        f"{name} is taken for the user agent: put the configuration's capture lines above the format to be sure"
        for name in guessed
    ]
    if Role.TIME not in roles:
        dates = [variable.word.date for variable in variables if variable.word.role is Role.DATE]
        if not any(map(names_zone, dates)):
            found.append("the time has no zone: it is read as UTC")
    return found


def _names(variables: Sequence[Variable], wanted: Callable[[Variable], bool]) -> list[str]:
    return list(dict.fromkeys(variable.name for variable in variables if wanted(variable)))
