"""What is known of the files of episodes: lines of path, size, bytes of the head, seconds; `-` for what is not known."""

from __future__ import annotations

import math
from pathlib import Path

from app.domain.requests import path_of
from app.downloads.rules import Episode
from app.errors import SettingsError

__all__ = ["read_episodes"]


def read_episodes(path: str) -> dict[str, Episode]:
    """Path of the file -> episode. Fields are separated by tabs; lines that begin with # say nothing. Raises SettingsError."""
    try:
        text = Path(path).read_text("utf-8", "backslashreplace")
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}; name a list of episodes") from None
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields: list[str | None] = [None if field in ("", "-") else field for field in line.split("\t")]
        try:
            name, size, head, seconds = (fields + 3 * [None])[: max(4, len(fields))]
            file = path_of(name)
            episode = Episode(
                None if size is None else int(size), int(head or 0), None if seconds is None else float(seconds)
            )
        except (ValueError, OverflowError):
            raise _wrong(path, number, line) from None
        if file is None or not _is_possible(episode):
            raise _wrong(path, number, line)
        found[file] = episode
    return found


def _is_possible(episode: Episode) -> bool:
    size, head, seconds = episode
    return head >= 0 and (size is None or size > head) and (seconds is None or (seconds > 0 and math.isfinite(seconds)))


def _wrong(path: str, number: int, line: str) -> SettingsError:
    return SettingsError(
        f"{path}, line {number}: {line[:100]!r} is no episode; write path, size in bytes, bytes of its head and seconds,"
        " with tabs between them and - for what is not known"
    )
