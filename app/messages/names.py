"""Candidates and users as they are given by people: ids and names, checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from app.domain.counted import MAX_NAME_CHARS
from app.errors import InputError
from app.flows.votes import MAX_ID

__all__ = ["MAX_NAMES", "BadNames", "checked_names"]

MAX_NAMES = 10_000
"""This many in one request."""


class BadNames(InputError):
    """Why a list of candidates or users is refused."""


def checked_names(kind: Literal["candidates", "users"], rows: Iterable[tuple[str, str]]) -> dict[str, str]:
    """id -> name. Candidates' ids are integers and come back in plain decimal. Raises BadNames that tells which row, from 1.

    >>> checked_names("candidates", [("07", " Ada ")])
    {'7': 'Ada'}
    """
    found: dict[str, str] = {}
    for number, (given, name) in enumerate(rows, 1):
        one, name = given.strip(), name.strip()
        if kind == "candidates":
            if not (one.isascii() and one.isdigit() and len(one) <= 16 and int(one) <= MAX_ID):
                raise BadNames(
                    f"row {number}: the id of a candidate is an integer from 0 to {MAX_ID}, not {given[:40]!r}"
                )
            one = str(int(one))
        elif not 0 < len(one) <= MAX_NAME_CHARS:
            raise BadNames(f"row {number}: the id of a user has 1 to {MAX_NAME_CHARS} characters, not {len(one)}")
        if not 0 < len(name) <= MAX_NAME_CHARS:
            raise BadNames(f"row {number}: a name has 1 to {MAX_NAME_CHARS} characters, not {len(name)}")
        found[one] = name
    return found
