"""JSON schemas of records, from the tables of their fields."""

from __future__ import annotations

import re
from typing import Any

from app.domain.fields import Field, Kind, Table

__all__ = ["Json", "list_of", "object_of", "or_null", "record_schema"]

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
}


def object_of(required: Json, optional: Json | None = None) -> Json:
    return {"type": "object", "required": sorted(required), "properties": {**required, **(optional or {})}}


def list_of(of: Json, **bounds: int) -> Json:
    return {"type": "array", "items": of, **bounds}


def or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _field(field: Field) -> Json:
    schema = or_null(_KINDS[field.kind]) if field.optional else _KINDS[field.kind]
    says = _LINK.sub(r"\1", field.what)
    return {**schema, "description": f"{says} ({field.unit})" if field.unit else says}


def record_schema(table: Table, more: Json | None = None, optional: Json | None = None) -> Json:
    """The record as `_asdict` gives it, beside `more` fields; nothing else."""
    fields = {field.name: _field(field) for field in table.fields}
    return {**object_of({**fields, **(more or {})}, optional), "additionalProperties": False}
