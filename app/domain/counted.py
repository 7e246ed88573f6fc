"""Counted events as data: what one kind of event is made of, how it is counted, and the sums that come of it.

Votes, spending and requests are three values of CountedKind; see app.flows. Times are UTC seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar
from zlib import crc32

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = [
    "KEPT_FOR_EVER",
    "MAX_NAME_CHARS",
    "Bucket",
    "CountedKind",
    "CountingRules",
    "EventField",
    "EventKind",
    "Resolution",
    "Sum",
    "added",
    "identity",
    "partition_by",
]

KEPT_FOR_EVER = b"u"
"""Kind of the identities that are never forgotten."""
MAX_NAME_CHARS = 256
"""Of the id or name of an event, user, kiosk, candidate."""
_MAX_TIME = 1e11
REPEATS_BITS = 20
"""A sum's version has its repeats in so many low bits: knowledge of events goes first."""

Event = TypeVar("Event", bound=tuple[Any, ...])

Bucket = tuple[str, str, int, float]
"""Where an event counts: resolution, group, first second (0 for a total), first second after it (infinite for a total). A plain tuple:
four are made for each event."""


class Sum(NamedTuple):
    """What one partition knows of one bucket: absolute, so that writing it twice changes nothing. Readers add them up."""

    resolution: str
    group: str
    start: int
    partition: int
    share: int
    """0, or a later number where events came after the bucket had left the state; see app.domain.counting."""
    events: int
    """Distinct events."""
    amount: int
    """Sum over them: cents, or 0."""
    repeats: int
    """Events that were there already; they count nowhere else."""

    @property
    def version(self) -> int:
        """Grows with what is known and with nothing else: the distinct events, then the repeats.

        >>> Sum("total", "2", 0, 0, 0, 3, 0, 1).version > Sum("total", "2", 0, 0, 0, 2, 0, 99).version
        True
        """
        return self.events << REPEATS_BITS | min(self.repeats, (1 << REPEATS_BITS) - 1)


class EventField(NamedTuple):
    """One field of an event, with its limits."""

    name: str
    kind: Literal["text", "integer", "time", "boolean"]
    lo: float = 0
    """Least characters of a text, or least value."""
    hi: float = MAX_NAME_CHARS
    optional: bool = False

    @classmethod
    def time(cls, name: str = "time") -> EventField:
        """When the event happened."""
        return cls(name, "time", -_MAX_TIME, _MAX_TIME)


class Resolution(NamedTuple):
    """One way in which events are grouped, and how long stores keep its sums."""

    name: str
    keeps: Literal["ever", "reduced", "short"] = "reduced"
    """For ever; as long as deliveries; or for two days."""
    within: str = ""
    """The field behind the first slash of its groups: `2/hall` is candidate 2 in the kiosk hall. It is read by the first part."""
    table: str = ""
    """Name of a table of its own, in a store that needs one to read it by the first part."""


class CountingRules(NamedTuple, Generic[Event]):
    """How one kind of events is counted under the settings of now."""

    horizon_s: int
    """Identities are remembered and buckets held for this long."""
    identities: Callable[[Event], Sequence[bytes]]
    """An event counts if none of these was seen."""
    buckets: Callable[[Event], Sequence[Bucket]]
    amount: Callable[[Event], int]
    lengths_s: Mapping[str, int]
    """resolution -> length of its buckets; `total` has none."""
    fingerprint: Sequence[Any]
    """What must not change under a state, as JSON values."""
    mistake: str
    """What to tell a person if it did."""


@dataclass(frozen=True, eq=False)
class EventKind(Generic[Event]):
    """One kind of events that stores keep, each once by its id. The stores' tables derive from it."""

    name: str
    one: str
    many: str
    event: type[Event]
    """A NamedTuple with these fields, in this order; one is called `time`."""
    fields: Sequence[EventField]
    id_fields: Sequence[str]
    """The fields that name an event."""
    group_field: str
    """The field whose values events, and their sums, are grouped by."""
    events_table: str
    """Empty: the events are kept elsewhere; of this kind the stores keep sums alone."""
    keeps_events: Literal["raw", "reduced"]
    """As long as raw hits, or as deliveries."""

    @property
    def by_group(self) -> bool:
        """Whether events (and sums) are read for one group at a time."""
        return True

    @cached_property
    def id_of(self) -> Callable[[Event], tuple[Any, ...]]:
        """What names an event."""
        places = [[field.name for field in self.fields].index(name) for name in self.id_fields]
        return lambda event: tuple([event[place] for place in places])

    @cached_property
    def time_of(self) -> Callable[[Event], float]:
        place = [field.name for field in self.fields].index("time")
        return lambda event: event[place]


@dataclass(frozen=True, eq=False)
class CountedKind(EventKind[Event]):
    """One kind of counted events. Topics, table, stores' tables, messages, limits and checks derive from it.

    Its name is also the topic of the events, if `reads` names no other.
    """

    resolutions: Sequence[Resolution]
    rules: Callable[[Settings], CountingRules[Event]]
    spread_by: Callable[[Event, Settings], str]
    """The text that decides an event's partition: what may repeat it has the same."""
    agent: str
    """The agent that counts them: its module in agents/."""
    table: str
    """The agent's state: its module in tables/."""
    sums_table: str
    amount_field: str = ""
    """The field that is summed; without one, events are counted alone."""
    ranking_table: str = ""
    """Where a store keeps the totals of all groups, if the groups are ranked by their amount. Events of such a kind are read by
    group and time, too; those of others by time alone."""
    posted_many: str = ""
    """Path of the HTTP route that takes many of them."""
    page: str = ""
    """Path of the page that shows them."""
    reads: str = ""
    """The topic of another flow, whose messages hold the events."""

    @property
    def topic_in(self) -> str:
        """The topic of the events."""
        return self.reads or self.name

    @property
    def reduced(self) -> str:
        """The topic of what counts."""
        return f"{self.name}_reduced"

    @property
    def topics(self) -> tuple[str, str]:
        return self.topic_in, self.reduced

    @property
    def storing_agent(self) -> str:
        """The agent that writes what counts to a store: its module in agents/."""
        return f"store_{self.name}"

    @property
    def by_group(self) -> bool:
        return bool(self.ranking_table)

    @cached_property
    def resolution(self) -> Mapping[str, Resolution]:
        """By name."""
        return {each.name: each for each in self.resolutions}


def partition_by(text: str, partitions: int) -> int:
    """The partition of an event that is spread by this text."""
    return crc32(text.encode("utf-8", "surrogatepass")) % partitions


def identity(kind: bytes, *parts: str) -> bytes:
    """13 bytes that stand for an event, or for who may send only one: the kind and a hash. No two lists of parts join alike.

    >>> identity(b"v", "ab", "c") == identity(b"v", "a", "bc")
    False
    """
    joined = "\0".join((*(str(len(part)) for part in parts[:-1]), *parts)) if len(parts) > 1 else parts[0]
    return kind + blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def added(sums: Iterable[Sum]) -> dict[tuple[str, int], tuple[int, int, int]]:
    """(group, start) -> (events, amount, repeats), over all partitions and shares.

    >>> added([Sum("window", "2", 600, 0, 0, 3, 0, 1), Sum("window", "2", 600, 1, 0, 4, 0, 0)])
    {('2', 600): (7, 0, 1)}
    """
    found: dict[tuple[str, int], tuple[int, int, int]] = {}
    for each in sums:
        events, amount, repeats = found.get((each.group, each.start), (0, 0, 0))
        found[each.group, each.start] = (events + each.events, amount + each.amount, repeats + each.repeats)
    return found
