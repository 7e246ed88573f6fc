"""How inputs are read, as settings and options say."""

from __future__ import annotations

from typing import NamedTuple

from app.domain import formats
from app.domain.formats.base import AUTO, Format, FormatOptions
from app.errors import UnknownFormat
from app.settings import Settings

__all__ = ["ReadOptions", "form_of", "format_options"]


class ReadOptions(NamedTuple):
    """How inputs are read."""

    format: str = AUTO
    chunk_bytes: int = 512 << 10
    max_line_bytes: int = 64 << 10
    lines_per_message: int = 0
    """0: as many as fit in chunk_bytes."""
    format_options: FormatOptions = FormatOptions()

    @classmethod
    def of(cls, settings: Settings) -> ReadOptions:
        """As the settings say."""
        options = format_options(settings)._replace(fields="")  # deliveries need none
        return cls(settings.format, settings.chunk_bytes, settings.max_line_bytes, 0, options)


def format_options(settings: Settings) -> FormatOptions:
    """What the settings say of formats."""
    return FormatOptions(
        settings.json_fields,
        settings.realtime_fields,
        settings.bytes,
        settings.trusted_proxies,
        settings.query,
        settings.fields,
        settings.heads,
    )


def form_of(name: str) -> Format:
    """The format of that name. Raises UnknownFormat, which lists what there is."""
    try:
        return formats.get(name)
    except LookupError as error:
        raise UnknownFormat(str(error.args[0]) if error.args else f"there is no log format {name!r}") from None
