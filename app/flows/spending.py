"""Transactions, summed by user, minute, hour and day."""

from __future__ import annotations

from app.domain.counting import CountingRules
from app.domain.events import SPEND_RESOLUTIONS, Transaction, spend_buckets, spend_identities
from app.flows.deliveries import REJECTS
from app.flows.flow import CountedEvents, Flow, Keeping, Stage
from app.messages.events import decode_counted_transactions, read_transactions
from app.settings import Settings

__all__ = ["SPENDING"]


def _rules(settings: Settings) -> CountingRules[Transaction]:
    return CountingRules(
        horizon_s=settings.event_horizon,
        identities=spend_identities,
        buckets=spend_buckets,
        amount=lambda transaction: transaction.cents,
        lengths_s=SPEND_RESOLUTIONS,
        fingerprint=(),
        mistake="WEBLOGS_EVENT_HORIZON has changed; set it back, or drop the spending",
    )


SPENDING = Flow(
    name="spending",
    topics={
        "spend": "Transactions, many a message, by user.",
        "spend_reduced": "The transactions that count, and their sums.",
    },
    stages=(Stage("sum_spend", "spend", ("spend_reduced", REJECTS), "spend_totals"),),
    keepings=(Keeping("store_spend", "spend_reduced", {"transactions": "reduced", "spend_sums": "reduced"}),),
    page="/spender",
    counted=CountedEvents(_rules, read_transactions, decode_counted_transactions),
)
