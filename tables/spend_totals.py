"""spend_totals: cents by user, minute, hour and day, and the ids in them. Partitioned like `spend`; keys and values: see app.steps.ledger."""

from app.engine.counted_flow import counting_table
from app.flows.spending import SPENDING

__all__ = ["spend_totals"]

spend_totals = counting_table(SPENDING)
