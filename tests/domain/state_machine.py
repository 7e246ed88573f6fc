"""Random operations on the merging state, and an oracle that knows nothing but sets.

The oracle keeps every hit as a time, an id and the set of bytes it surely sent, cuts windows hit by hit by their definitions,
and answers from sets of integers. The state under test is what the worker has: packed values by packed keys, changed by the
steps of the merger alone, and a store of records by version.
"""

from __future__ import annotations

import math
import random
from typing import Any, NamedTuple

from app.domain import byteranges
from app.domain.proof import Proof
from app.domain.records import Delivery, raw_ids
from app.domain.watermarks import Advance, source_number
from app.domain.windows import DAY_S, Rules
from app.engine.partition import MemoryPart
from app.messages.state_values import key_bytes, pack_clock, pack_entry, unpack_clock, unpack_entry
from app.messages.tokens import HitGroup, TokenMessage, decode_tokens, encode_tokens
from app.steps.merger import CLOCK
from tests.steps.flow import BASE_S, HOUR_S, Key, NewestVersions, Worker

LENGTH_S, LATENESS_S = 10 * HOUR_S, 12 * HOUR_S
GRID_S = HOUR_S / 2
SLOTS = 10
HITS_OF_A_KEY = 40
FAR = 10**30
WEIGHTS = {"add": 66, "query": 16, "merge": 6, "split": 6, "export": 4, "evict": 1.6, "restart": 0.4}
SOURCE = "a log"
IN_FLIGHT_BYTES = 6


class Shot(NamedTuple):
    """One hit as the oracle sees it."""

    time: float
    hit_id: int
    bytes: frozenset[int]
    """Of a range: what was sent."""
    sent: int
    cut_hi: int
    start: int = -1
    """Of a 200: how many bytes from byte 0 on were sent."""


def sent_of(shot: Shot, size: int | None) -> frozenset[int]:
    """With a file of that size."""
    return shot.bytes if shot.start < 0 else frozenset(range(shot.start if size is None else min(shot.start, size)))


def is_cut(shot: Shot, size: int | None) -> bool:
    return shot.cut_hi >= 0 or (size is not None and 0 <= shot.start < size)


def sure_of(shot: Shot, size: int | None) -> frozenset[int]:
    """Without what is in flight before the end of a response that was cut, or perhaps was."""
    sent = sent_of(shot, size)
    if not is_cut(shot, size) and (shot.start < 0 or size is not None):
        return sent
    return frozenset(byte for byte in sent if byte <= max(sent) - IN_FLIGHT_BYTES)


Window = tuple[float, list[Shot]]


def windows_of(shots: list[Shot], rules: Rules) -> list[Window]:
    """Start and hits of each window, by the definitions."""
    found: list[Window] = []
    for shot in sorted(shots):
        start = shot.time
        if rules.window == "day":
            start = math.floor(shot.time / DAY_S) * DAY_S
        elif rules.window == "all":
            start = 0.0
        if found and (
            found[-1][1][-1].time + rules.length_s > shot.time
            if rules.window == "last_touch"
            else found[-1][0] + rules.length_s > shot.time
            if rules.window == "first_touch"
            else found[-1][0] == start
        ):
            found[-1][1].append(shot)
        else:
            found.append((start, [shot]))
    return found


def end_of(window: Window, rules: Rules) -> float:
    ends = {
        "last_touch": window[1][-1].time + LENGTH_S,
        "first_touch": window[0] + LENGTH_S,
        "day": window[0] + DAY_S,
        "all": math.inf,
    }
    return ends[rules.window]


def size_of(request: str, time: float = 0.0) -> int | None:
    """Every third file has a known size."""
    return 60 if int(request.rpartition(" ")[2]) % 3 == 0 else None


