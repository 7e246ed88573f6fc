"""Votes and transactions, the buckets of event time in which they are counted, and the sums that come of it.

Times are UTC seconds since 1970. Money is integer cents.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple

__all__ = [
    "ONE_VOTE_A_USER",
    "SPEND_RESOLUTIONS",
    "Bucket",
    "Sum",
    "Transaction",
    "Vote",
    "VoteRules",
    "added",
    "candidate_and_kiosk",
    "identity",
    "spend_buckets",
    "spend_identities",
    "vote_buckets",
    "vote_id_of",
    "vote_identities",
]

ONE_VOTE_A_USER = b"u"
"""Kind of the identities that are never forgotten."""
REPEATS_BITS = 20
"""A sum's version has its repeats in so many low bits: knowledge of events goes first."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
SPEND_RESOLUTIONS = {"minute": _MINUTE, "hour": _HOUR, "day": _DAY}
"""Length of a bucket in seconds; `total` has one bucket, which begins at 0."""


class Vote(NamedTuple):
    """One vote for one candidate."""

    vote_id: str
    candidate_id: int
    time: float
    """When it was cast, by the kiosk's clock; the server's where it told none."""
    kiosk_id: str | None = None
    user_id: str | None = None
    opinion: str | None = None


class Transaction(NamedTuple):
    """One payment of one user. Ids are the user's own: two users may use the same."""

    transaction_id: str
    user_id: str
    time: float
    cents: int


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


class VoteRules(NamedTuple):
    """How votes are counted."""

    window_s: int = 600
    one_per_user: bool = False
    """One vote a user, whatever the candidate; else one a vote id."""


def identity(kind: bytes, *parts: str) -> bytes:
    """13 bytes that stand for an event, or for who may send only one: the kind and a hash. No two lists of parts join alike.

    >>> identity(b"v", "ab", "c") == identity(b"v", "a", "bc")
    False
    """
    joined = "\0".join((*(str(len(part)) for part in parts[:-1]), *parts)) if len(parts) > 1 else parts[0]
    return kind + blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def vote_id_of(kiosk_id: str, time: float) -> str:
    """The id of a vote that has none, where kiosk and time are given: sent again it is the same.

    >>> vote_id_of("hall-3", 1600000000.0) == vote_id_of("hall-3", 1600000000.0)
    True
    """
    return blake2b(
        f"{len(kiosk_id)}\0{kiosk_id}\0{time!r}".encode("utf-8", "surrogatepass"), digest_size=16, person=b"vote"
    ).hexdigest()


def vote_identities(vote: Vote, rules: VoteRules) -> tuple[bytes, ...]:
    """A vote counts where none of these was seen."""
    own = identity(b"v", vote.vote_id)
    if rules.one_per_user and vote.user_id is not None:
        return (own, identity(ONE_VOTE_A_USER, vote.user_id))
    return (own,)


def vote_buckets(vote: Vote, rules: VoteRules) -> tuple[Bucket, ...]:
    """By kiosk and window, by window, in total, and by second of all candidates.

    >>> [bucket[:3] for bucket in vote_buckets(Vote("a", 2, 1234.5, "k"), VoteRules())]
    [('kiosk', '2/k', 1200), ('window', '2', 1200), ('total', '2', 0), ('second', '', 1234)]
    """
    second = math.floor(vote.time)
    start = second - second % rules.window_s
    end = start + rules.window_s
    candidate = str(vote.candidate_id)
    return (
        ("kiosk", f"{candidate}/{vote.kiosk_id or ''}", start, end),
        ("window", candidate, start, end),
        ("total", candidate, 0, math.inf),
        ("second", "", second, second + 1),
    )


def candidate_and_kiosk(group: str) -> tuple[int, str]:
    """Of a group of the resolution `kiosk`.

    >>> candidate_and_kiosk("2/hall/3")
    (2, 'hall/3')
    """
    candidate, _, kiosk = group.partition("/")
    return int(candidate), kiosk


def spend_identities(transaction: Transaction) -> tuple[bytes, ...]:
    """A transaction counts where this was not seen."""
    return (identity(b"t", transaction.user_id, transaction.transaction_id),)


def spend_buckets(transaction: Transaction) -> tuple[Bucket, ...]:
    """By minute, hour and day, and in total.

    >>> [bucket[:3] for bucket in spend_buckets(Transaction("a", "u1", 3700.5, 2000))]
    [('minute', 'u1', 3660), ('hour', 'u1', 3600), ('day', 'u1', 0), ('total', 'u1', 0)]
    """
    second, user = math.floor(transaction.time), transaction.user_id
    minute, hour, day = second - second % _MINUTE, second - second % _HOUR, second - second % _DAY
    return (
        ("minute", user, minute, minute + _MINUTE),
        ("hour", user, hour, hour + _HOUR),
        ("day", user, day, day + _DAY),
        ("total", user, 0, math.inf),
    )


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
