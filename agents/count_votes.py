"""votes -> [vote_counts] -> votes_reduced: count every vote once, in the window of its time."""

from __future__ import annotations

from app.domain.events import Vote, VoteRules, vote_buckets, vote_identities
from app.engine.batches import or_end
from app.engine.counted_flow import EventFlow
from app.engine.topology import app, votes
from app.messages.events import read_votes
from app.settings import settings
from app.domain.counting import CountingRules as Rules
from app.steps.ledger import Ledger
from tables.vote_counts import vote_counts

_settings = settings()
_rules = VoteRules(_settings.vote_window, _settings.vote_one_per_user)
ledger: Ledger[Vote] = Ledger(
    Rules(
        horizon_s=_settings.event_horizon,
        identities=lambda vote: vote_identities(vote, _rules),
        buckets=lambda vote: vote_buckets(vote, _rules),
        amount=lambda _: 0,
        lengths_s={"kiosk": _rules.window_s, "window": _rules.window_s, "second": 1},
        fingerprint=_rules,
        mistake="WEBLOGS_EVENT_HORIZON, WEBLOGS_VOTE_WINDOW or WEBLOGS_VOTE_ONE_PER_USER has changed; set them back, or drop the votes",
    ),
    _settings.changelog_batch_bytes,
)
flow = EventFlow(app, "votes", "votes_reduced", vote_counts, ledger, read_votes)


@app.agent(votes, name="count_votes")
@or_end
async def count_votes(stream):
    await flow.run(stream)
