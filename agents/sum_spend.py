"""spend -> [spend_totals] -> spend_reduced: sum every transaction once, by user, in the minute, hour and day of its time."""

from app.engine.counted_flow import counting_flow
from app.flows.spending import SPENDING
from tables.spend_totals import spend_totals

flow = counting_flow(SPENDING, spend_totals)
sum_spend = flow.agent("sum_spend")
