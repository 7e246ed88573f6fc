"""The types that the fields of records have in messages: a value of another type makes the message a foreign one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from msgspec import Meta

from app.domain.fields import Field, Kind

__all__ = ["check_raw_ids", "row_type"]

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


_RAW_ID_CHARS = 32
_LONG_ENOUGH = Annotated[str, Meta(min_length=_RAW_ID_CHARS, max_length=_RAW_ID_CHARS)]


def row_type(fields: Iterable[Field], digits_later: bool = False) -> Any:
    """The type of a list of these fields in their order: a tuple, for msgspec.

    With `digits_later` only the length of raw ids is checked: by check_raw_ids many cost a tenth of what a pattern for each costs.
    """
    types = _TYPES | {Kind.RAW_ID: _LONG_ENOUGH} if digits_later else _TYPES
    return tuple[tuple(types[field.kind] | None if field.optional else types[field.kind] for field in fields)]  # type: ignore[misc]


def check_raw_ids(raw_ids: Iterable[str]) -> None:
    """Raises ValueError if one of these texts of 32 characters is not of the digits 0-9 and a-f."""
    digits = "".join(raw_ids)
    if bytes.fromhex(digits).hex() != digits:
        raise ValueError("a raw id has other characters than 0-9 and a-f")
