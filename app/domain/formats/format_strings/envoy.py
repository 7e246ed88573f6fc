"""Envoy: the text or the JSON of an access log's format, made of %COMMAND_OPERATORS%."""

from __future__ import annotations

import re

from app.domain.formats.format_strings.words import (
    COLUMN,
    TEXT_COLUMN,
    Ended,
    Literal,
    Piece,
    Role,
    Variable,
    Word,
    body_bytes,
    cut,
    request_header,
    response_header,
)

__all__ = ["NAMED", "WORDS", "pieces"]

WORDS = {
    "START_TIME": Word(Role.TIME, clock="iso"),
    "DOWNSTREAM_REMOTE_ADDRESS": Word(Role.CLIENT, rank=1),
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": Word(Role.CLIENT),
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS": Word(Role.CLIENT, rank=3),
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT": Word(Role.CLIENT, rank=2),
    "PROTOCOL": Word(Role.PROTOCOL),
    "RESPONSE_CODE": Word(Role.STATUS),
    "BYTES_SENT": body_bytes(),
    "DOWNSTREAM_WIRE_BYTES_SENT": COLUMN,
    "RESPONSE_FLAGS": Word(Role.ENDED, ended=Ended.FLAGS),
    "RESPONSE_FLAGS_LONG": Word(Role.ENDED, ended=Ended.FLAGS, rank=1),
    "DURATION": Word(Role.DURATION, per_s=1000),
    "RESPONSE_CODE_DETAILS": TEXT_COLUMN,
    "CONNECTION_TERMINATION_DETAILS": TEXT_COLUMN,
    "UPSTREAM_TRANSPORT_FAILURE_REASON": TEXT_COLUMN,
    "DYNAMIC_METADATA": TEXT_COLUMN,
    "FILTER_STATE": TEXT_COLUMN,
    **dict.fromkeys(
        (
            "BYTES_RECEIVED", "REQUEST_DURATION", "RESPONSE_DURATION", "RESPONSE_TX_DURATION", "UPSTREAM_HOST",
            "UPSTREAM_CLUSTER", "UPSTREAM_CLUSTER_RAW", "UPSTREAM_LOCAL_ADDRESS", "UPSTREAM_REMOTE_ADDRESS", "DOWNSTREAM_LOCAL_ADDRESS", "ROUTE_NAME",
            "REQUESTED_SERVER_NAME", "DOWNSTREAM_TLS_VERSION", "DOWNSTREAM_TLS_CIPHER", "CONNECTION_ID", "HOSTNAME", "STREAM_ID",
            "UPSTREAM_WIRE_BYTES_SENT", "UPSTREAM_WIRE_BYTES_RECEIVED", "DOWNSTREAM_WIRE_BYTES_RECEIVED",
            "VIRTUAL_CLUSTER_NAME", "UPSTREAM_REQUEST_ATTEMPT_COUNT", "GRPC_STATUS", "TRACE_ID", "DOWNSTREAM_LOCAL_PORT",
            "DOWNSTREAM_REMOTE_PORT", "DOWNSTREAM_HEADER_BYTES_SENT", "DOWNSTREAM_HEADER_BYTES_RECEIVED", "ROUNDTRIP_DURATION",
        ),
        COLUMN,
    ),
}  # fmt: skip
"""Operator to its meaning. Headers are no words of the server."""

_REQUEST = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
)
_BYTES = (
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"'
)
NAMED = {
    "default": _REQUEST + _BYTES,
    "istio": (
        _REQUEST
        + '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" '
        + _BYTES
        + " %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS%"
        " %REQUESTED_SERVER_NAME% %ROUTE_NAME%"
    ),
}
"""The formats that the server, and Istio's, write where none is configured."""

_ITEM = re.compile(r"%(?:(%)|([A-Z][A-Z0-9_]+)(?:\(([^)]*)\))?(?::[0-9]+)?%)")
_PSEUDO = {
    ":method": Word(Role.METHOD),
    ":path": Word(Role.TARGET),
    ":authority": Word(Role.VIRTUAL_HOST),
    "x-envoy-original-path": Word(Role.TARGET),
}


def _word(operator: str, argument: str | None) -> tuple[Word, bool]:
    if operator == "REQ" and argument is not None:
        for name in argument.lower().split("?"):
            if name in _PSEUDO:
                return _PSEUDO[name], True
        return request_header(argument.split("?")[0]), True
    if operator in ("RESP", "TRAILER") and argument is not None:
        return response_header(argument.split("?")[0]) if operator == "RESP" else TEXT_COLUMN, True
    if operator == "START_TIME" and argument:
        return Word(Role.DATE, date=argument), True
    word = WORDS.get(operator)
    return (TEXT_COLUMN, False) if word is None else (word, True)


def pieces(text: str) -> list[Piece]:
    """The pieces of a text.

    >>> [piece.name for piece in pieces('%REQ(:METHOD)% %BYTES_SENT%') if isinstance(piece, Variable)]
    ['%REQ(:METHOD)%', '%BYTES_SENT%']
    """
    return cut(
        text, _ITEM, lambda found: [Literal("%") if found[1] else Variable(found[0], *_word(found[2], found[3]))]
    )
