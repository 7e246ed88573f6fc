"""Sizes of files that log lines tell: from what servers name, and from what clients agree on.

Of one file and one UTC day a line tells something if it is a GET answered 200 or 206, is not encoded, and names a client:

| the line | tells |
|---|---|
| names the size (Content-Range, Content-Length, object size) | the size, if all lines of that day name the same |
| is a 200 that did not break, and counts body bytes | that the file has no fewer bytes; the size, if two clients agree on the greatest count, not 0 |

A download that was cut off counts fewer bytes, so it never makes a size smaller. If two clients agree on a lesser count, too, the file
changes within the day: then nothing is known of that day. Days that tell the same size in a row are one entry, from the first of them on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from app.domain.records import HitFlag
from app.domain.windows import DAY_S

__all__ = ["AGREEING_CLIENTS", "NO_LEARNED_SIZE", "DatedSize", "LearnedSize", "SizeWitnesses", "size_at"]

AGREEING_CLIENTS = 2
"""So many clients were sent the same number of bytes, and nobody was sent more."""
_END_S = 253_402_300_800
"""The year 10000: no calendar writes it."""
_TELLS_NO_BODY = int(HitFlag.ENCODED | HitFlag.PLACELESS)
_COUNTS_NO_BODY = int(HitFlag.ABORTED | HitFlag.ANNOUNCED | HitFlag.HEADERS_COUNTED | HitFlag.UNSIZED | _TELLS_NO_BODY)


class LearnedSize(int):
    """Bytes of a file that no server named for this delivery: other lines of the log did."""

    __slots__ = ()


NO_LEARNED_SIZE = LearnedSize(-1)
"""The lines tell of no one size at that time. Less than every file, so deliveries are judged as without a size."""


class DatedSize(NamedTuple):
    """The size of a file from a time on."""

    since: float
    """UTC seconds; -inf: ever."""
    size: int | None
    """Bytes; None: not known from then on."""
    how: str = ""
    """How it was learned, for people; empty: somebody gave it."""

    @property
    def known(self) -> int | None:
        """As deliveries are judged by it."""
        if not self.how:
            return self.size
        return NO_LEARNED_SIZE if self.size is None else LearnedSize(self.size)


def size_at(sizes: Iterable[DatedSize], time: float) -> int | None:
    """The size that held at a time; `sizes` in the order of their times.

    >>> both = [DatedSize(0.0, 5), DatedSize(100.0, 7)]
    >>> size_at(both, 99.0), size_at(both, 100.0), size_at(both, -1.0)
    (5, 7, None)
    """
    found = None
    for one in sizes:
        if one.since > time:
            break
        found = one
    return None if found is None else found.known


class SizeWitnesses:
    """What the lines of some logs tell of sizes: a function of the set of lines, in whatever order they come."""

    def __init__(self) -> None:
        self._days: dict[str, dict[int, _Day]] = {}
        self.kept = 0
        """How much is kept, in clients of a file on a day."""

    def take(self, hits: Iterable[tuple[Any, ...]]) -> None:
        """Takes in hits: tuples in the order of Parsed, more fields may follow."""
        days = self._days
        for hit in hits:
            time, ip_address, user_agent, request, method, status, _, hi, sent, total, flags = hit[:11]
            if (status != 200 and status != 206) or method != "GET" or flags & _TELLS_NO_BODY:
                continue
            if request is None or ip_address is None or user_agent is None or not 0 <= time < _END_S:
                continue
            if total is not None and hi is not None and hi >= total:
                continue  # a range beyond its own size: such a line proves nothing
            counts = status == 200 and sent is not None and not flags & _COUNTS_NO_BODY
            if not counts and total is None:
                continue
            known = days.get(request)
            if known is None:
                known = days[request] = {}
            number = int(time // DAY_S)
            day = known.get(number)
            if day is None:
                day = known[number] = _Day()
            client = ip_address, user_agent
            if total is not None:
                clients = day.named.setdefault(total, set())
                self.kept += client not in clients
                clients.add(client)
            if counts and sent > (most := day.most.get(client, -1)):
                self.kept += most < 0
                day.most[client] = sent

    def sizes(self, doubted: bool = False) -> Iterator[tuple[str, list[DatedSize]]]:
        """Requests in the order of their text, each with its sizes in the order of their times; those that are known at some time.

        `doubted`: those, too, of which fewer lines may have told a size.
        """
        for request in sorted(self._days):
            days = self._days[request]
            found = list(_joined([(number, days[number]) for number in sorted(days)]))
            if any(one.size is not None for one in found) or (
                doubted and sum(day.kept for day in days.values()) >= AGREEING_CLIENTS
            ):
                yield request, found

    def drop_larger(self, kept: int) -> set[str]:
        """Forget the requests of which more is kept, and name them."""
        sizes = {request: sum(day.kept for day in days.values()) for request, days in self._days.items()}
        dropped = {request for request, size in sizes.items() if size > kept}
        for request in dropped:
            del self._days[request]
            self.kept -= sizes[request]
        return dropped

    def __len__(self) -> int:
        """How many files the lines tell something of."""
        return len(self._days)


class _Day:
    """What is told of one file on one day, or on several in a row."""

    __slots__ = ("most", "named")

    def __init__(self) -> None:
        self.most: dict[tuple[str, str], int] = {}
        """The most body bytes that each client was sent by one 200."""
        self.named: dict[int, set[tuple[str, str]]] = {}
        """Sizes that lines name, and to which clients."""

    @property
    def kept(self) -> int:
        return len(self.most) + sum(map(len, self.named.values()))

    @property
    def greatest(self) -> int:
        return max(self.most.values(), default=-1)

    def join(self, other: _Day) -> None:
        for client, sent in other.most.items():
            self.most[client] = max(sent, self.most.get(client, -1))
        for size, clients in other.named.items():
            self.named.setdefault(size, set()).update(clients)

    def like(self, other: _Day) -> bool:
        """Whether both may be of the same file: the same sizes are named, or the same is the most."""
        if self.named or other.named:
            return self.named.keys() == other.named.keys()
        return self.greatest == other.greatest

    def size(self) -> tuple[int | None, str]:
        """Bytes, and how that was learned; None where the lines contradict each other or are too few."""
        counts = Counter(self.most.values())
        greatest = self.greatest
        if self.named:
            size = max(self.named)
            if len(self.named) > 1 or greatest > size:
                return None, "learned: the log names different sizes"
            return size, f"learned: the log names it to {_clients(len(self.named[size]))}"
        if any(count >= AGREEING_CLIENTS for sent, count in counts.items() if sent < greatest):
            return None, "learned: clients were sent different sizes"
        if counts[greatest] < AGREEING_CLIENTS or not greatest:
            return None, "learned: no two clients were sent the most"
        agreeing, of = counts[greatest], len(self.most)
        return greatest, f"learned: {agreeing:,} of {_clients(of)} were sent as many ({agreeing * 100 // of} %)"


def _clients(count: int) -> str:
    return f"{count:,} client{'' if count == 1 else 's'}"


def _joined(days: list[tuple[int, _Day]]) -> Iterator[DatedSize]:
    """The sizes of a file: days in a row that may be of the same file are put together first."""
    runs: list[tuple[int, _Day]] = []
    for number, day in days:
        if runs and (runs[-1][1].like(day) or _is_cut(day, runs[-1][1])):
            runs[-1][1].join(day)
            continue
        run = _Day()
        run.join(day)
        runs.append((number, run))
    for number, run in runs:
        yield DatedSize(float(number * DAY_S), *run.size())


def _is_cut(day: _Day, before: _Day) -> bool:
    """Whether a day tells no more than that less was sent than the size before: downloads that broke, no smaller file."""
    if day.named:
        return False
    size, _ = before.size()
    counts = Counter(day.most.values())
    return size is not None and (
        day.greatest == size or (day.greatest < size and max(counts.values()) < AGREEING_CLIENTS)
    )
