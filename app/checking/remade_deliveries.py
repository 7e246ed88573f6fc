"""The deliveries that a store's raw hits make."""

from __future__ import annotations

from app.checking.digests import key_number
from app.checking.shares import WHOLE, Share, TooMany
from app.domain.bulk import BulkReduction
from app.domain.merging import SizeOf
from app.domain.records import Hit
from app.domain.watermarks import Advance
from app.domain.windows import Rules

__all__ = ["MOST_KEYS", "RemadeDeliveries"]

MOST_KEYS = 100_000
"""Keys whose marks and merged hits are kept at a time: about 200 MB."""
_BATCH_HITS = 2000


class RemadeDeliveries:
    """Hits in any order, merged with none evicted: late ones join. Raises TooMany beyond MOST_KEYS keys."""

    def __init__(self, rules: Rules, size_of: SizeOf, share: Share = WHOLE) -> None:
        self._share = share
        self._reduction = BulkReduction(rules, size_of)
        self._hits: list[tuple] = []
        self._ids: list[int] = []

    def add(self, hit: Hit) -> None:
        """Takes a hit of the share; another one, and one that has no key, makes no delivery."""
        ip_address, user_agent, request = hit[1:4]
        if ip_address is None or user_agent is None or request is None:
            return
        if self._share is WHOLE or self._share.takes(key_number((ip_address, user_agent, request))):
            self._hits.append(hit[:11])
            self._ids.append(int(hit[11][:16], 16))
            if len(self._hits) >= _BATCH_HITS:
                self._merge()

    def reduction(self) -> BulkReduction:
        """All deliveries, open."""
        self._merge()
        self._reduction.flush()
        self._bound()
        return self._reduction

    def _merge(self) -> None:
        self._reduction.add(self._hits, self._ids, 0, Advance())
        self._hits, self._ids = [], []
        self._bound()

    def _bound(self) -> None:
        if len(self._reduction.open) > MOST_KEYS:
            raise TooMany
