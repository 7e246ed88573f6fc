"""votes_reduced -> each store: the votes that count, and the sums of them."""

from app.engine.counted_flow import storing_agents
from app.flows.votes import VOTES

store_votes = storing_agents(VOTES, "store_votes")
