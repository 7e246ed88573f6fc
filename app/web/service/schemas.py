"""JSON schemas of what is posted and answered; those of records derive from the tables of their fields."""

from __future__ import annotations

import re
from typing import Any

from app.domain.counted import MAX_NAME_CHARS
from app.domain.fields import DELIVERY, HIT, KEY, REJECT, Field, Kind, Table
from app.domain.usage.records import USAGE
from app.flows.spending import MAX_CENTS
from app.flows.votes import MAX_ID, MAX_OPINION_CHARS

__all__ = [
    "BEARER",
    "COUNT",
    "HASH",
    "HTML",
    "ID",
    "INTEGER",
    "NAME",
    "POSTED_VOTE",
    "SAID_TIME",
    "SCHEMAS",
    "STATISTICS",
    "TEXT",
    "TIME",
    "Json",
    "list_of",
    "object_of",
    "or_null",
    "record_schema",
]

Json = dict[str, Any]

_LINK = re.compile(r"\[([^]]+)\]\([^)]*\)")
_RANGE: Json = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
_KINDS: dict[Kind, Json] = {
    Kind.TEXT: {"type": "string"},
    Kind.INTEGER: {"type": "integer"},
    Kind.SMALL: {"type": "integer"},
    Kind.VERSION: {"type": "integer", "minimum": 0},
    Kind.TIME: {"type": "number"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.RANGES: {"type": "array", "items": _RANGE},
    Kind.WORDS: {"type": "array", "items": {"type": "string"}},
    Kind.SHORT_IDS: {"type": "array", "items": {"type": "string", "pattern": "^[0-9a-f]{16}$"}},
    Kind.RAW_ID: {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    Kind.TEXTS: {"type": "object", "additionalProperties": {"type": "string"}},
}


def object_of(required: Json, optional: Json | None = None) -> Json:
    return {"type": "object", "required": sorted(required), "properties": {**required, **(optional or {})}}


def list_of(of: Json, **bounds: int) -> Json:
    return {"type": "array", "items": of, **bounds}


def or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _field(field: Field) -> Json:
    may_be_null = field.optional or field.kind is Kind.TIME  # JSON has no infinity
    schema = or_null(_KINDS[field.kind]) if may_be_null else _KINDS[field.kind]
    says = _LINK.sub(r"\1", field.what)
    return {**schema, "description": f"{says} ({field.unit})" if field.unit else says}


def record_schema(table: Table, more: Json | None = None, optional: Json | None = None) -> Json:
    """The record as `_asdict` gives it, beside `more` fields; nothing else."""
    fields = {field.name: _field(field) for field in table.fields}
    return {**object_of({**fields, **(more or {})}, optional), "additionalProperties": False}


INTEGER: Json = {"type": "integer"}
COUNT: Json = {"type": "integer", "minimum": 0}
TEXT: Json = {"type": "string"}
NAME: Json = {"type": "string", "maxLength": MAX_NAME_CHARS}
ID: Json = {"type": "integer", "minimum": 0, "maximum": MAX_ID}
TIME: Json = {
    "type": "string",
    "anyOf": [{"format": "date-time"}, {"pattern": "^(now|[0-9]{1,10}|-([0-9]{1,4}h)?([0-9]{1,4}m)?[0-9]{1,4}s)$"}],
    "description": "ISO 8601 with a zone, seconds since 1970, now, or a span ago as in -2h30m.",
}
SAID_TIME: Json = {"type": "string", "description": "ISO 8601, UTC."}
_ANY_ID: Json = {"anyOf": [NAME, INTEGER, {"type": "null"}]}
BEARER: list[Json] = [{"token": []}]
HASH: Json = {"type": "string", "pattern": "^[0-9a-fA-F]{32}$"}
HTML: Json = {"text/html": {"schema": TEXT}}


POSTED_VOTE = object_of(
    {"candidate_id": {**ID, "description": "Who is voted for: one of GET /candidates/."}},
    {
        "opinion": or_null({"type": "string", "maxLength": MAX_OPINION_CHARS}),
        "user_id": _ANY_ID,
        "kiosk_id": _ANY_ID,
        "vote_id": {**_ANY_ID, "description": "Sent again under the same id a vote counts once."},
        "vote_time": {"anyOf": [{"type": "number"}, TIME, {"type": "null"}]},
    },
)
_POSTED_TRANSACTION = object_of(
    {
        "user_id": {"anyOf": [{**NAME, "minLength": 1}, INTEGER]},
        "cents": {"type": "integer", "minimum": -MAX_CENTS, "maximum": MAX_CENTS},
    },
    {"transaction_id": _ANY_ID, "time": {"anyOf": [{"type": "number"}, TIME, {"type": "null"}]}},
)
_NAMED = object_of({"id": {"anyOf": [INTEGER, NAME]}, "name": {**NAME, "minLength": 1}})
_ERROR = object_of(
    {"success": {"const": False}, "error_message": {"type": "string", "minLength": 1}},
    {
        "vote_id": TEXT,
        "transaction_ids": list_of(TEXT),
        "errors": list_of(object_of({"index": COUNT, "error_message": TEXT})),
        "keys": list_of(object_of(dict.fromkeys(KEY, TEXT))),
    },
)
_RESULT: Json = {
    "type": "array",
    "description": "First the candidates that have votes, then one object with the votes of the last ten minutes.",
    "minItems": 2,
    "maxItems": 2,
    "items": list_of(
        {
            "anyOf": [
                object_of({"candidate_id": ID, "num_vote": {"type": "integer", "minimum": 1}}),
                object_of({"total_vote_10_min": COUNT}),
            ]
        }
    ),
}
_DISTRIBUTION = object_of(
    {
        "total_vote": COUNT,
        "total_vote_10_min": COUNT,
        "repeats": COUNT,
        "candidates": list_of(object_of({"candidate_id": ID, "name": TEXT, "num_vote": COUNT})),
        "window_s": COUNT,
        "windows": list_of(object_of({"start": SAID_TIME, "end": SAID_TIME, "candidate_id": ID, "num_vote": COUNT})),
        "from": or_null(SAID_TIME),
        "to": or_null(SAID_TIME),
        "last_update_time": SAID_TIME,
        "age_s": {"type": "number", "minimum": 0},
        "expires": SAID_TIME,
    }
)
_DELIVERY = record_schema(
    DELIVERY,
    {
        "key_hash": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "sentence": {**TEXT, "description": "The verdict with its reason, for people."},
    },
    {"contains": {"type": "boolean", "description": "Whether it holds the bytes lo to hi, if they were asked for."}},
)
_CELL: Json = {"type": ["string", "number", "null"]}
_REPORT = object_of(
    {
        "report": TEXT,
        "title": TEXT,
        "head": list_of(object_of({"name": TEXT, "value": _CELL, "part": {"type": "boolean"}})),
        "totals": {"type": "object", "additionalProperties": _CELL},
        "definitions": list_of(TEXT),
        "columns": list_of(object_of({"name": TEXT, "kind": TEXT})),
        "rows": list_of({"type": "object", "additionalProperties": _CELL}),
    }
)
SCHEMAS: Json = {
    "Delivery": _DELIVERY,
    "Hit": record_schema(HIT),
    "Reject": record_schema(REJECT),
    "Call": record_schema(USAGE),
    "Error": _ERROR,
    "PostedVote": POSTED_VOTE,
    "PostedTransaction": _POSTED_TRANSACTION,
    "Named": _NAMED,
    "Result": _RESULT,
    "Distribution": _DISTRIBUTION,
    "Report": _REPORT,
}
_JUDGED = {"verdict": TEXT, "reason": or_null(TEXT), "evidence": TEXT, "deliveries": COUNT}
_BY_NAME: Json = {"type": "object", "additionalProperties": COUNT}
NOT_READ = list_of({**TEXT, "description": "What was passed over in lines that are hits, and in how many."})
STATISTICS = object_of(
    {
        **dict.fromkeys(("hits", "covered_bytes", "sent_bytes"), COUNT),
        "hits_not_counted": or_null(COUNT),
        "not_read": NOT_READ,
        "success": {"const": True},
        "rejects": _BY_NAME,
        "deliveries": _BY_NAME,
        "judged": list_of(object_of(_JUDGED)),
    }
)
