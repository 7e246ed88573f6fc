"""What token messages do to the state of one partition, in steps that each fit one changelog batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from app.domain.entries import Entry
from app.domain.key_hits import Key, PlacedPart, key_hits, place_parts, take_parts
from app.domain.open_deliveries import OpenDeliveries, SizeOf, evict
from app.domain.records import Delivery, short_ids
from app.domain.tallies import Part
from app.domain.watermarks import Clock, Clocks, source_number
from app.domain.windows import Rules
from app.errors import SettingsError
from app.messages.forms import UNREADABLE
from app.messages.splitting import split
from app.messages.state_values import key_bytes, key_of_bytes, pack_clock, pack_entry, unpack_clock, unpack_entry
from app.messages.tokens import POSITION, RAW_ID, TIME, HitGroup, TokenMessage
from app.steps.damage import StateDamage

if TYPE_CHECKING:
    from app.columns.hits import HitColumns

__all__ = ["CLOCK", "RULES", "MergeStep", "Merger"]

CLOCK = b"\0clock|"
"""Key of a source's clock: its number in decimal follows."""
RULES = b"\0rules"
"""Key of the rules by which the state was cut: another window mode cannot go on with it."""
SWEEPS_A_TTL = 24
_DELIVERY_BYTES = 400
"""What a delivery takes in its message beside its texts and lists, about."""
_ITEM_BYTES = 24
"""And each range, gap and id."""
_as_parsed, _raw_id, _position = itemgetter(slice(RAW_ID)), itemgetter(RAW_ID), itemgetter(POSITION)
_LOST_HITS = "hits of this key that came before are not in its deliveries, and `python -m app repair` merges them again"
_LOST_CLOCK = "how far this source has come is not known until its next line"


class PartitionState(Protocol):
    """What parts in memory and on disk have in common."""

    def get(self, key: bytes) -> bytes | None: ...

    def get_many(self, keys: list[bytes]) -> list[bytes | None]: ...

    def items(self) -> Iterable[tuple[bytes, bytes]]: ...


class MergeStep(NamedTuple):
    """Records to send, then changes to write."""

    records: list[Delivery]
    changes: dict[bytes, bytes | None]
    damages: Sequence[StateDamage] = ()
    """Values of the state that could not be read: to be put aside before the changes are written."""