class Machine:
    """One seeded run in one window mode."""

    def __init__(self, window: str, seed: int) -> None:
        self.rules = Rules(window, LENGTH_S, LATENESS_S, Proof(IN_FLIGHT_BYTES))
        self.ttl_s = 300.0 if window == "all" else 1e15
        self.chance = random.Random(seed)
        self.store = NewestVersions()
        self.worker = Worker(self.rules, self.store.write, size_of=size_of, ttl_s=self.ttl_s)
        self.done = dict.fromkeys(WEIGHTS, 0)
        self.bridges = self.crashes = self.evicted_windows = 0
        # what was sent
        self.event_s = BASE_S
        self.wall_s = 1000.0
        self.position = 0
        self.raw_id = raw_ids(SOURCE)
        self.generation = 0
        self.keys: list[Key] = [self._new_key(slot) for slot in range(SLOTS)]
        self.left = [self.chance.randint(1, HITS_OF_A_KEY) for _ in range(SLOTS)]
        self.pending: list[tuple[tuple[Any, ...], Shot]] = []
        self.recent: list[tuple[tuple[Any, ...], Shot]] = []
        # what the oracle knows
        self.shots: dict[Key, dict[int, Shot]] = {}
        self.over: dict[Key, set[float]] = {}
        self.cut: dict[Key, list[Window]] = {}
        self.touched: dict[Key, tuple[float, float]] = {}
        self.highest, self.disorder = -math.inf, 0.0

    def run(self, operations: int) -> None:
        for name in self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=operations):
            getattr(self, name)()
            self.done[name] += 1
        self.split()
        for key in list(self.shots):
            self.compare(key)

    # -- operations

    def add(self) -> None:
        """One more line of a client: late by less than the lateness."""
        chance = self.chance
        slot = chance.randrange(SLOTS)
        self.event_s += chance.choice((0, 0, 0.1, 0.3)) * HOUR_S
        if self.left[slot] == 0:
            self.keys[slot], self.left[slot] = self._new_key(slot), chance.randint(1, HITS_OF_A_KEY)
        self.left[slot] -= 1
        late = chance.choice((0, 0, 0, 0.5, 3, 8, 11)) * HOUR_S
        self._send(self.keys[slot], math.floor((self.event_s - late) / GRID_S) * GRID_S)
        if len(self.pending) >= 60:
            self.split()

    def merge(self) -> None:
        """A line between two deliveries, as far as the lateness allows: in some modes it joins them, in others it moves cuts."""
        key = self.chance.choice(self.keys)
        windows = self.windows(key)
        if len(windows) < 2:
            return self._fill(key, windows)
        (_, before), (_, behind) = windows[-2:]
        time = math.floor((before[-1].time + behind[0].time) / 2 / GRID_S) * GRID_S
        if time < self.event_s - LATENESS_S + GRID_S:
            return self._fill(key, windows)
        self.bridges += 1
        self._send(key, time)
        return self.split()

    def _fill(self, key: Key, windows: list[Window]) -> None:
        """A line with the bytes between two ranges of the latest delivery, or after the last."""
        held = set().union(*(shot.bytes for _, shots in windows[-1:] for shot in shots))
        lo = next((byte + 1 for byte in sorted(held) if byte + 1 not in held), self._base(key))
        behind = min((byte for byte in held if byte > lo), default=lo + 5)
        self._send(key, math.floor(self.event_s / GRID_S) * GRID_S, lo, behind - lo)

    def split(self) -> None:
        """The lines that wait become messages, cut anywhere; some lines come again; some messages are merged together."""
        chance, lines = self.chance, self.pending
        if not lines:
            return
        self.pending = []
        if self.recent and chance.random() < 0.2:
            lines = [*self.recent[-chance.randint(1, 30) :], *lines]
        messages, at = [], 0
        while at < len(lines):
            size = chance.randint(1, 30)
            messages.append(self._message(lines[at : at + size]))
            at += size
        self._deliver(messages)
        for row, shot in lines:
            self._learn(row[1:4], shot)
        self.recent = (self.recent + lines)[-60:]

    def query(self) -> None:
        """contains, missing, covered of what is open of a key."""
        chance, key = self.chance, self.chance.choice(self.keys)
        base = self._base(key)
        lo = base + chance.randint(0, 70)
        hi = lo + chance.randint(0, 30)
        asked = set(range(lo, hi + 1))
        value = self.worker.state.get(key_bytes(key))
        tallies = [] if value is None else unpack_entry(value, self.rules).tallies
        open_windows = [window for window in self.windows(key) if window[0] not in self.over.get(key, ())]
        assert [tally.start for tally in tallies] == [start for start, _ in open_windows]
        for tally, (_, shots) in zip(tallies, open_windows, strict=True):
            held = set().union(*(shot.bytes for shot in shots))
            ranges = byteranges.union(tally.ranges, byteranges.normalise(tally.broken))
            assert byteranges.covered(ranges) == len(held)
            assert byteranges.contains(ranges, lo, hi) == (asked <= held)
            lacking = byteranges.missing(ranges, lo, hi)
            assert tally.start_sent == max(shot.start for shot in shots)
            assert {byte for first, last in lacking for byte in range(first, last + 1)} == asked - held
            assert set(tally.ids) == {shot.hit_id for shot in shots}

    def export(self) -> None:
        """The records of a key as a store shows them."""
        self.compare(self.chance.choice(list(self.shots) or self.keys))

    def evict(self) -> None:
        """A tick: windows that are over by the watermark leave the state; what is long over leaves the oracle, too."""
        self.split()
        self.event_s += self.chance.choice((0, 1, 6)) * HOUR_S
        self.wall_s += 5.0
        self.worker.merger = self.worker._make()
        passed = self._watermark()
        self._deliver([TokenMessage(self.wall_s, [], tick=True)])
        for key in list(self.shots):
            over = self.over.setdefault(key, set())
            for window in self.windows(key):
                if end_of(window, self.rules) <= passed or self._expired(key):
                    self.evicted_windows += window[0] not in over
                    over.add(window[0])
            self._forget(key)
        self._check_state_keys()

    def restart(self) -> None:
        """All values come out of the changelog as they went in."""
        state = self.worker.state
        for name, value in state.items():
            if name.startswith(CLOCK):
                assert pack_clock(unpack_clock(value)) == value
            elif not name.startswith(b"\0"):
                assert pack_entry(unpack_entry(value, self.rules)) == value
        self.worker.state = MemoryPart()
        self.worker.state.apply(state.items(), 0)
        self.worker.merger = self.worker._make()

    # -- comparing

    def windows(self, key: Key) -> list[Window]:
        found = self.cut.get(key)
        if found is None:
            found = self.cut[key] = windows_of(list(self.shots.get(key, {}).values()), self.rules)
        return found

    def compare(self, key: Key) -> None:
        """The store's records of a key, all fields, against the sets."""
        seen = self.store.visible_of(key)
        windows = self.windows(key)
        assert [record.window_start for record in seen] == [start for start, _ in windows]
        for record, (start, shots) in zip(seen, windows, strict=True):
            self._compare(record, shots, size_of(key[2]))
            assert record.final == (start in self.over.get(key, ()))

    def _compare(self, record: Delivery, shots: list[Shot], size: int | None) -> None:
        beyond = set().union(*(shot.bytes for shot in shots))
        file = None if size is None else set(range(size))
        sent, sure = (set().union(*(of(shot, size) for shot in shots)) for of in (sent_of, sure_of))
        if file is not None:
            sent, sure = sent & file, sure & file
        assert {byte for lo, hi in record.ranges for byte in range(lo, hi + 1)} == sure
        assert record.covered_bytes == len(sure)
        assert (record.hits, record.bytes_sent) == (len(shots), sum(shot.sent for shot in shots))
        assert (record.first, record.last) == (shots[0].time, shots[-1].time)
        assert record.hit_ids == sorted(f"{shot.hit_id:016x}" for shot in shots)
        assert (record.total_bytes, record.size_known) == (size, size is not None)
        assert ("beyond_size" in record.flags) == (file is not None and not beyond <= file)
        longest = max(shots, key=lambda shot: shot.start)  # of several 200s the flag is that of the one that sent most
        assert ("cut_off" in record.flags) == any(
            is_cut(shot, size) for shot in shots if shot.start < 0 or shot is longest
        )
        if file is not None:
            assert {byte for lo, hi in record.missing for byte in range(lo, hi + 1)} == file - sent
        else:
            assert sum(hi - lo + 1 for lo, hi in record.missing) == (max(sent) + 1 - len(sent) if sent else 0)
        cut_hi = max(shot.cut_hi for shot in shots)
        last = max(2, cut_hi, max(sent, default=-1))

        def is_whole(held: set[int]) -> bool:
            if file is not None:
                return held == file
            names_ranges = any(shot.start < 0 for shot in shots)
            ends_in_range = max(beyond, default=-1) >= last
            return names_ranges and bool(held) and max(held) + 1 == len(held) and max(held) >= last and ends_in_range

        if is_whole(sent):
            assert (record.verdict, record.evidence) == ("complete", "ranges" if is_whole(sure) else "resumed")
        elif file is None and any(shot.start >= 0 for shot in shots):
            assert (record.verdict, record.reason) == ("unknown", "size_unknown")
        else:
            assert record.verdict == "partial"

    def _watermark(self) -> float:
        """What has passed for certain; messages read again after a crash may look out of order, and hold it back."""
        value = self.worker.state.get(CLOCK + b"%d" % source_number(SOURCE))
        if value is None:
            return -math.inf
        clock = unpack_clock(value)
        assert clock.highest == self.highest
        assert self.disorder <= clock.disorder_s <= 8 * LENGTH_S
        return self.highest - max(LATENESS_S, clock.disorder_s)

    def _check_state_keys(self) -> None:
        held = {name for name in self.worker.state if not name.startswith(b"\0")}
        for key in self.shots:
            is_open = any(start not in self.over[key] for start, _ in self.windows(key))
            assert not is_open or key_bytes(key) in held
        if self.rules.window != "first_touch":
            assert held <= {key_bytes(key) for key in self.shots}

    # -- sending

    def _new_key(self, slot: int) -> Key:
        self.generation += 1
        return (f"10.0.0.{slot}", f"agent {self.generation}", f"GET /{slot} {self.generation}")

    def _base(self, key: Key) -> int:
        return FAR if key[0].endswith("7") else 0

    def _send(self, key: Key, time: float, lo: int | None = None, length: int = 0) -> None:
        chance = self.chance
        if lo is None:
            lo, length = self._base(key) + chance.randint(0, 60), chance.randint(1, 30)
        if lo < FAR and chance.random() < 0.15:
            return self._send_from_start(key, time, chance.choice((0, chance.randint(0, 70), 60)))
        sent = chance.choice((None, None, length, chance.randint(0, length)))
        kept = length if sent is None else sent
        self.position += chance.randint(20, 200)
        raw_id = self.raw_id(self.position)
        row: tuple[Any, ...] = (
            time,
            *key,
            "GET",
            206,
            lo,
            lo + length - 1,
            sent,
            None,
            0,
            {},
            raw_id,
            self.position,
            None,
        )
        shot = Shot(
            time, int(raw_id[:16], 16), frozenset(range(lo, lo + kept)), kept, lo + length - 1 if kept < length else -1
        )
        self.pending.append((row, shot))
        return None

    def _send_from_start(self, key: Key, time: float, sent: int) -> None:
        """A 200 that names no range."""
        self.position += self.chance.randint(20, 200)
        raw_id = self.raw_id(self.position)
        row: tuple[Any, ...] = (time, *key, "GET", 200, None, None, sent, None, 0, {}, raw_id, self.position, None)
        self.pending.append((row, Shot(time, int(raw_id[:16], 16), frozenset(), sent, -1, sent)))

    def _message(self, lines: list[tuple[tuple[Any, ...], Shot]]) -> TokenMessage:
        self.wall_s += 0.1
        times = [row[0] for row, _ in lines]
        highest, disorder = -math.inf, 0.0
        for time in times:
            highest = max(highest, time)
            disorder = max(disorder, highest - time)
        self.disorder = max(self.disorder, disorder, self.highest - min(times))
        self.highest = max(self.highest, highest)
        for row, shot in lines:
            new = shot.hit_id not in self.shots.get(row[1:4], ())
            first = self.wall_s if new else self.touched.get(row[1:4], (0.0, 0.0))[0]
            self.touched[row[1:4]] = (first, self.wall_s)
        group = HitGroup.of(
            SOURCE, source_number(SOURCE), SOURCE, Advance(min(times), highest, disorder), [row for row, _ in lines]
        )
        return decode_tokens(encode_tokens(TokenMessage(self.wall_s, [group]))[0])

    def _deliver(self, messages: list[TokenMessage]) -> None:
        """As the agent reads them, some at a time; it may die and read them again."""
        chance = self.chance
        if chance.random() < 0.1:
            self.crashes += self.worker.take_and_crash(chance, *messages[: chance.randint(1, len(messages))])
            self.worker.merger = self.worker._make()
        at = 0
        while at < len(messages):
            size = chance.randint(1, 4)
            self.worker.take(*messages[at : at + size])
            at += size

    def _learn(self, key: Key, shot: Shot) -> None:
        if key not in self.shots and shot.time + 3 * LENGTH_S + LATENESS_S < self.event_s:
            return  # a repeated line of a key that the oracle has forgotten
        self.shots.setdefault(key, {})[shot.hit_id] = shot
        self.cut.pop(key, None)

    def _expired(self, key: Key) -> bool:
        """Not touched, not even by a repeated line, for the time to live."""
        return self.touched[key][1] < self.wall_s - self.ttl_s

    def _forget(self, key: Key) -> None:
        """Keys that no line will name again, when all their windows are over and repeats are past."""
        windows = self.windows(key)
        if key in self.keys or any(start not in self.over[key] for start, _ in windows):
            return
        if windows[-1][1][-1].time + 12 * LENGTH_S < self.event_s:
            self.compare(key)
            for gone in (self.shots, self.over, self.cut, self.touched):
                del gone[key]
            self.store.forget(key)
