"""votes -> [vote_counts] -> votes_reduced: count every vote once, in the window of its time."""

from app.engine.counted_flow import counting_flow
from app.flows.votes import VOTES
from tables.vote_counts import vote_counts

flow = counting_flow(VOTES, vote_counts)
count_votes = flow.agent("count_votes")
