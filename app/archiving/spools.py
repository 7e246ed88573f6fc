"""The spools of producers: a folder of this machine, or what a producer answers at `/usage/spool`."""

from __future__ import annotations

import contextlib
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from http.client import HTTPException
from pathlib import Path

from app.domain.usage.records import UsageRecord
from app.errors import LogUnreachable, UnreadableFile
from app.usage.serving import SpoolHead, read_lines
from app.usage.spool import Damage, Place, records_of, spools_of

__all__ = ["SpoolPlace", "is_address", "spools_at"]

_TIMEOUT_S = 60.0
SpoolPlace = Path | str
"""A folder with the spools of a machine, or the address of one that answers."""


def is_address(place: SpoolPlace) -> bool:
    """Whether it is asked over HTTP."""
    return str(place).startswith(("http://", "https://"))


def spools_at(
    places: Sequence[SpoolPlace], token: str = ""
) -> Iterator[tuple[SpoolHead, Iterator[tuple[Place, UsageRecord | Damage]]]]:
    """Every start of a process, and its records in order: read them before the next.

    Raises OSError, UnknownForm, UnreadableFile for an answer that is none or a segment that cannot be opened, LogUnreachable for a producer that does not answer.
    """
    for place in places:
        if is_address(place):
            yield from _asked(str(place), token)
            continue
        for folder in spools_of(Path(place)):
            with contextlib.suppress(FileNotFoundError):  # all of it was sent, and it was deleted meanwhile
                yield SpoolHead.of(folder), _readable(folder)


def _readable(folder: Path) -> Iterator[tuple[Place, UsageRecord | Damage]]:
    try:
        yield from records_of(folder)
    except OSError as error:
        raise UnreadableFile(f"the spool {folder} cannot be read: {error}") from error


class _SameHost(urllib.request.HTTPRedirectHandler):
    """The token goes where it was meant to go."""

    def redirect_request(self, *_: object) -> None:
        return None


def _asked(address: str, token: str) -> Iterator[tuple[SpoolHead, Iterator[tuple[Place, UsageRecord | Damage]]]]:
    try:
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})  # noqa: S310  # is_address
    except ValueError as error:
        raise UnreadableFile(f"{address} is no address: {error}") from error
    try:
        with urllib.request.build_opener(_SameHost).open(request, timeout=_TIMEOUT_S) as answer:
            yield from read_lines(answer, address)
    except urllib.error.HTTPError as error:
        hint = {401: ": set WEBLOGS_USAGE_SPOOL_TOKEN to its spool_token", 404: ": write http://HOST:PORT/usage/spool"}
        raise UnreadableFile(f"{address} answers {error.code}{hint.get(error.code, '; try again')}") from error
    except (HTTPException, ConnectionError, TimeoutError, urllib.error.URLError) as error:
        why = getattr(error, "reason", error)  # urllib puts the error of the socket into one of its own
        raise LogUnreachable(f"the spool {address} does not answer: {why}") from error
