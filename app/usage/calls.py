"""One call: a request record when it begins, one response record when it ends, whatever happens between."""

from __future__ import annotations

import logging
import re
import time
from typing import Literal

from app.domain.usage.records import ANONYMOUS, REQUEST, RESPONSE, CallFields, request_fields, response_fields
from app.usage.log import UsageLog
from app.usage.masking import READ_AT_MOST_BYTES, Masking

__all__ = ["Call", "Calls", "Outcome"]

log = logging.getLogger("app.usage.calls")
Outcome = Literal["done", "exception", "client_gone", "timed_out", "cancelled"]
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_NO_TRACE = "0" * 32
_UNKNOWN = CallFields(ANONYMOUS)


def trace_id_of(traceparent: str | None) -> str | None:
    """From the head of W3C Trace Context; None if it is missing or none.

    >>> trace_id_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    '4bf92f3577b34da6a3ce929d0e0e4736'
    """
    found = _TRACEPARENT.fullmatch(traceparent.strip()) if traceparent else None
    return None if found is None or found[1] == _NO_TRACE or found[0][:2] == "ff" else found[1]


class Calls:
    """Makes the records of calls. Nothing of it raises into the service: what fails is logged."""

    def __init__(self, of: UsageLog) -> None:
        self.log, self.masking = of, Masking(of.options.secrets)

    def begin(
        self,
        method: str,
        uri: str,
        *,
        user: str | None = None,
        address: str | None = None,
        traceparent: str | None = None,
        content_type: str = "",
    ) -> Call:
        """The request record is made here."""
        call = Call(self, content_type)
        try:
            monitored = self.log.options.monitored
            call.fields = CallFields(
                ANONYMOUS if user is None or user == "" else str(user),
                address,
                trace_id_of(traceparent),
                method,
                self.masking.uri(uri),
                monitored is not None and bool(monitored(method, uri)),
            )
            call.seq = self.log.add(REQUEST, request_fields(call.fields))
        except Exception:
            log.exception("A request is not recorded")
        return call


class Call:
    """A call under way. Bytes are counted, not held; of a body only what is asked for."""

    __slots__ = (
        "_body",
        "_calls",
        "_content_type",
        "_ended",
        "_since",
        "fields",
        "request_bytes",
        "response_bytes",
        "seq",
    )

    def __init__(self, calls: Calls, content_type: str) -> None:
        self._calls = calls
        self._content_type = content_type
        self._body: bytearray | None = bytearray() if calls.log.options.body_chars else None
        self._since = time.perf_counter_ns()
        self._ended = False
        self.fields = _UNKNOWN
        self.seq: int | None = None
        self.request_bytes = 0
        self.response_bytes = 0

    @property
    def lacks_user(self) -> bool:
        """It is under way, and nobody has said who calls."""
        return not self._ended and self.fields.user_id == ANONYMOUS

    def __enter__(self) -> Call:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self.end("done")
        else:
            self.failed(error)

    def received(self, chunk: bytes) -> None:
        """A piece of the request's body."""
        self.request_bytes += len(chunk)
        if self._body is not None:
            self._body += chunk
            if len(self._body) > READ_AT_MOST_BYTES:
                self._body = None

    def end(
        self, outcome: Outcome, status: int | None = None, detail: str | None = None, user: str | None = None
    ) -> None:
        """The response record is made here; a second call does nothing. `user`: if it became known on the way."""
        if self._ended:
            return
        self._ended = True
        try:
            options = self._calls.log.options
            body = None
            if self._body:
                body = self._calls.masking.body(self._content_type, bytes(self._body), options.body_chars)
            fields = response_fields(
                self.fields._replace(user_id=str(user)) if user else self.fields,
                self.seq,
                status,
                outcome,
                detail,
                (time.perf_counter_ns() - self._since) // 1000,
                self.request_bytes,
                self.response_bytes,
                body,
            )
            self._calls.log.add(RESPONSE, fields)
        except Exception:
            log.exception("A response is not recorded")

    def failed(self, error: BaseException, status: int | None = None) -> None:
        """It ended by an exception."""
        name = type(error).__name__
        if isinstance(error, TimeoutError):
            self.end("timed_out", status, name)
        elif isinstance(error, ConnectionError | GeneratorExit):
            self.end("client_gone", status, name)
        else:
            self.end("cancelled" if name == "CancelledError" else "exception", status, name)
