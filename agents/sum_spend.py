"""spend -> [spend_totals] -> spend_reduced: sum every transaction once, by user, in the minute, hour and day of its time."""

from app.engine.counted_flow import counting_agent
from app.flows.spending import SPENDING
from tables.spend_totals import spend_totals

sum_spend = counting_agent(SPENDING, spend_totals, "sum_spend")
