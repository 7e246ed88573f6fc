"""Requests and bytes by the columns that a question names, added up piece by piece: memory grows with the groups, not with the lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from app.columns.blocks import Bools, Floats, Ints
from app.domain.formats.remembered import Remembered
from app.domain.requests import extension_of, path_of
from app.reports.facts import Facts
from app.reports.filters import Filters, Sieve
from app.reports.hits import duration_of, filled, host_of_authority, host_of_referer, texts_of
from app.reports.sums import Numbers, summed

__all__ = ["Counted", "GroupSums", "HitGroups", "Plan", "PlanWork"]

_TIMES = {"day": 86400, "hour": 3600}
"""Keys that are numbers of days or hours since 1970 on the local clock."""
_DERIVED: dict[str, tuple[str, Callable[[str], str | None]]] = {
    "path": ("request", path_of),
    "extension": ("request", extension_of),
    "referer_host": ("referer", host_of_referer),
    "asked_host": ("virtual_host", host_of_authority),
    "duration": ("duration_s", duration_of),
}
_PENDING_ROWS = 200_000
_REMEMBERED = 1 << 15
_NARROW = 1 << 20
"""Numbers that lie in fewer are their own codes."""


class Plan(NamedTuple):
    """What is counted: requests and their bytes, by some keys."""

    keys: tuple[str, ...]
    """`day`, `hour`, `path`, `extension`, `referer_host`, `asked_host`, `duration`, or a field of a hit."""
    filters: Filters = Filters()
    with_bytes: bool = True

    @property
    def columns(self) -> list[str]:
        """The fields of a hit that it takes."""
        wanted = set(self.filters.columns)
        for key in self.keys:
            if key not in _TIMES:
                wanted.add(_DERIVED[key][0] if key in _DERIVED else key)
        return sorted(wanted | ({"bytes_sent"} if self.with_bytes else set()))

    @property
    def needs_times(self) -> bool:
        """Whether it is asked when a hit came, beside the first and the last of all."""
        is_asked = self.filters != Filters(zone=self.filters.zone, geoip=self.filters.geoip)
        return is_asked or not {"time", *_TIMES}.isdisjoint(self.keys)


class HitGroups(NamedTuple):
    """What is counted, group by group."""

    codes: Mapping[str, Ints]
    """Of each key: places in its values."""
    values: Mapping[str, Sequence[Any]]
    """Texts or numbers; None if it is missing."""
    requests: Ints
    bytes: Numbers

    @classmethod
    def none(cls, keys: Sequence[str]) -> HitGroups:
        """No group."""
        no_codes = np.zeros(0, np.int64)
        return cls(dict.fromkeys(keys, no_codes), dict.fromkeys(keys, ()), no_codes, no_codes)

    def of(self, key: str) -> list[Any]:
        """The key of each group."""
        values = self.values[key]
        return [values[code] for code in self.codes[key].tolist()]

    def rows(self, *keys: str) -> list[tuple[Any, ...]]:
        """Keys, requests and bytes of each group."""
        return list(zip(*map(self.of, keys), self.requests.tolist(), self.bytes.tolist(), strict=True))

    def by(self, *keys: str) -> HitGroups:
        """The groups of fewer keys, each value once."""
        sums = GroupSums(keys)
        sums.add(self)
        return sums.table()


class Counted(NamedTuple):
    """What some hits come to."""

    groups: HitGroups
    facts: Facts


class PlanWork:
    """Counts tables of hits, in whichever process. Tables are in one piece; those of a plan that needs no times may be without."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._sieve = Sieve(plan.filters)
        self._derived = {key: Remembered(function, _REMEMBERED) for key, (_, function) in _DERIVED.items()}

    def count(self, table: pa.Table) -> Counted:
        if not table.num_rows:
            return Counted(HitGroups.none(self.plan.keys), Facts())
        if "time" not in table.column_names:
            return Counted(self._groups(table, np.zeros(0), slice(None)), Facts(counted=table.num_rows))
        local_s, offsets = self._sieve.local_s(table)
        passing = self._sieve.passing(table, local_s)
        chosen = slice(None) if passing is None else passing
        times, offsets = table.column("time").to_numpy()[chosen], offsets[chosen]
        facts = Facts(counted=len(times))
        if not len(times):
            return Counted(HitGroups.none(self.plan.keys), facts)
        for time, choose in ((times.min(), np.min), (times.max(), np.max)):
            moment = float(time), int(choose(offsets[times == time]))
            facts.span(moment, moment)
        return Counted(self._groups(table, local_s, chosen), facts)

    def _groups(self, table: pa.Table, local_s: Floats, chosen: Bools | slice) -> HitGroups:
        field_of = {key: _DERIVED[key][0] if key in _DERIVED else key for key in self.plan.keys}
        fields = {name: _coded(name, table, local_s, chosen) for name in field_of.values()}
        ones = np.ones(table.num_rows, np.int64)[chosen]
        sent = filled(table.column("bytes_sent").chunk(0), 0)[chosen] if self.plan.with_bytes else np.zeros_like(ones)
        # by the fields first: what is derived of one has as many values at most
        rows, sums = summed(
            [codes for codes, _ in fields.values()], [len(values) for _, values in fields.values()], [ones, sent]
        )
        codes, values = {}, {}
        for key, name in field_of.items():
            used, codes[key] = np.unique(fields[name][0][rows], return_inverse=True)
            found = [fields[name][1][code] for code in used.tolist()]
            if key in _DERIVED:
                derived = self._derived[key]
                found = [None if text is None else derived[text] for text in found]
            values[key] = found
        return HitGroups(codes, values, *sums)


