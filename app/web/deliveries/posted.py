"""The body of a POST as messages of the topic `weblogs`: whole lines, with ids where the client gave a key."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from io import BytesIO

from app.domain import formats
from app.domain.formats import detection
from app.domain.formats.base import AUTO, Format, FormatOptions
from app.messages.headers import HEADERS_FORM, Headers
from app.messages.origins import Lines
from app.settings import Settings
from app.sources.files.chunks import Chunk, chunks
from app.sources.files.plain_lines import with_plain_lines
from app.sources.files.read_options import format_options
from app.sources.identity.heads import HeadRule, head_rule, text_of
from app.steps.tokenizer import Tokenizer

__all__ = ["FIRST_LINES", "FirstLines", "posted_values", "source_of_key"]

FIRST_LINES = 50
"""So many lines of a body are looked at for its answer: they take about a millisecond."""
_FIRST_BYTES = 64 << 10

_LINES_TO_DETECT_BY = 1000
_BYTES_TO_DETECT_BY = 1 << 20


def source_of_key(key: str) -> str:
    """The source id, 32 hex digits, of everything posted under an idempotency key.

    >>> len(source_of_key("order-1"))
    32
    """
    return blake2b(b"post:" + key.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def posted_values(body: bytes, key: str | None, settings: Settings) -> Iterator[tuple[bytes, dict[str, bytes]]]:
    """The value and the headers of each message. Positions are byte offsets in the body.

    A body that fits into one message is left for the flow to read as it reads any shipper's. Of a larger one every message
    names the format and the head lines, which stand in the first of them only.
    """
    options = format_options(settings)
    body = with_plain_lines(body)
    form = _format(body, settings.format, options) if len(body) > settings.chunk_bytes else None
    rule = head_rule(form, options) if form else HeadRule()
    if not body.endswith(b"\n"):
        body += b"\n"  # a last line without its end is a line all the same, and needs no message of its own
    given = {} if key is None else {"source": source_of_key(key).encode(), "name": _name(key)}
    for chunk in chunks(BytesIO(body), settings.chunk_bytes, settings.max_line_bytes, head_rule=rule):
        yield chunk.data, given | _headers(chunk, form, bool(given))


class FirstLines:
    """Reads the first lines of a body as the flow will read them, for who posts to be told at once what is passed over."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tokenizer = Tokenizer(
            1, settings.format, format_options(settings), max_line_bytes=settings.max_line_bytes
        )

    def unread(self, body: bytes) -> Mapping[str, int]:
        """What is passed over in the first FIRST_LINES lines that are hits: a sentence, and in how many."""
        lines = body[:_FIRST_BYTES].split(b"\n", FIRST_LINES)
        first = b"\n".join(lines[:FIRST_LINES] if len(body) <= _FIRST_BYTES or len(lines) > FIRST_LINES else lines[:-1])
        messages = (
            Lines("post", 0, 0, time.time(), value, headers)
            for value, headers in posted_values(first, "-", self._settings)
        )
        return self._tokenizer.tokenize(messages).unread


def _format(body: bytes, name: str, options: FormatOptions) -> Format | None:
    if name != AUTO:
        return formats.get(name)
    lines = body[:_BYTES_TO_DETECT_BY].split(b"\n", _LINES_TO_DETECT_BY)[:_LINES_TO_DETECT_BY]
    return detection.detect([text_of(line) for line in lines], options)


def _name(key: str) -> bytes:
    return b"post:" + key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").encode()


def _headers(chunk: Chunk, form: Format | None, placed: bool) -> dict[str, bytes]:
    headers = {Headers.FORM: b"%d" % HEADERS_FORM}
    if placed:
        headers[Headers.POSITION] = str(chunk.position).encode()
    if form is not None:
        headers[Headers.FORMAT] = form.name.encode()
        headers[Headers.HEAD] = "\n".join(chunk.head).encode()
    if chunk.too_long:
        headers[Headers.TOO_LONG] = str(chunk.too_long).encode()
    return headers
