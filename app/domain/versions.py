"""Records of which a later version replaces an earlier one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Protocol, TypeVar

__all__ = ["newest_by"]


class _Versioned(Protocol):
    @property
    def version(self) -> int: ...


Record = TypeVar("Record", bound=_Versioned)


def newest_by(key: Callable[[Record], Hashable], records: Iterable[Record]) -> list[Record]:
    """Of records with one key the one with the highest version, the first of them if several have it; in the order of the keys."""
    newest: dict[Hashable, Record] = {}
    for record in records:
        name = key(record)
        known = newest.get(name)
        if known is None or known.version < record.version:
            newest[name] = record
    return list(newest.values())
