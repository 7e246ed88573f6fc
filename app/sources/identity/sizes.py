"""Sizes of files from elsewhere: a text file with a request, a tab and a number of bytes a line.

Two more columns may follow, each behind a tab: the time from which the size holds (ISO 8601, UTC; empty: ever), and how it was
learned (empty: somebody gave it). `-` for the bytes: the size is not known from that time on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from app.domain.open_deliveries import SizeOf
from app.domain.requests import KEEP, QueryRule, key_request
from app.domain.sizes import DatedSize, size_at
from app.errors import InputError

__all__ = ["Sizes", "read_sizes", "size_lines", "with_learned"]

_MOST_DIGITS = 1000
_LINE = re.compile(
    r"(?P<request>.+)\t *(?P<size>[0-9]+|-) *(?:\t(?P<since>[0-9]{4}-[0-9T:.Z+-]*)?(?:\t(?P<how>[^\t]*[^\t0-9][^\t]*)?)?)?",
    re.DOTALL,
)


def size_lines(request: str, sizes: Iterable[DatedSize]) -> list[str]:
    """The lines of a file of sizes for one request, without line ends; none for a request that no such file can hold.

    >>> size_lines("GET /a", [DatedSize(0.0, 5, "learned"), DatedSize(-math.inf, 7)])
    ['GET /a\\t5\\t1970-01-01T00:00:00Z\\tlearned', 'GET /a\\t7']
    """
    if not request or "\n" in request or "\r" in request or request.startswith("#"):
        return []
    lines = []
    for since, size, how in sizes:
        time = "" if since == -math.inf else f"{datetime.fromtimestamp(since, UTC):%Y-%m-%dT%H:%M:%SZ}"
        lines.append("\t".join((request, "-" if size is None else str(size), time, how)).rstrip("\t"))
    return lines


def read_sizes(path: Path) -> dict[str, list[DatedSize]]:
    """Request to its sizes in the order of their times.

    Blank lines and lines that begin with # say nothing; of lines with the same request and time the later one counts.
    Raises InputError that names the file and the line.
    """
    found: dict[str, dict[float, DatedSize]] = {}
    try:
        with path.open(encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            for number, line in enumerate(file, 1):
                text = line.rstrip("\r\n")
                if text.strip() and not text.startswith("#"):
                    request, size = _entry(text, f"{path}, line {number}")
                    found.setdefault(request, {})[size.since] = size
    except OSError as error:
        raise InputError(
            f"{path}: the sizes cannot be read: {error.strerror or error}; name a text file of request, tab, bytes"
        ) from error
    return {request: [sizes[since] for since in sorted(sizes)] for request, sizes in found.items()}


def _entry(text: str, place: str) -> tuple[str, DatedSize]:
    match = _LINE.fullmatch(text)
    if match is None or len(match["size"]) > _MOST_DIGITS:
        raise InputError(
            f"{place}: {text[:80]!r} is no size; write the request as the log has it, a tab, and the bytes; a tab and the time from "
            "which it holds may follow"
        )
    since = -math.inf
    if match["since"]:
        try:
            time = datetime.fromisoformat(match["since"])
            since = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise InputError(f"{place}: {match['since']!r} is no time; write it as 2026-11-28T10:00:00Z") from None
    size = None if match["size"] == "-" else int(match["size"])
    return match["request"].removesuffix("\t"), DatedSize(since, size, match["how"] or "")


class Sizes:
    """The sizes in a file, read again when the file changes. A bare path stands for its GET request, too.

    Raises InputError on creation where the file cannot be read; later changes that cannot be read keep the old sizes.
    """

    def __init__(self, path: Path, query: QueryRule = KEEP, may_lack: bool = False) -> None:
        """`query`: what of the queries in the file counts, as in the keys of deliveries.

        `may_lack`: without the file nothing is known, and `refresh` is the first that reads it.
        """
        self._path, self._query, self._may_lack = path, query, may_lack
        self._stamp = None if may_lack else self._seen()
        self._sizes = {} if may_lack else self._read()

    def __call__(self, request: str, time: float = math.inf) -> int | None:
        """The size that held at a time, UTC seconds; without one, the latest."""
        return size_at(self._of(request), time)

    def _of(self, request: str) -> Sequence[DatedSize]:
        sizes = self._sizes.get(request)
        if sizes is None and request.startswith("GET "):
            sizes = self._sizes.get(request[4:])
        return sizes or ()

    @property
    def is_changed(self) -> bool:
        """Whether the file is not the one that was read."""
        return self._seen() != self._stamp

    def refresh(self) -> InputError | None:
        """Read the file again if it changed; the error, where that failed (the sizes stay as they were).

        May run in another thread than the calls: the sizes change at once.
        """
        stamp = self._seen()
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            self._sizes = self._read()
        except InputError as error:
            return error
        return None

    def _read(self) -> dict[str, list[DatedSize]]:
        found: dict[str, list[DatedSize]] = {}
        if self._may_lack and self._stamp is None:
            return found
        for request, sizes in read_sizes(self._path).items():
            key = key_request(request, self._query)
            # two files that the rule does not tell apart: no size is known of such a request
            found[key] = sizes if found.get(key, sizes) == sizes else []
        return found

    def _seen(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def with_learned(learned: SizeOf, given: SizeOf) -> SizeOf:
    """Sizes that somebody gave go before those that were learned."""

    def size_of(request: str, at: float) -> int | None:
        size = given(request, at)
        return learned(request, at) if size is None else size

    return size_of
