"""Messages that are lists of records: `weblogs_reduced` (deliveries) and `weblogs_rejects` (rejects).

A message is `[form, [record, …]]`, each record a list of its fields in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from app.domain.fields import DELIVERY
from app.domain.records import Delivery, Reject
from app.flows.deliveries import REDUCED, REJECTS
from app.messages.forms import FormDecoders
from app.messages.splitting import MAX_MESSAGE_BYTES, split

__all__ = ["decode_deliveries", "decode_rejects", "encode_deliveries", "encode_rejects"]

DELIVERIES_FORM = 2
REJECTS_FORM = 1
_ROOM_BYTES = 16
"""For the form and the brackets."""

Record = TypeVar("Record")
_encode = msgspec.json.Encoder().encode
_decode_rows = msgspec.json.Decoder(tuple[int, list[tuple[Any, ...]]]).decode


def encode_deliveries(deliveries: Sequence[Delivery], max_bytes: int = MAX_MESSAGE_BYTES) -> list[bytes]:
    """As the values of one message, or of several in order if one would be larger than `max_bytes`."""
    return _encode_list(DELIVERIES_FORM, deliveries, max_bytes)


def encode_rejects(rejects: Sequence[Reject], max_bytes: int = MAX_MESSAGE_BYTES) -> list[bytes]:
    """As encode_deliveries; no rejects are no message."""
    return _encode_list(REJECTS_FORM, rejects, max_bytes) if rejects else []


def _encode_list(form: int, records: Sequence[object], max_bytes: int) -> list[bytes]:
    whole = _encode((form, records))
    if len(whole) <= max_bytes or len(records) < 2:
        return [whole]
    pieces = split(records, lambda record: len(_encode(record)) + 1, max_bytes - _ROOM_BYTES)
    return [_encode((form, piece)) for piece in pieces]


def _reader(make: Callable[[tuple[Any, ...]], Record]) -> Callable[[bytes], list[Record]]:
    def read(value: bytes) -> list[Record]:
        _, rows = _decode_rows(value)
        return list(map(make, rows))

    return read


def _delivery_of_form_1(fields: tuple[Any, ...]) -> Delivery:
    """Without `doubtful`."""
    return Delivery._make((*fields, DELIVERY["doubtful"].absent))


_deliveries = FormDecoders(REDUCED, {1: _reader(_delivery_of_form_1), DELIVERIES_FORM: _reader(Delivery._make)})
_rejects = FormDecoders(REJECTS, {REJECTS_FORM: _reader(Reject._make)})
decode_deliveries = _deliveries.decode
"""From a message of `weblogs_reduced`. Raises UnknownForm and DamagedMessage."""
decode_rejects = _rejects.decode
"""From a message of `weblogs_rejects`. Raises UnknownForm and DamagedMessage."""
