"""spend -> [spend_totals] -> spend_reduced: sum every transaction once, per user, in the minute, hour and day of its time."""

from __future__ import annotations

from app.domain.events import SPEND_RESOLUTIONS, Transaction, spend_buckets, spend_identities
from app.engine.batches import or_end
from app.engine.counted_flow import EventFlow
from app.engine.topology import app, spend
from app.messages.events import read_transactions
from app.settings import settings
from app.domain.counting import CountingRules as Rules
from app.steps.ledger import Ledger
from tables.spend_totals import spend_totals

_settings = settings()
ledger: Ledger[Transaction] = Ledger(
    Rules(
        horizon_s=_settings.event_horizon,
        identities=spend_identities,
        buckets=spend_buckets,
        amount=lambda transaction: transaction.cents,
        lengths_s=SPEND_RESOLUTIONS,
        fingerprint=(),
        mistake="WEBLOGS_EVENT_HORIZON has changed; set it back, or drop the spending",
    ),
    _settings.changelog_batch_bytes,
)
flow = EventFlow(app, "spend", "spend_reduced", spend_totals, ledger, read_transactions)


@app.agent(spend, name="sum_spend")
@or_end
async def sum_spend(stream):
    await flow.run(stream)
