"""Caddy: templates of {placeholders} that name the fields of its own JSON (the transform encoder, and JSON objects)."""

from __future__ import annotations

import re

from app.domain.formats.format_strings.words import (
    COLUMN,
    TEXT_COLUMN,
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
    "ts": Word(Role.TIME, clock="any"),
    "request>remote_ip": Word(Role.CLIENT),
    "request>client_ip": Word(Role.CLIENT, rank=-1),
    "request>remote_addr": Word(Role.CLIENT, rank=1),
    "request>method": Word(Role.METHOD),
    "request>uri": Word(Role.TARGET),
    "request>proto": Word(Role.PROTOCOL),
    "status": Word(Role.STATUS),
    "size": body_bytes(),
    "duration": Word(Role.DURATION),
    "request>host": Word(Role.VIRTUAL_HOST),
    "user_id": TEXT_COLUMN,
    "msg": TEXT_COLUMN,
    **dict.fromkeys(
        (
            "level",
            "logger",
            "bytes_read",
            "request>remote_port",
            "common_log",
            "request>tls>version",
        ),
        COLUMN,
    ),
}
"""Field to its meaning. Headers are no words of the server."""

NAMED = {
    "common": '{request>remote_ip} - {user_id} [{ts}] "{request>method} {request>uri} {request>proto}" {status} {size}',
}
"""The common log, as the transform encoder is set for it."""

_PLACEHOLDER = re.compile(r"\{([a-z_]+(?:>[A-Za-z0-9_-]+)*(?:>\[[0-9]+\])?)(?::[^{}]*)?\}")


def _word(name: str) -> tuple[Word, bool]:
    name = re.sub(r">\[[0-9]+\]\Z", "", name)
    if name.startswith("request>headers>"):
        return request_header(name.rpartition(">")[2]), True
    if name.startswith("resp_headers>"):
        return response_header(name.rpartition(">")[2]), True
    return (WORDS[name], True) if name in WORDS else (TEXT_COLUMN, name.startswith("request>tls>"))


def pieces(text: str) -> list[Piece]:
    """The pieces of a text.

    >>> [piece.name for piece in pieces('{request>remote_ip} {status}') if isinstance(piece, Variable)]
    ['{request>remote_ip}', '{status}']
    """
    return cut(text, _PLACEHOLDER, lambda found: [Variable(found[0], *_word(found[1]))])
