"""The usage log: services send their calls; archive workers read them, no agent does."""

from __future__ import annotations

from app.flows.flow import Flow

__all__ = ["USAGE_FLOW", "USAGE_TOPIC"]

USAGE_TOPIC = "usage"

USAGE_FLOW = Flow(
    name="usage",
    topics={USAGE_TOPIC: "Records of calls, those of a user in one partition."},
    stages=(),
    keepings=(),
    page="",
    archived=(USAGE_TOPIC,),
)
