"""Sizes of files from where they lie: a folder, or the listing of a bucket."""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from app.domain.sizes import DatedSize
from app.errors import InputError

__all__ = ["folder_sizes", "listed_sizes"]

_LISTED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} +(?P<size>[0-9]+) (?P<key>.+)")
_NO_OBJECT = re.compile(r"\s*(PRE .*|Total Objects: .*|Total Size: .*)?")
_AS_IT_IS = "/!$&'()*+,;=:@~"
"""What browsers leave as it is in a path."""


def folder_sizes(folder: Path, url: str = "/") -> Iterator[tuple[str, DatedSize]]:
    """The path of a request and the size, for each regular file below a folder, in the order of their names. Raises InputError."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; name one, or - for the listing of a bucket on standard input")

    def failed(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be listed: {error.strerror}") from error

    for parent, folders, names in os.walk(folder, onerror=failed):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            try:
                status = path.stat()
            except OSError:
                continue  # a link to nothing, or a file that is gone meanwhile
            if stat.S_ISREG(status.st_mode):
                yield _path(url, os.fsencode(path.relative_to(folder))), DatedSize(-math.inf, status.st_size)


def listed_sizes(listing: bytes, url: str = "/") -> Iterator[tuple[str, DatedSize]]:
    """The same of what `aws s3 ls --recursive` or `aws s3api list-objects-v2` prints. Raises InputError."""
    text = listing.decode("utf-8", "backslashreplace")
    objects = _objects_of_json(text) if text.lstrip().startswith("{") else _objects_of_lines(text)
    for key, size in objects:
        if not key.endswith("/"):  # a folder of the console
            yield _path(url, key.encode("utf-8", "surrogatepass")), DatedSize(-math.inf, size)


def _objects_of_lines(text: str) -> Iterator[tuple[str, int]]:
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        match = _LISTED.fullmatch(line)
        if match is not None:
            yield match["key"], int(match["size"])
        elif not _NO_OBJECT.fullmatch(line):
            raise InputError(
                f"standard input, line {number}: {line[:80]!r} is no line of a bucket's listing; give what `aws s3 ls --recursive` or "
                "`aws s3api list-objects-v2` prints"
            )


def _objects_of_json(text: str) -> Iterator[tuple[str, int]]:
    try:
        found: Any = json.loads(text)
        objects = [(entry["Key"], entry["Size"]) for entry in found.get("Contents") or ()]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"standard input is no listing by `aws s3api list-objects-v2`: {error}") from error
    for key, size in objects:
        if not isinstance(key, str) or type(size) is not int or size < 0:
            raise InputError(
                f"standard input: an object of the listing has no name or no size: {key!r:.80}, {size!r:.20}"
            )
        yield key, size


def _path(url: str, name: bytes) -> str:
    """As a request spells it: below the path of a URL, percent-encoded."""
    return "/" + f"{urlsplit(url).path.strip('/')}/{quote(name, safe=_AS_IT_IS)}".lstrip("/")
