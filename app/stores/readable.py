"""Records of a store that may be damaged: each is checked against the table of its fields, and named where it cannot be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Literal, TypeVar

import msgspec

from app.domain.counted import CountedKind, EventKind, Sum
from app.domain.fields import Field
from app.errors import UnknownForm, UnreadableRecord
from app.messages.field_types import row_type
from app.messages.forms import UNREADABLE

__all__ = ["OnUnreadable", "event_reader", "pass_over", "passing_over", "readable", "reader_of", "sum_reader"]

Row = TypeVar("Row")
Record = TypeVar("Record")
OnUnreadable = Callable[[UnreadableRecord], object]
_COUNTED_TYPES: dict[str, Any] = {"text": str, "integer": int, "time": float, "boolean": bool}
_passed_over: ContextVar[list[UnreadableRecord] | None] = ContextVar("passed_over", default=None)
_FIELD = re.compile(r"`\$\[(\d+)\]")


def reader_of(
    store: str,
    record: str,
    fields: Sequence[Field],
    read: Callable[[Row], Record],
    name_of: Callable[[Row], str],
    place_of: Callable[[Row], object] = lambda row: None,
) -> Callable[[Row], Record]:
    """`read`, which raises UnreadableRecord for a row that it cannot read, or that gives values of other types than its fields have."""
    names = [field.name for field in fields]
    return _checking(store, record, row_type(fields), names, read, lambda row: _named(name_of, row), place_of)


@cache
def _types_of(kind: EventKind[Any]) -> Any:
    types = [
        _COUNTED_TYPES[field.kind] | None if field.optional else _COUNTED_TYPES[field.kind] for field in kind.fields
    ]
    return tuple[tuple(types)]  # type: ignore[misc]


def event_reader(
    store: str,
    kind: EventKind[Any],
    read: Callable[[Row], Record],
    place_of: Callable[[Row], object] = lambda row: None,
) -> Callable[[Row], Record]:
    """The same for the events of a kind."""
    names = [field.name for field in kind.fields]
    return _checking(store, kind.one, _types_of(kind), names, read, place_of=place_of)


def sum_reader(
    store: str,
    kind: CountedKind[Any],
    read: Callable[[Row], Record],
    place_of: Callable[[Row], object] = lambda row: None,
) -> Callable[[Row], Record]:
    """The same for the sums of a kind."""
    resolutions: Any = Literal[tuple(kind.resolution)]
    types = tuple[resolutions, str, int, int, int, int, int, int]
    return _checking(store, f"{kind.one} sum", types, list(Sum._fields), read, place_of=place_of)


def _checking(
    store: str,
    record: str,
    types: Any,
    names: Sequence[str],
    read: Callable[[Row], Record],
    name_of: Callable[[Row], str] = lambda row: f"{row!r:.200}",
    place_of: Callable[[Row], object] = lambda row: None,
) -> Callable[[Row], Record]:
    def checked(row: Row) -> Record:
        try:
            found = read(row)
            msgspec.convert(found, types)
        except UnknownForm:
            raise
        except (*UNREADABLE, AttributeError) as error:
            told = str(error) or type(error).__name__
            if isinstance(error, msgspec.ValidationError) and (at := _FIELD.search(told)):
                told = f"{names[int(at[1])]}: {told.partition(' - at')[0]}"
            raise UnreadableRecord(store, record, name_of(row), told, place_of(row)) from error
        return found

    return checked


def _named(name_of: Callable[[Row], str], row: Row) -> str:
    try:
        return name_of(row)
    except (*UNREADABLE, AttributeError):
        return "without a readable name"


@contextmanager
def passing_over() -> Iterator[list[UnreadableRecord]]:
    """Inside, answers of Reads leave out the records that cannot be read, and the list names them."""
    found: list[UnreadableRecord] = []
    token = _passed_over.set(found)
    try:
        yield found
    finally:
        _passed_over.reset(token)


def pass_over(error: UnreadableRecord) -> None:
    """Name it among what `passing_over` left out; raised outside of it."""
    passed_over = _passed_over.get()
    if passed_over is None:
        raise error
    passed_over.append(error)


def readable(
    read: Callable[[Row], Record], rows: Iterable[Row], on_unreadable: OnUnreadable | None = None
) -> Iterator[Record]:
    """What can be read; the rest is told to `on_unreadable`, else to `passing_over`, else raised."""
    for row in rows:
        try:
            found = read(row)
        except UnreadableRecord as error:
            (on_unreadable or pass_over)(error)
        else:
            yield found
