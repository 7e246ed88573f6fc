"""spend_reduced -> each store: the transactions that count, and the sums of them."""

from app.engine.counted_flow import storing_agents
from app.flows.spending import SPENDING

store_spend = storing_agents(SPENDING, "store_spend")
