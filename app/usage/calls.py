"""One call: a request record when it begins, one response record when it ends, whatever happens between."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from time import perf_counter_ns
from traceback import format_tb
from typing import Any, Literal

from app.domain.usage.records import ANONYMOUS, REQUEST, RESPONSE
from app.usage.log import UsageLog
from app.usage.masking import READ_AT_MOST_BYTES, Masking, text_of

__all__ = ["Call", "Calls", "Outcome"]

log = logging.getLogger("app.usage.calls")
Outcome = Literal["done", "exception", "client_gone", "timed_out", "cancelled"]
_traceparent = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?").fullmatch
_LONGEST_CHARS = 8 << 10
"""Of a user, an address, a method and a URI: what a client sends must not fill the memory, and a record must fit into a message."""


def trace_id_of(traceparent: str) -> str | None:
    """From the head of W3C Trace Context; None if it is none.

    >>> trace_id_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    '4bf92f3577b34da6a3ce929d0e0e4736'
    """
    found = _traceparent(traceparent.strip())
    return None if found is None else found[1]


class Calls:
    """Makes the records of calls. Nothing of it raises into the service: what fails is logged.

    `user_of`: who calls, from the source of a call; asked when the call begins, and again when it ends, if it said nothing before.
    """

    def __init__(self, of: UsageLog, user_of: Callable[[Any], str | None] | None = None) -> None:
        self.log, self.masking = of, Masking(of.options.secrets)
        self.plain_uris = self.masking.plain_uris
        self.keeps_bodies = of.options.body_chars > 0
        self.monitored, self.user_of = of.options.monitored, user_of
        self._told: set[str] = set()

    def is_monitored(self, method: str, uri: str | bytes) -> bool:
        """A fault in what the service says of it costs no record; the log names each kind of fault once."""
        try:
            return self.monitored is not None and bool(self.monitored(method, text_of(uri)))
        except Exception as error:
            self.tell("A call counts as not monitored", error)
            return False

    def tell(self, what: str, fault: Exception) -> None:
        """Once for each kind of fault; where, but not in its own words: they may quote the call, with its secrets."""
        if (told := f"{what}: {type(fault).__name__}") not in self._told:
            self._told.add(told)
            log.error("%s\n%s", told, "".join(format_tb(fault.__traceback__)).rstrip())

    def user(self, source: Any) -> str | None:
        """None or empty: unknown."""
        if self.user_of is None:
            return None
        try:
            user = self.user_of(source)
            return None if user is None else str(user)[:_LONGEST_CHARS]
        except Exception:  # what the service says of its users must not break its answers
            return None


class Call:
    """A call under way. Bytes are counted, not held; of a body only what is asked for."""

    __slots__ = (
        "_body", "_calls", "_since", "_source",
        "content_type", "fields", "has_ended", "request_bytes", "response_bytes", "seq",
    )  # fmt: skip
    _body: bytearray | None
    _calls: Calls
    _since: int
    _source: Any
    content_type: str
    """Only if bodies are kept."""
    fields: tuple[Any, ...]
    """Those of UsageRecord from `user_id` to `monitored`."""
    has_ended: bool
    request_bytes: int
    response_bytes: int
    seq: int | None

    def begin(
        self,
        calls: Calls,
        source: Any,
        method: str,
        uri: str | bytes,
        address: str | None = None,
        traceparent: str | None = None,
        content_type: str = "",
    ) -> Call:
        """The request record is made here. `source`: what `user_of` takes. Not `__init__`: Python would call that from C, which costs more."""
        self._calls, self._source = calls, source
        self._body = None
        if calls.keeps_bodies:
            self._body, self.content_type = bytearray(), content_type
        self.has_ended = False
        self.request_bytes = self.response_bytes = 0
        self._since = perf_counter_ns()
        user_of, user = calls.user_of, None
        try:  # as Calls.user, but without another call: with cold caches that costs a twentieth of all
            if user_of is not None and type(user := user_of(source)) is not str and user is not None:
                user = str(user)
        except Exception:
            user = None
        try:
            self.fields = (
                user[:_LONGEST_CHARS] if user else ANONYMOUS,
                address if address is None else address[:_LONGEST_CHARS],
                trace_id_of(traceparent) if traceparent else None,
                method[:_LONGEST_CHARS],
                calls.plain_uris.get(uri) or calls.masking.uri(uri)[:_LONGEST_CHARS],
                calls.monitored is not None and calls.is_monitored(method, uri),
            )
        except Exception as error:  # values of strange types: what is left is a record still
            calls.tell("A call is recorded without its fields", error)
            self.fields = (ANONYMOUS, None, None, None, None, False)
        try:
            make = calls.log.make
            self.seq = make(REQUEST, self.fields, ())
        except Exception as error:
            calls.tell("A request is not recorded", error)
            self.seq = None
        return self

    def __enter__(self) -> Call:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self.end("done")
        else:
            self.failed(error)

    def received(self, chunk: bytes) -> None:
        """A piece of the request's body."""
        try:
            self.request_bytes += len(chunk)
            if self._body is not None:
                self._body += chunk
                if len(self._body) > READ_AT_MOST_BYTES:
                    self._body = None
        except Exception as error:  # no bytes: who reads them may know better
            self._calls.tell("A piece of a body is not counted", error)
            self._body = None

    def end(self, outcome: Outcome, status: int | None = None, detail: str | None = None) -> None:
        """The response record is made here; a second call does nothing."""
        if self.has_ended:
            return
        self.has_ended = True
        calls, fields, source = self._calls, self.fields, self._source
        self._source = None  # it may hold this call
        try:
            if fields[0] == ANONYMOUS and (user := calls.user(source)):
                fields = (user, *fields[1:])
            body = None
            if self._body:
                body = calls.masking.body(self.content_type, bytes(self._body), calls.log.options.body_chars)
            duration_us = (perf_counter_ns() - self._since) // 1000
            answer = self.seq, status, outcome, detail, duration_us, self.request_bytes, self.response_bytes, body
            make = calls.log.make
            make(RESPONSE, fields, answer)
        except Exception as error:
            calls.tell("A response is not recorded", error)

    def failed(self, error: BaseException, status: int | None = None) -> None:
        """It ended by an exception."""
        name = type(error).__name__
        if isinstance(error, TimeoutError):
            self.end("timed_out", status, name)
        elif isinstance(error, ConnectionError | GeneratorExit):
            self.end("client_gone", status, name)
        else:
            self.end("cancelled" if name == "CancelledError" else "exception", status, name)
