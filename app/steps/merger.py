"""What token messages do to the state of one partition, in steps that each fit one changelog batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from app.columns.merging import PlacedPart, mixed
from app.domain.entries import Entry
from app.domain.merging import Changes, Key, SizeOf, evict
from app.domain.records import Delivery
from app.domain.tallies import part_of
from app.domain.watermarks import Clock, Clocks, source_number
from app.domain.windows import Rules
from app.errors import SettingsError
from app.messages import hits as wire
from app.messages.hits import Group, TokenMessage

if TYPE_CHECKING:
    from app.columns.tokens import Gathered

__all__ = ["CLOCK", "RULES", "Merger", "Step"]

CLOCK = b"\0clock|"
"""Key of a source's clock: its number in decimal follows."""
RULES = b"\0rules"
"""Key of the rules by which the state was cut: another window mode can not go on with it."""
SWEEPS_A_TTL = 24


class State(Protocol):
    """What a dict and a part on disk have in common."""

    def get(self, key: bytes) -> bytes | None: ...

    def items(self) -> Iterable[tuple[bytes, bytes]]: ...


_decode_key = msgspec.json.Decoder(tuple[str, str, str]).decode


class Step(NamedTuple):
    """Records to send, then changes to write."""

    records: list[Delivery]
    changes: dict[bytes, bytes | None]


class Merger:
    """The rules, and when each partition was last swept. All else is in the state."""

    def __init__(self, rules: Rules, size_of: SizeOf, state_ttl_s: float, max_step_bytes: int = 4 << 20) -> None:
        """A step's changes and its records stay below `max_step_bytes`, where a single key does not need more."""
        self._rules, self._size_of, self._ttl = rules, size_of, state_ttl_s
        self._max = max_step_bytes
        self._rules_value = wire.encode((rules.window, rules.length_s))
        self._swept: dict[int, tuple[float, float]] = {}

    def steps(self, partition: int, state: State, messages: Sequence[TokenMessage]) -> Iterator[Step]:
        """The steps of some messages of one partition, in turn; each is to be applied before the next is asked for.

        Raises SettingsError where the state was made by another window mode.
        """
        head: dict[bytes, bytes | None] = {}
        self._check_rules(state, head)
        clocks = Clocks()
        changes = Changes(self._rules, self._size_of, lambda key: self._load(state, key))
        for message in messages:
            for group in message.groups:
                _know(clocks, state, (group.clock,))
                clock = clocks.observe(group.clock, group.advance, message.now)
                self._merge(changes, group, clock, message.now)
        head |= {_clock_key(number): wire.pack_clock(clock) for number, clock in clocks.of.items()}
        yield from self._sliced(changes, head)
        if any(message.tick for message in messages):
            yield from self._sweep(partition, state, clocks, max(message.now for message in messages))

    def _merge(self, changes: Changes, group: Group, clock: Clock, now: float) -> None:
        rows, gathered = _not_merged_before(group, clock)
        if gathered is None:
            for key, parts in _parts_by_key(rows).items():
                changes.merge(key, [part for _, part in parts], group.clock, now)
            return
        groups, placed = gathered.groups(self._rules), _parts_by_key(rows)
        for one in mixed(groups, placed) if placed else groups:
            if one.key in placed:
                changes.merge(one.key, [part for _, part in placed[one.key]], group.clock, now)
            elif one.tally is None:
                changes.merge(one.key, groups.parts(one.number), group.clock, now)
            else:
                changes.merge_tally(one.key, one.tally, partial(groups.parts, one.number), group.clock, now)

    def _load(self, state: State, key: Key) -> Entry | None:
        value = state.get(wire.key_bytes(key))
        return None if value is None else wire.unpack_entry(value, self._rules)

    def _check_rules(self, state: State, head: dict[bytes, bytes | None]) -> None:
        held = state.get(RULES)
        if held is None:
            head[RULES] = self._rules_value
        elif held != self._rules_value:
            window, length_s = msgspec.json.decode(held)
            raise SettingsError(
                f"the state was cut by WEBLOGS_WINDOW={window}, WEBLOGS_WINDOW_LENGTH={length_s:g}, and these deliveries stand in the "
                "stores: go back to that, or take another WEBLOGS_DATA_DIR (and replay the logs into it)"
            )

    def _sliced(self, changes: Changes, head: dict[bytes, bytes | None]) -> Iterator[Step]:
        """Whole keys, as many as fit. The clocks go with the last slice: a crash before it repeats them all."""
        slices = _Slices(self._max)
        for key, entry in changes.entries.items():
            name, value, records = wire.key_bytes(key), wire.pack_entry(entry), changes.records(key)
            weight = _weight(name, value, records)
            if slices.would_overflow(weight):
                yield slices.taken()
            slices.add(name, value, records, weight)
        slices.values |= head
        if not slices.is_empty:
            yield slices.taken()

    def _sweep(self, partition: int, state: State, clocks: Clocks, now: float) -> Iterator[Step]:
        """Evict what is over, or was not touched for the time to live."""
        reached = max((clock.passed(self._rules.lateness_s) for clock in clocks.of.values()), default=float("-inf"))
        event_step = (self._rules.length_s + self._rules.lateness_s) / SWEEPS_A_TTL
        swept_reach, swept_now = self._swept.get(partition, (float("-inf"), float("-inf")))
        if reached < swept_reach + event_step and now < swept_now + self._ttl / SWEEPS_A_TTL:
            return
        self._swept[partition] = (reached, now)
        expired = now - self._ttl
        slices = _Slices(self._max)
        # a dict changes between the steps; what is on disk is gone through as it stood
        for name, value in list(state.items()) if isinstance(state, dict) else state.items():
            if name.startswith(CLOCK):
                if wire.unpack_clock(value).touched < expired:
                    slices.values[name] = None
            elif not name.startswith(b"\0"):
                entry = wire.unpack_entry(value, self._rules)
                final = self._evicted(name, entry, state, clocks, expired)
                if final or entry.is_empty:
                    rest = None if entry.is_empty else wire.pack_entry(entry)
                    weight = _weight(name, rest, final)
                    if slices.would_overflow(weight):
                        yield slices.taken()
                    slices.add(name, rest, final, weight)
                    slices.values |= _closed(entry, final, clocks, expired)
        if not slices.is_empty:
            yield slices.taken()

    def _evicted(self, name: bytes, entry: Entry, state: State, clocks: Clocks, expired: float) -> list[Delivery]:
        _know(clocks, state, entry.sources or ())
        before = float("inf") if entry.touched < expired else clocks.passed(entry.sources, self._rules.lateness_s)
        return evict(_decode_key(name), entry, before, self._rules, self._size_of)


