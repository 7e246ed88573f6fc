"""Votes, counted by candidate, kiosk and window."""

from __future__ import annotations

from app.domain.counting import CountingRules
from app.domain.events import Vote, VoteRules, vote_buckets, vote_identities
from app.flows.deliveries import REJECTS
from app.flows.flow import CountedEvents, Flow, Keeping, Stage
from app.messages.events import decode_counted_votes, read_votes
from app.settings import Settings

__all__ = ["VOTES"]


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


VOTES = Flow(
    name="votes",
    topics={
        "votes": "Votes, many a message, by vote id or user.",
        "votes_reduced": "The votes that count, and how many there are of them.",
    },
    stages=(Stage("count_votes", "votes", ("votes_reduced", REJECTS), "vote_counts"),),
    keepings=(Keeping("store_votes", "votes_reduced", {"votes": "raw", "vote_sums": "reduced"}),),
    page="/result/",
    counted=CountedEvents(_rules, read_votes, decode_counted_votes),
)
