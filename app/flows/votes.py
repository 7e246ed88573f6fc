"""Votes: counted by candidate, in windows, in total, by kiosk and by second."""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from app.domain.counted import (
    KEPT_FOR_EVER,
    Bucket,
    CountedKind,
    CountingRules,
    EventField,
    Resolution,
    identity,
)

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = [
    "MAX_ID",
    "MAX_OPINION_CHARS",
    "VOTES",
    "Vote",
    "VoteRules",
    "vote_buckets",
    "vote_id_of",
    "vote_identities",
]

MAX_ID = (1 << 53) - 1
"""Largest candidate id: every JSON reader knows it exactly."""
MAX_OPINION_CHARS = 4096


class Vote(NamedTuple):
    """One vote for one candidate."""

    vote_id: str
    candidate_id: int
    time: float
    """When it was cast, by the kiosk's clock; the server's if the kiosk sent none."""
    kiosk_id: str | None = None
    user_id: str | None = None
    opinion: str | None = None


class VoteRules(NamedTuple):
    """How votes are counted."""

    window_s: int = 600
    one_per_user: bool = False
    """One vote a user, whatever the candidate; else one a vote id."""


def vote_id_of(kiosk_id: str, time: float) -> str:
    """The id of a vote that has none, if kiosk and time are given: sent again it is the same.

    >>> vote_id_of("hall-3", 1600000000.0) == vote_id_of("hall-3", 1600000000.0)
    True
    """
    return blake2b(
        f"{len(kiosk_id)}\0{kiosk_id}\0{time!r}".encode("utf-8", "surrogatepass"), digest_size=16, person=b"vote"
    ).hexdigest()


def vote_identities(vote: Vote, rules: VoteRules) -> tuple[bytes, ...]:
    """A vote counts if none of these was seen."""
    own = identity(b"v", vote.vote_id)
    if rules.one_per_user and vote.user_id is not None:
        return (own, identity(KEPT_FOR_EVER, vote.user_id))
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


def _rules(settings: Settings) -> CountingRules[Vote]:
    rules = VoteRules(settings.vote_window, settings.vote_one_per_user)
    return CountingRules(
        horizon_s=settings.event_horizon,
        identities=lambda vote: vote_identities(vote, rules),
        buckets=lambda vote: vote_buckets(vote, rules),
        amount=lambda _: 0,
        lengths_s={"kiosk": rules.window_s, "window": rules.window_s, "second": 1},
        fingerprint=rules,
        mistake="WEBLOGS_EVENT_HORIZON, WEBLOGS_VOTE_WINDOW or WEBLOGS_VOTE_ONE_PER_USER has changed; set them back, or drop the votes",
    )


VOTES: CountedKind[Vote] = CountedKind(
    name="votes",
    one="vote",
    many="votes",
    event=Vote,
    fields=(
        EventField("vote_id", "text", 1),
        EventField("candidate_id", "integer", 0, MAX_ID),
        EventField.time(),
        EventField("kiosk_id", "text", optional=True),
        EventField("user_id", "text", optional=True),
        EventField("opinion", "text", 0, MAX_OPINION_CHARS, optional=True),
    ),
    id_fields=("vote_id",),
    group_field="candidate_id",
    resolutions=(
        Resolution("kiosk", within="kiosk_id", table="vote_counts"),
        Resolution("window"),
        Resolution("total", "ever"),
        Resolution("second", "short"),
    ),
    rules=_rules,
    spread_by=lambda vote, settings: vote.user_id or "" if settings.vote_one_per_user else vote.vote_id,
    agent="count_votes",
    table="vote_counts",
    events_table="votes",
    sums_table="vote_sums",
    keeps_events="raw",
    posted_many="/votes",
    page="/result",
)
