"""The usage log: services send their calls, archive workers read them; monitored calls go to the stores at once."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Literal

from app.domain.counted import MAX_NAME_CHARS, EventField, EventKind
from app.domain.fields import Kind
from app.domain.usage.records import USAGE, UsageRecord
from app.flows.deliveries import REJECTS
from app.flows.flow import Flow, Keeping, Stage

__all__ = ["LOADED", "MONITORED", "MONITORED_TOPIC", "NOTICES_TOPIC", "USAGE_FLOW", "USAGE_TOPIC"]

USAGE_TOPIC, MONITORED_TOPIC, NOTICES_TOPIC = "usage", "usage_monitored", "usage_notices"

_KINDS: dict[Kind, Literal["text", "integer", "time", "boolean"]] = {
    Kind.TEXT: "text",
    Kind.INTEGER: "integer",
    Kind.SMALL: "integer",
    Kind.TIME: "time",
    Kind.BOOLEAN: "boolean",
}
_LONG = {"uri", "body", "detail"}
_ALWAYS_THERE = {"user_id"}

MONITORED: EventKind[UsageRecord] = EventKind(
    name="usage",
    one="call",
    many="calls",
    event=UsageRecord,
    fields=tuple(
        EventField(
            field.name,
            _KINDS[field.kind],
            -inf,
            inf if field.name in _LONG else MAX_NAME_CHARS,
            field.optional and field.name not in _ALWAYS_THERE,
        )
        for field in USAGE.fields
    ),
    id_fields=("service", "machine", "start_id", "seq"),
    group_field="user_id",
    events_table="usage_monitored",
    keeps_events="raw",
)
"""Records of monitored calls, as stores keep them: all fields of a record, read by user and time."""

LOADED = replace(MONITORED, name="usage_archive", events_table="usage_calls", keeps_events="reduced")
"""Records of all calls, as `usage load` puts archives into a store."""

USAGE_FLOW = Flow(
    name="usage",
    topics={
        USAGE_TOPIC: "Records of calls, those of a user in one partition.",
        MONITORED_TOPIC: "Those of monitored calls, on their way to the stores.",
        NOTICES_TOPIC: "What alerts told: firing and resolved.",
    },
    stages=(Stage("select_monitored", USAGE_TOPIC, (MONITORED_TOPIC, REJECTS)),),
    keepings=(Keeping("store_monitored", MONITORED_TOPIC, {MONITORED.events_table: MONITORED.keeps_events}),),
    page="/caller",
    archived=(USAGE_TOPIC,),
    told=(NOTICES_TOPIC,),
)
