"""Which hits a report counts: by day, status, extension, country, and whether a crawler asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from app.columns.blocks import Bools, Floats, Ints
from app.domain.requests import extension_of
from app.reports.countries import Countries
from app.reports.crawlers import crawler_of
from app.reports.hits import filled, texts_of
from app.reports.zones import LogClock, ZoneOffsets, day_number, zone_named

if TYPE_CHECKING:  # of questions to deliveries
    from app.reports.batches import Batch, TextColumn

__all__ = ["Filters", "Sieve", "is_status"]

_DAY_S = 86400


class Filters(NamedTuple):
    """What is asked for; an empty part asks for everything."""

    statuses: tuple[str, ...] = ()
    """As `404` or `4xx`."""
    extensions: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    no_bots: bool = False
    first_day: date | None = None
    last_day: date | None = None
    """Inclusive."""
    zone: str = ""
    """Whose days are meant; empty: those of each line's own offset."""
    geoip: str = ""
    """A file of MaxMind's format instead of the list that comes with the program."""

    @property
    def as_rows(self) -> list[tuple[str, str]]:
        """For the head of a report."""
        told = [
            ("from", self.first_day.isoformat() if self.first_day else ""),
            ("to", self.last_day.isoformat() if self.last_day else ""),
            ("status", ",".join(self.statuses)),
            ("extension", ",".join(self.extensions)),
            ("country", ",".join(self.countries)),
            ("crawlers", "left out" if self.no_bots else ""),
        ]
        return [(f"  {name}", value) for name, value in told if value]

    @property
    def columns(self) -> set[str]:
        """Fields of a hit that it takes to decide."""
        wanted = {"time", "zone_s"}
        wanted |= {"status"} if self.statuses else set()
        wanted |= {"request"} if self.extensions else set()
        wanted |= {"ip_address"} if self.countries else set()
        return wanted | ({"user_agent"} if self.no_bots else set())


class Sieve:
    """Filters at work in one process."""

    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self._offsets = ZoneOffsets(zone_named(filters.zone)) if filters.zone else None
        self._countries = Countries(filters.geoip) if filters.countries else None
        self._is_asked: list[tuple[str, Callable[[str], bool]]] = []
        if filters.extensions:
            self._is_asked.append(("request", lambda text: extension_of(text) in filters.extensions))
        if self._countries is not None:
            country = self._countries.of
            self._is_asked.append(("ip_address", lambda text: country(text) in filters.countries))
        if filters.no_bots:
            self._is_asked.append(("user_agent", lambda text: crawler_of(text) is None))
        self._days = (
            -(1 << 40) if filters.first_day is None else day_number(filters.first_day),
            1 << 40 if filters.last_day is None else day_number(filters.last_day),
        )

    def local_s(self, table: pa.Table) -> tuple[Floats, Ints]:
        """Seconds since 1970 on the clock of the zone that is asked for, and its offset from UTC, hit by hit."""
        times = table.column("time").to_numpy()
        offsets = (
            table.column("zone_s").to_numpy().astype(np.int64) if self._offsets is None else self._offsets.of(times)
        )
        return times + offsets, offsets

    def offsets_s(self, times: Floats, own: LogClock) -> Ints:
        """The offsets from UTC at some times, where `own` is what lines write."""
        return own.of(times) if self._offsets is None else self._offsets.of(times)

    def passing(self, table: pa.Table, local_s: Floats) -> Bools | None:
        """Which hits are asked for; None if all are."""
        if not table.num_rows:
            return None
        filters, chosen = self._filters, np.ones(table.num_rows, np.bool_)
        if filters.first_day or filters.last_day:
            days = np.floor(local_s / _DAY_S)
            chosen &= (days >= self._days[0]) & (days <= self._days[1])
        if filters.statuses:
            chosen &= _statuses(filters.statuses)[table.column("status").to_numpy()]
        for name, is_asked in self._is_asked:
            column = table.column(name).chunk(0)
            # a missing text has the last place: it has no extension and no country, and is no crawler
            asked = np.array([*map(is_asked, texts_of(column)), name == "user_agent"], np.bool_)
            chosen &= asked[filled(column.indices, len(asked) - 1)]
        return None if chosen.all() else chosen

    def takes(self, batch: Batch) -> Bools:
        """Which deliveries are asked for: by the day of their first hits. A status asks for hits, so it is not looked at."""
        days = np.floor((batch.first + batch.offset_s) / _DAY_S)
        chosen: Bools = (days >= self._days[0]) & (days <= self._days[1])
        for name, is_asked in self._is_asked:
            column: TextColumn = getattr(batch, name)
            chosen &= np.array(column.of(is_asked), np.bool_)[column.codes]
        return chosen


@lru_cache(maxsize=8)
def _statuses(asked: tuple[str, ...]) -> Bools:
    codes = [str(code) for code in range(1000)]
    return np.array([is_status(code, asked) for code in codes], np.bool_)


def is_status(code: str, asked: tuple[str, ...]) -> bool:
    """Whether a status is one of `404`, `4xx` and the like.

    >>> is_status("404", ("4xx",)), is_status("404", ("403", "5xx"))
    (True, False)
    """
    return code in asked or f"{code[0]}xx" in asked
