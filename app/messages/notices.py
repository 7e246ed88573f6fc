"""Messages of the topic `usage_notices`: `[form, [notice, …]]`, each notice a list of its fields in order."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.domain.alerts.lifecycle import Notice
from app.flows.usage import NOTICES_TOPIC
from app.messages.forms import FormDecoders

__all__ = ["NOTICES_FORM", "decode_notices", "encode_notices"]

NOTICES_FORM = 1
_decode = msgspec.json.Decoder(tuple[int, list[Notice]]).decode


def encode_notices(notices: Sequence[Notice]) -> bytes:
    return msgspec.json.encode([NOTICES_FORM, notices])


decode_notices = FormDecoders(NOTICES_TOPIC, {NOTICES_FORM: lambda value: _decode(value)[1]}).decode
"""Raises UnknownForm and DamagedMessage."""
