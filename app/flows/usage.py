"""The usage log: services send their calls; archive workers read them, no agent does."""

from __future__ import annotations

from app.flows.flow import Flow

__all__ = ["NOTICES_TOPIC", "USAGE_FLOW", "USAGE_TOPIC"]

USAGE_TOPIC = "usage"
NOTICES_TOPIC = "usage_notices"

USAGE_FLOW = Flow(
    name="usage",
    topics={
        USAGE_TOPIC: "Records of calls, those of a user in one partition.",
        NOTICES_TOPIC: "What alerts told: firing and resolved.",
    },
    stages=(),
    keepings=(),
    page="",
    archived=(USAGE_TOPIC,),
    told=(NOTICES_TOPIC,),
)
