"""The deliveries that a store's raw hits make."""

from __future__ import annotations

from typing import Any

from app.checking.digests import key_number
from app.checking.shares import WHOLE, Share, TooMany
from app.domain.key_hits import Key, key_hits, take_parts
from app.domain.open_deliveries import OpenDeliveries, SizeOf
from app.domain.records import Hit, Parsed
from app.domain.tallies import Part
from app.domain.windows import Rules

__all__ = ["MOST_KEYS", "RemadeDeliveries"]

MOST_KEYS = 100_000
"""Keys whose marks and merged hits are kept at a time: about 200 MB."""
_BATCH_HITS = 2000
_WAITING_HITS = 60_000
"""Hits that wait at most, to be merged many of a key at a time: about 20 MB."""
_FIELDS = len(Parsed._fields)
_SHORT_ID_DIGITS = 16


class RemadeDeliveries:
    """Hits in any order, merged with none evicted: late ones join. Raises TooMany beyond MOST_KEYS keys."""

    def __init__(self, rules: Rules, size_of: SizeOf, share: Share = WHOLE) -> None:
        self._share = share
        self._deliveries = OpenDeliveries(rules, size_of)
        self._hits: list[tuple[Any, ...]] = []
        self._ids: list[int] = []
        self._waiting: dict[Key, list[Part]] = {}
        self._waiting_count = 0

    def add(self, hit: Hit) -> None:
        """Takes a hit of the share; another one, and one that has no key, makes no delivery."""
        if hit.ip_address is None or hit.user_agent is None or hit.request is None:
            return
        if self._share is WHOLE or self._share.takes(key_number((hit.ip_address, hit.user_agent, hit.request))):
            self._hits.append(hit[:_FIELDS])
            self._ids.append(int(hit.raw_id[:_SHORT_ID_DIGITS], 16))
            if len(self._hits) >= _BATCH_HITS:
                self._take()

    def deliveries(self) -> OpenDeliveries:
        """All of them, open."""
        self._take()
        self._merge()
        return self._deliveries

    def _take(self) -> None:
        self._waiting_count += take_parts(self._waiting, self._hits, self._ids)
        self._hits, self._ids = [], []
        if self._waiting_count >= _WAITING_HITS:
            self._merge()

    def _merge(self) -> None:
        waiting, self._waiting, self._waiting_count = self._waiting, {}, 0
        self._deliveries.merge(key_hits(waiting), 0)
        if len(self._deliveries.open) > MOST_KEYS:
            raise TooMany
