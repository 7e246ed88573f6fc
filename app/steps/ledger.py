"""What messages of events do to the state of one partition, in steps that each fit one changelog batch. Votes and spending alike.

The state holds, each under a key of its own: the sums (`s`), the identities of the events in them (other letters), and the place
in the topic up to which they are counted. A step writes all three together, so that a message that is read again, whole or from
its middle, goes on where the state stands: nothing counts twice, not even as a repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from app.domain.counted import CountingRules, Sum
from app.domain.counting import LOST, Counting, Counts, Key, end_of, is_over, is_remembered
from app.errors import SettingsError
from app.messages.forms import UNREADABLE
from app.steps.damage import StateDamage

__all__ = ["PLACE", "RULES", "Arrived", "Ledger", "State", "Step"]

PLACE = b"\0place"
RULES = b"\0rules"
"""Key of the rules by which the state was counted: other ones cannot go on with it."""
_SUM = b"s"
_SEEN_BYTES = 5
_EVER = (1 << 8 * _SEEN_BYTES) - 1
_LOST_SUM = "the stored sum stays as it is, and what comes now counts in a share beside it"
_PUT_ASIDE = b"put aside"
"""What stands in the place of a lost sum: that it was there is not to be forgotten, or its share would begin anew."""
_ID_BYTES = 40
_SUM_BYTES = 160
"""What an identity and a sum take in a batch and in the message behind it, about."""
_SWEEPS_A_HORIZON = 48
_SWEPT_A_STEP = 4000
_SWEPT_AN_EVENT = 20
"""A sweep looks at this many entries for each event: it gets through the state faster than the state grows."""

Event = TypeVar("Event", bound=tuple[Any, ...])


class State(Protocol):
    """What a dict and a part on disk have in common."""

    def get(self, key: bytes) -> bytes | None: ...

    def items(self) -> Iterable[tuple[bytes, bytes]]: ...


class Arrived(NamedTuple, Generic[Event]):
    """One message."""

    offset: int
    timestamp: float
    """When it arrived, UTC seconds: the only clock there is here."""
    events: Sequence[Event]


class Step(NamedTuple, Generic[Event]):
    """Events and sums to send on, then changes to write."""

    events: list[Event]
    """Those that count: the repeats are left out."""
    sums: list[Sum]
    changes: dict[bytes, bytes | None]
    repeats: int
    damages: Sequence[StateDamage] = ()
    """Values of the state that could not be read: to be put aside before the changes are written."""


class _Place(msgspec.Struct, array_like=True):
    """How far the state has counted."""

    topic: str
    """With its incarnation: one created anew begins at 0."""
    offset: int = 0
    """The message to count next,"""
    index: int = 0
    """from this event on."""
    now: int = 0
    """Latest time of arrival."""


_encode = msgspec.json.Encoder().encode
_decode_place = msgspec.json.Decoder(_Place).decode


class Ledger(Generic[Event]):
    """The rules, and where each partition's sweep stands. All else is in the state."""

    def __init__(self, rules: CountingRules[Event], max_step_bytes: int = 4 << 20) -> None:
        self._rules = rules
        self._max = max_step_bytes
        self._fingerprint = _encode((rules.horizon_s, *rules.fingerprint))
        self._sweeps: dict[int, _Sweep] = {}
        """By partition."""

    def steps(
        self, topic: str, partition: int, state: State, messages: Sequence[Arrived[Event]]
    ) -> Iterator[Step[Event]]:
        """The steps of some messages of one partition, in turn; each is to be applied before the next is asked for.

        Raises SettingsError where the state was counted by other rules.
        """
        held = state.get(RULES)
        if held is not None and held != self._fingerprint:
            raise SettingsError(
                f"{self._rules.mistake}: the state was counted by {held.decode(errors='backslashreplace')}, now it is"
                f" {self._fingerprint.decode()}"
            )
        damages: list[StateDamage] = []
        place = self._place(state, topic, damages)
        batch, size, moved = _Batch(self._rules, state, partition, damages), 0, False
        for message in messages:
            if message.offset < place.offset:
                continue
            moved = True
            skip = place.index if message.offset == place.offset else 0
            place.offset, place.index = message.offset, skip
            place.now = max(place.now, int(message.timestamp))
            for event in message.events[skip:]:
                size += batch.take(event, place.now)
                place.index += 1
                if size >= self._max:
                    yield self._step(batch, place, state, partition)
                    batch, size = _Batch(self._rules, state, partition, []), 0
            place.offset, place.index = message.offset + 1, 0
        if moved:
            yield self._step(batch, place, state, partition)

    def _place(self, state: State, topic: str, damages: list[StateDamage]) -> _Place:
        held = state.get(PLACE)
        if held is None:
            return _Place(topic)
        try:
            place = _decode_place(held)
        except UNREADABLE:
            damages.append(StateDamage(PLACE, held, "messages that are read again count as repeats"))
            return _Place(topic)
        return place if place.topic == topic else _Place(topic, now=place.now)

    def _step(self, batch: _Batch[Event], place: _Place, state: State, partition: int) -> Step[Event]:
        step = batch.step()
        self._sweep(state, partition, place.now, batch.taken, step.changes, batch.damages)
        step.changes[PLACE] = _encode(place)
        step.changes[RULES] = self._fingerprint
        return step

    def _sweep(
        self,
        state: State,
        partition: int,
        now: int,
        taken: int,
        changes: dict[bytes, bytes | None],
        damages: list[StateDamage],
    ) -> None:
        """Look at some more entries, and delete what is over."""
        sweep = self._sweeps.get(partition)
        if sweep is None or sweep.state is not state:
            sweep = self._sweeps[partition] = _Sweep(state, now)
        elif sweep.left is None:
            if now < sweep.began + self._rules.horizon_s / _SWEEPS_A_HORIZON:
                return
            sweep.begin(now)
        assert sweep.left is not None
        for _ in range(_SWEPT_A_STEP + _SWEPT_AN_EVENT * taken):
            name, _ = next(sweep.left, (None, None))
            if name is None:
                sweep.left = None
                return
            if name not in changes:
                value = state.get(name)  # it may have changed since the sweep began
                if value is None:
                    continue
                try:
                    over = self._is_over(name, value, now)
                except UNREADABLE:
                    damages.append(StateDamage(name, value, "it is no key of a sum; nothing is lost"))
                    over = True
                if over:
                    changes[name] = None

    def _is_over(self, name: bytes, value: bytes, now: int) -> bool:
        if name.startswith(b"\0"):
            return False
        if name.startswith(_SUM):
            resolution, _, start, share = _key_of(name)
            return is_over(end_of(resolution, start, self._rules.lengths_s), share, now, self._rules.horizon_s)
        return not is_remembered(name, int.from_bytes(value), now, self._rules.horizon_s)


