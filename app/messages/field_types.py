"""The types that the fields of records have in messages: a value of another type makes the message a foreign one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from msgspec import Meta

from app.domain.fields import Field, Kind

__all__ = ["row_type"]

_PAIR = Annotated[list[int], Meta(min_length=2, max_length=2)]
_TYPES: dict[Kind, Any] = {
    Kind.TEXT: str,
    Kind.INTEGER: int,
    Kind.SMALL: Annotated[int, Meta(ge=-(1 << 31), lt=1 << 31)],
    Kind.VERSION: int,
    Kind.TIME: float,
    Kind.BOOLEAN: bool,
    Kind.RANGES: list[_PAIR],
    Kind.WORDS: list[str],
    Kind.SHORT_IDS: list[Annotated[str, Meta(min_length=16, max_length=16)]],
    Kind.TEXTS: dict[str, str],
    Kind.RAW_ID: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")],
}


def row_type(fields: Iterable[Field]) -> Any:
    """The type of a list of these fields in their order: a tuple, for msgspec."""
    types = [_TYPES[field.kind] | None if field.optional else _TYPES[field.kind] for field in fields]
    return tuple[tuple(types)]  # type: ignore[misc]
