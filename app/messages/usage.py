"""Messages of the topic `usage`: `[form, [record, …]]`, each record a list of its fields in order. `app.usage` writes them."""

from __future__ import annotations

import json
from collections.abc import Callable

from app.domain.usage.records import USAGE, UsageRecord, record_of
from app.flows.usage import USAGE_TOPIC
from app.messages.forms import FormDecoders

__all__ = ["decode_usage"]


def _decoder(form: int) -> Callable[[bytes], list[UsageRecord]]:
    def decode(value: bytes) -> list[UsageRecord]:
        _, rows = json.loads(value)
        return [record_of(row, form) for row in rows]

    return decode


_decoders = FormDecoders(USAGE_TOPIC, {form: _decoder(form) for form in range(1, USAGE.form + 1)})
decode_usage = _decoders.decode
"""Raises UnknownForm and DamagedMessage. Checksums are not looked at."""