class _Sweep:
    """One walk through the state after the other, a piece at each step."""

    def __init__(self, state: State, now: int) -> None:
        self.state = state
        self.begin(now)

    def begin(self, now: int) -> None:
        self.began = now
        # a dict changes between the steps; what is on disk is gone through as it stood
        items = list(self.state.items()) if isinstance(self.state, dict) else self.state.items()
        self.left: Iterator[tuple[bytes, bytes]] | None = iter(items)


class _Batch(Generic[Event]):
    def __init__(self, rules: CountingRules[Event], state: State, partition: int, damages: list[StateDamage]) -> None:
        self._rules, self._partition, self._state, self.damages = rules, partition, state, damages
        self._counting = Counting(rules.horizon_s, self._counts_of, self._seen_of)
        self._events: list[Event] = []
        self._lost: set[bytes] = set()
        self.taken = 0

    def _counts_of(self, key: Key) -> Counts | None:
        name = _name_of(key)
        value = self._state.get(name)
        if value == _PUT_ASIDE:
            return LOST
        try:
            return _counts_of(value)
        except UNREADABLE:
            if name not in self._lost:
                self._lost.add(name)
                self.damages.append(StateDamage(name, value or b"", _LOST_SUM))
            return LOST

    def _seen_of(self, one: bytes) -> int | None:
        value = self._state.get(one)
        if value is None or len(value) == _SEEN_BYTES:
            return None if value is None else int.from_bytes(value)
        self.damages.append(StateDamage(one, value, "when the event came is not known; it is taken as counted"))
        return _EVER

    def take(self, event: Event, now: int) -> int:
        """Bytes that it adds to the step, about."""
        self.taken += 1
        rules, counting = self._rules, self._counting
        sums = len(counting.sums)
        identities = rules.identities(event)
        if not counting.take(identities, rules.buckets(event), rules.amount(event), now):
            return _SUM_BYTES * (len(counting.sums) - sums)
        self._events.append(event)
        texts = 0
        for field in event:
            if field.__class__ is str:
                texts += len(field)
        return _ID_BYTES * (1 + len(identities)) + texts + _SUM_BYTES * (len(counting.sums) - sums)

    def step(self) -> Step[Event]:
        counting = self._counting
        changes: dict[bytes, bytes | None] = {one: seen.to_bytes(_SEEN_BYTES) for one, seen in counting.ids.items()}
        changes |= dict.fromkeys(self._lost, _PUT_ASIDE)
        sums = []
        for key, counts in counting.sums.items():
            resolution, group, start, share = key
            sums.append(Sum(resolution, group, start, self._partition, share, *counts))
            changes[_name_of(key)] = b"%d %d %d" % counts
        return Step(self._events, sums, changes, self.taken - len(self._events), self.damages)


def _name_of(key: Key) -> bytes:
    resolution, group, start, share = key
    return f"s{resolution} {start} {share} {group}".encode("utf-8", "surrogatepass")


def _key_of(name: bytes) -> Key:
    resolution, start, share, group = name[1:].decode("utf-8", "surrogatepass").split(" ", 3)
    return resolution, group, int(start), int(share)


def _counts_of(value: bytes | None) -> Counts | None:
    if value is None:
        return None
    events, amount, repeats = value.split()
    return int(events), int(amount), int(repeats)
