"""Messages of the topics `usage` and `usage_monitored`: `[form, [record, …]]`, each record a list of its fields in order. `app.usage` writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from app.domain.usage.records import MAX_USAGE_MESSAGE_BYTES, USAGE, UsageRecord, record_of
from app.flows.usage import USAGE_TOPIC
from app.messages.forms import FormDecoders

__all__ = ["decode_usage", "encode_usage"]


def _decoder(form: int) -> Callable[[bytes], list[UsageRecord]]:
    def decode(value: bytes) -> list[UsageRecord]:
        _, rows = json.loads(value)
        return [record_of(row, form) for row in rows]

    return decode


_decoders = FormDecoders(USAGE_TOPIC, {form: _decoder(form) for form in range(1, USAGE.form + 1)})
decode_usage = _decoders.decode
"""Raises UnknownForm and DamagedMessage. Checksums are not looked at."""


def encode_usage(records: Sequence[UsageRecord]) -> list[bytes]:
    """As few messages as they fit into; none for none."""
    values: list[bytes] = []
    group: list[str] = []
    size = 0
    for record in records:
        row = json.dumps(record, separators=(",", ":"))
        if group and size + len(row) > MAX_USAGE_MESSAGE_BYTES:
            values.append(_message(group))
            group, size = [], 0
        group.append(row)
        size += len(row) + 1
    return [*values, _message(group)] if group else values


def _message(rows: Sequence[str]) -> bytes:
    return f"[{USAGE.form},[{','.join(rows)}]]".encode("ascii")