def _coded(name: str, table: pa.Table, local_s: Floats, chosen: Bools | slice) -> tuple[Ints, Sequence[Any]]:
    """Of each hit that is chosen the place of its value, and the values."""
    if name in _TIMES:
        numbers = np.floor(local_s[chosen] / _TIMES[name]).astype(np.int64)
    elif pa.types.is_dictionary(table.schema.field(name).type):
        column = table.column(name).chunk(0)
        texts = texts_of(column)
        return filled(column.indices, len(texts))[chosen].astype(np.int64), [*texts, None]
    else:
        numbers = table.column(name).to_numpy()[chosen]
    low, high = numbers.min().item(), numbers.max().item()
    if isinstance(low, int) and high - low < _NARROW:
        return numbers.astype(np.int64) - low, range(low, high + 1)
    values, codes = np.unique(numbers, return_inverse=True)
    return codes, values.tolist()


class GroupSums:
    """Adds up the groups of all pieces; what waits is added together from time to time."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self._places: dict[str, dict[Any, int]] = {key: {} for key in keys}
        self._pending = [HitGroups.none(keys)]
        self.rows, self._limit = 0, _PENDING_ROWS
        """HitGroups that are kept, those that wait counted each time."""

    def add(self, groups: HitGroups) -> None:
        codes = {}
        for key, places in self._places.items():
            values = groups.values[key]
            found = np.fromiter((places.setdefault(value, len(places)) for value in values), np.int64, len(values))
            codes[key] = found[groups.codes[key]]
        self._pending.append(groups._replace(codes=codes))
        self.rows += len(groups.requests)
        if self.rows > self._limit:
            self._pending = [self.table()]
            self.rows = len(self._pending[0].requests)
            self._limit = 2 * self.rows + _PENDING_ROWS

    def table(self) -> HitGroups:
        """All groups, in no order; None-keys are groups, too."""
        codes = {key: np.concatenate([each.codes[key] for each in self._pending]) for key in self._keys}
        values = {key: list(places) for key, places in self._places.items()}
        requests, sent = (np.concatenate([each[at] for each in self._pending]) for at in (2, 3))
        rows, sums = summed(
            [codes[key] for key in self._keys], [len(values[key]) for key in self._keys], [requests, sent]
        )
        return HitGroups({key: codes[key][rows] for key in self._keys}, values, *sums)
