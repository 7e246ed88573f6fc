"""The option `--archive`, which several commands have, and what it names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from app.archiving.storage import Storage
    from app.settings import Settings

__all__ = ["archive_of", "archive_option"]


def archive_option(said: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Of a command; `said`: what the archive is asked for instead of what it usually is."""
    default = "  [default: WEBLOGS_USAGE_ARCHIVE]"
    return click.option(
        "--archive", metavar="FOLDER|s3://…", help=said or f"The archive: a folder, or s3://BUCKET/PREFIX.{default}"
    )


def archive_of(own: Settings, asked: str | None) -> Storage:
    """What is asked for, or what the settings name. Raises SettingsError."""
    from app.archiving.storage import open_storage

    return open_storage(asked or own.usage_archive or own.data_dir / "usage", own)