class _Slices:
    """Gathers values and records of whole keys until a step is full."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._size = 0
        self.records: list[Delivery] = []
        self.values: dict[bytes, bytes | None] = {}

    @property
    def is_empty(self) -> bool:
        return not self.records and not self.values

    def would_overflow(self, weight: int) -> bool:
        """Whether a key of this weight belongs into another step."""
        return bool(self.values) and self._size + weight > self._max

    def add(self, name: bytes, value: bytes | None, records: list[Delivery], weight: int) -> None:
        self.records += records
        self.values[name] = value
        self._size += weight

    def taken(self) -> Step:
        """What is gathered; none of it stays."""
        step = Step(self.records, self.values)
        self.records, self.values, self._size = [], {}, 0
        return step


def _weight(name: bytes, value: bytes | None, records: list[Delivery]) -> int:
    """Bytes of a key with its value and its records in their message, about."""
    weight = len(name) + len(value or b"")
    for record in records:
        weight += 400 + len(record[1]) + len(record[2]) + 24 * (len(record[6]) + len(record[7]) + len(record[17]))
    return weight


def _know(clocks: Clocks, state: State, numbers: Iterable[int]) -> None:
    """Load these sources' clocks from the state."""
    for number in numbers:
        if number not in clocks.of:
            value = state.get(_clock_key(number))
            if value is not None:
                clocks.of[number] = wire.unpack_clock(value)


def _clock_key(number: int) -> bytes:
    return CLOCK + b"%d" % number


def _not_merged_before(group: Group, clock: Clock) -> tuple[list[tuple], Gathered | None]:
    """The hits of a group, as rows and as columns, without those that a crash repeats after their windows were evicted.

    Only a source with a clock of its own and in its own order has its lines come by position.
    """
    rows, gathered = group.rows, None
    if group.columns:
        from app.columns.tokens import Gathered

        gathered = Gathered(group.columns, group.source)
    if not group.count or group.unordered or group.clock != source_number(group.source):
        return rows, gathered
    if clock.closed > float("-inf"):
        rows = [row for row in rows if not clock.was_merged(row[12], row[0])]
        if gathered is not None:
            gathered.leave_out(clock.position, clock.closed)
    ends = [max(row[12] for row in group.rows)] if group.rows else []
    if gathered is not None:
        ends.append(gathered.end)
    clock.position = max(clock.position, *ends)
    return rows, gathered


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
            changed[_clock_key(number)] = wire.pack_clock(clock)
    return changed


def _parts_by_key(rows: Iterable[tuple]) -> dict[Key, list[PlacedPart]]:
    """In the order of the log, each with the position of its line."""
    by_key: dict[Key, list[PlacedPart]] = {}
    for row in rows:
        part = part_of(row, int(row[11][:16], 16))
        if part is not None:
            key = row[1:4]
            if key in by_key:
                by_key[key].append((row[12], part))
            else:
                by_key[key] = [(row[12], part)]
    return by_key
