"""vote_counts: votes by kiosk, window and candidate, and the ids in them. Partitioned like `votes`; keys and values: see app.steps.ledger."""

from app.engine.counted_flow import counting_table
from app.flows.votes import VOTES

__all__ = ["vote_counts"]

vote_counts = counting_table(VOTES)
