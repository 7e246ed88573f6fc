"""Names of indices, aliases and templates. No network here."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from app.domain.windows import DAY_S
from app.stores.contract import KINDS

__all__ = ["OTHER", "IndexNames"]

OTHER = "other"
"""The raw index for times outside of the calendar that daily indices cover, and for days beyond the number of daily indices."""
_END = 4_102_444_800
"""1 January 2100."""
_ALIASES = {"raw": "raw_weblogs", "reduced": "reduced_weblogs", "rejects": "weblogs_rejects"}


class IndexNames:
    """What everything is called, all behind one prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.raw, self.reduced, self.rejects = (prefix + _ALIASES[kind] for kind in KINDS)
        self._day = lru_cache(4096)(self._name_of_day)

    def alias(self, kind: str) -> str:
        return self.prefix + _ALIASES[kind]

    def pattern(self, kind: str) -> str:
        """All indices of a kind."""
        return self.alias(kind) + "-*"

    def first(self, kind: str) -> str:
        """The index that `open` creates: the only one of its kind, but for the raw days."""
        return f"{self.alias(kind)}-{OTHER if kind == 'raw' else 1}"

    def raw_index(self, time: float) -> str:
        """The index of a hit by its event time (UTC seconds): the same hit always goes to the same one.

        >>> names = IndexNames("")
        >>> names.raw_index(1596213967.5), names.raw_index(-1e300)
        ('raw_weblogs-2020.07.31', 'raw_weblogs-other')
        """
        return self._day(int(time // DAY_S)) if 0 <= time < _END else self.first("raw")

    def _name_of_day(self, day: int) -> str:
        return f"{self.raw}-{datetime.fromtimestamp(day * DAY_S, UTC):%Y.%m.%d}"
