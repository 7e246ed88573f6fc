"""Messages that are lists of records: `weblogs_reduced` (deliveries) and `weblogs_rejects` (rejects).

A message is `[form, [record, …]]`, each record a list of its fields in order. The forms follow from the tables of fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from app.domain.fields import DELIVERY, REJECT, Table
from app.domain.records import Delivery, Reject
from app.flows.deliveries import REDUCED, REJECTS
from app.messages.field_types import row_type
from app.messages.forms import FormDecoders
from app.messages.splitting import MAX_MESSAGE_BYTES, split

__all__ = ["decode_deliveries", "decode_rejects", "encode_deliveries", "encode_rejects"]

_ROOM_BYTES = 16
"""For the form and the brackets."""

_encode = msgspec.json.Encoder().encode


def encode_deliveries(deliveries: Sequence[Delivery]) -> list[bytes]:
    """As the values of one message, or of several in order if one would be too large."""
    return _encode_list(DELIVERY.form, deliveries)


def encode_rejects(rejects: Sequence[Reject]) -> list[bytes]:
    """As encode_deliveries; no rejects are no message."""
    return _encode_list(REJECT.form, rejects) if rejects else []


def _encode_list(form: int, records: Sequence[object]) -> list[bytes]:
    whole = _encode((form, records))
    if len(whole) <= MAX_MESSAGE_BYTES or len(records) < 2:
        return [whole]
    pieces = split(records, lambda record: len(_encode(record)) + 1, MAX_MESSAGE_BYTES - _ROOM_BYTES)
    return [_encode((form, piece)) for piece in pieces]


def _decoders(topic: str, table: Table) -> FormDecoders[list[Any]]:
    def reader(form: int) -> Callable[[bytes], list[Any]]:
        record = table.reader(form)
        rows: Any = list[row_type(table.of_form(form))]  # type: ignore[misc]
        decode = msgspec.json.Decoder(tuple[int, rows]).decode
        return lambda value: list(map(record, decode(value)[1]))

    return FormDecoders(topic, {form: reader(form) for form in range(1, table.form + 1)})


_deliveries: FormDecoders[list[Delivery]] = _decoders(REDUCED, DELIVERY)
_rejects: FormDecoders[list[Reject]] = _decoders(REJECTS, REJECT)
decode_deliveries = _deliveries.decode
"""From a message of `weblogs_reduced`. Raises UnknownForm and DamagedMessage."""
decode_rejects = _rejects.decode
"""From a message of `weblogs_rejects`. Raises UnknownForm and DamagedMessage."""