class Merger:
    """The rules, and when each partition was last swept. All else is in the state."""

    def __init__(self, rules: Rules, size_of: SizeOf, state_ttl_s: float, max_step_bytes: int = 4 << 20) -> None:
        """A step's changes and its records stay below `max_step_bytes`, where a single key does not need more."""
        self._rules, self._size_of, self._ttl = rules, size_of, state_ttl_s
        self._max = max_step_bytes
        self._rules_value = msgspec.json.encode((rules.window, rules.length_s))
        self._swept: dict[int, tuple[float, float]] = {}

    def steps(self, partition: int, state: PartitionState, messages: Sequence[TokenMessage]) -> Iterator[MergeStep]:
        """The steps of some messages of one partition, in turn; each is to be applied before the next is asked for.

        Raises SettingsError where the state was made by another window mode.
        """
        head: dict[bytes, bytes | None] = {}
        self._check_rules(state, head)
        damages: list[StateDamage] = []
        names: dict[Key, bytes] = {}
        now = max((message.now for message in messages), default=0.0)

        def load(keys: list[Key]) -> Iterator[tuple[Key, Entry]]:
            its = [*map(key_bytes, keys)]
            names.update(zip(keys, its, strict=True))
            for key, name, value in zip(keys, its, state.get_many(its), strict=True):
                if value is not None:
                    yield key, self._load(name, value, clocks, now, damages)

        deliveries = OpenDeliveries(self._rules, self._size_of, load)
        clocks = deliveries.clocks
        for message in messages:
            for group in message.groups:
                _know(clocks, state, (group.clock,), damages)
                clock = clocks.observe(group.clock, group.advance, message.now)
                self._merge(deliveries, group, clock, message.now)
        head |= {_clock_key(number): pack_clock(clock) for number, clock in clocks.of.items()}
        for step in self._merged(deliveries, names, head):
            yield step._replace(damages=damages)  # with the first: the changes overwrite what was found
            damages = []
        if any(message.tick for message in messages):
            yield from self._sweep(partition, state, clocks, now)

    def _merge(self, deliveries: OpenDeliveries, group: HitGroup, clock: Clock, now: float) -> None:
        if not group.count:
            return
        rows, columns = group.rows, _columns_of(group)
        leave_out = None
        # only a source with a clock of its own and in its own order has its lines come by position
        if not group.unordered and group.clock == source_number(group.source):
            # without those that a crash repeats after their windows were evicted
            if clock.closed > float("-inf"):
                rows = [row for row in rows if not clock.was_merged(row[POSITION], row[TIME])]
                leave_out = None if columns is None else columns.merged_before(clock.position, clock.closed)
            clock.position = max(clock.position, *_ends(group, columns))
        ids = short_ids(map(_raw_id, rows))
        if columns is None:
            parts: dict[Key, list[Part]] = {}
            take_parts(parts, map(_as_parsed, rows), ids)
            deliveries.merge(key_hits(parts), group.clock, now)
        else:
            placed: dict[Key, list[PlacedPart]] = {}
            place_parts(placed, rows, ids, [row[POSITION] for row in rows])
            groups = columns.groups(group.source, self._rules, leave_out)
            deliveries.merge(groups.beside(placed), group.clock, now)

    def _load(self, name: bytes, value: bytes, clocks: Clocks, now: float, damages: list[StateDamage]) -> Entry:
        try:
            return unpack_entry(value, self._rules)
        except UNREADABLE:
            damages.append(StateDamage(name, value, _LOST_HITS))
            return _lost(clocks, now)

    def _check_rules(self, state: PartitionState, head: dict[bytes, bytes | None]) -> None:
        held = state.get(RULES)
        if held is None:
            head[RULES] = self._rules_value
        elif held != self._rules_value:
            try:
                window, length_s = msgspec.json.decode(held, type=tuple[str, float])
            except UNREADABLE:
                raise SettingsError(
                    f"It cannot be read by which rules the stored state was built: {held[:80]!r}. "
                    "Use a new WEBLOGS_DATA_DIR, or new topics on Kafka, and replay the logs."
                ) from None
            raise SettingsError(
                f"The stored state was built with WEBLOGS_WINDOW={window}, WEBLOGS_WINDOW_LENGTH={length_s:g}. "
                "Restore that value, or use a new WEBLOGS_DATA_DIR and replay the logs."
            )

    def _merged(
        self, deliveries: OpenDeliveries, names: dict[Key, bytes], head: dict[bytes, bytes | None]
    ) -> Iterator[MergeStep]:
        """Whole keys, as many as fit. The clocks go with the last slice: a crash before it repeats them all."""
        records: list[Delivery] = []
        values: dict[bytes, bytes | None] = {}
        bytes_of_step = 0
        for key, entry in deliveries.open.items():
            name, value, its = names[key], pack_entry(entry), deliveries.records(key)
            weight = _weight(name, value, its)
            if values and bytes_of_step + weight > self._max:
                yield MergeStep(records, values)
                records, values, bytes_of_step = [], {}, 0
            records += its
            values[name] = value
            bytes_of_step += weight
        if values or head:
            yield MergeStep(records, values | head)

    def _sweep(self, partition: int, state: PartitionState, clocks: Clocks, now: float) -> Iterator[MergeStep]:
        """Evict what is over, or was not touched for the time to live."""
        reached = max((clock.passed(self._rules.lateness_s) for clock in clocks.of.values()), default=float("-inf"))
        event_step = (self._rules.length_s + self._rules.lateness_s) / SWEEPS_A_TTL
        swept_reach, swept_now = self._swept.get(partition, (float("-inf"), float("-inf")))
        if reached < swept_reach + event_step and now < swept_now + self._ttl / SWEEPS_A_TTL:
            return
        self._swept[partition] = (reached, now)
        damages: list[StateDamage] = []
        ended = self._ended(state, clocks, now, damages)
        for some in split(ended, _Change.weight, self._max):
            yield _step(some)._replace(damages=list(damages))
            damages.clear()

    def _ended(
        self, state: PartitionState, clocks: Clocks, now: float, damages: list[StateDamage]
    ) -> Iterator[_Change]:
        """What was not touched for the time to live (wall clock) goes, too."""
        expired = now - self._ttl
        # a dict changes between the steps; what is on disk is gone through as it stood
        for name, value in list(state.items()) if isinstance(state, dict) else state.items():
            if name.startswith(CLOCK):
                try:
                    gone = unpack_clock(value).touched < expired
                except UNREADABLE:
                    damages.append(StateDamage(name, value, _LOST_CLOCK))
                    gone = True
                if gone:
                    yield _Change(name, None, [])
            elif not name.startswith(b"\0"):
                try:
                    key = key_of_bytes(name)
                except UNREADABLE:
                    damages.append(StateDamage(name, value, "its key is none of a delivery; nothing is lost"))
                    yield _Change(name, None, [])
                    continue
                try:
                    entry = unpack_entry(value, self._rules)
                except UNREADABLE:
                    damages.append(StateDamage(name, value, _LOST_HITS))
                    yield _Change(name, pack_entry(_lost(clocks, now)), [])
                    continue
                final = self._evicted(key, entry, state, clocks, expired, damages)
                if final or entry.is_over(expired):
                    rest = None if entry.is_over(expired) else pack_entry(entry)
                    yield _Change(name, rest, final, _closed(entry, final, clocks, expired))

    def _evicted(
        self,
        key: Key,
        entry: Entry,
        state: PartitionState,
        clocks: Clocks,
        expired: float,
        damages: list[StateDamage],
    ) -> list[Delivery]:
        _know(clocks, state, entry.sources or (), damages)
        before = float("inf") if entry.touched < expired else clocks.passed(entry.sources, self._rules.lateness_s)
        return evict(key, entry, before, self._rules, self._size_of)


class _Change(NamedTuple):
    """What becomes of one key of the state."""

    name: bytes
    value: bytes | None
    records: list[Delivery]
    clocks: dict[bytes, bytes | None] | None = None
    """To be written with it."""

    def weight(self) -> int:
        return _weight(self.name, self.value, self.records)


def _weight(name: bytes, value: bytes | None, records: list[Delivery]) -> int:
    """Bytes of a key with its value and its records in their message, about."""
    weight = len(name) + len(value or b"")
    for record in records:
        items = len(record.ranges) + len(record.missing) + len(record.hit_ids)
        weight += _DELIVERY_BYTES + len(record.user_agent) + len(record.request) + _ITEM_BYTES * items
    return weight


def _step(changes: Iterable[_Change]) -> MergeStep:
    records: list[Delivery] = []
    values: dict[bytes, bytes | None] = {}
    for name, value, its, clocks in changes:
        records += its
        values[name] = value
        if clocks:
            values |= clocks
    return MergeStep(records, values)


def _lost(clocks: Clocks, now: float) -> Entry:
    """An entry in place of one that cannot be read: every window that its hits may have been in says that it is incomplete."""
    entry = Entry()
    entry.touched, entry.sources = now, None
    entry.lost = max((now, *(clock.highest for clock in clocks.of.values())))
    return entry


def _know(clocks: Clocks, state: PartitionState, numbers: Iterable[int], damages: list[StateDamage]) -> None:
    """Load these sources' clocks from the state."""
    for number in numbers:
        if number not in clocks.of:
            value = state.get(_clock_key(number))
            if value is not None:
                try:
                    clocks.of[number] = unpack_clock(value)
                except UNREADABLE:
                    damages.append(StateDamage(_clock_key(number), value, _LOST_CLOCK))
                    clocks.of[number] = Clock()


def _clock_key(number: int) -> bytes:
    return CLOCK + b"%d" % number


def _columns_of(group: HitGroup) -> HitColumns | None:
    if not group.columns:
        return None
    from app.columns.hits import HitColumns

    return HitColumns.from_message(group.columns)


def _ends(group: HitGroup, columns: HitColumns | None) -> Iterator[int]:
    """The highest position of the rows, and that of the columns."""
    if group.rows:
        yield max(map(_position, group.rows))
    if columns is not None:
        yield columns.end


def _closed(entry: Entry, final: list[Delivery], clocks: Clocks, expired: float) -> dict[bytes, bytes | None]:
    """The clocks of the sources that fed windows which are evicted now; to be written with them."""
    if not final:
        return {}
    last = max(delivery.last for delivery in final)
    changed: dict[bytes, bytes | None] = {}
    for number in entry.sources or ():
        clock = clocks.of.get(number)
        if clock is not None and clock.touched >= expired:
            clock.closed = max(clock.closed, last)
            changed[_clock_key(number)] = pack_clock(clock)
    return changed
