"""The log of a process: numbers records in the thread of the request, and spools and sends them in threads of its own.

The request's thread makes the record, gives it its number, and appends it to a bounded queue, no more. Everything starts with the first record,
and anew after a fork: a child has a sequence of its own.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import weakref
from typing import Any

from app.domain.usage.records import fields_of
from app.usage.brokers import UsageBroker, open_broker
from app.usage.options import UsageOptions
from app.usage.sending import Keeper, Sender
from app.usage.serving import SpoolServer
from app.usage.start import Make, Start

__all__ = ["UsageLog"]

log = logging.getLogger("app.usage.log")
_STOP_S = 10.0
_KEEPING = 0.8
"""Share of the time of a stop in which the spool is tried; the rest is for sending."""


class UsageLog:
    """The usage log of a service in this process. Thread-safe.

    `broker`: another than that of the options.
    """

    def __init__(self, options: UsageOptions, broker: UsageBroker | None = None) -> None:
        self.options = options
        self._given = broker
        self._lock = threading.RLock()
        """See `Start`: a finaliser may come here while its thread has it."""
        self._running: tuple[Start, list[threading.Thread]] | None = None
        self._server: SpoolServer | None = None
        self.make: Make = self._first
        """The same as `record` with the fields of `app.domain.usage.records.Producer.record`, in two parts, as calls have them. That of
        the running start itself: nothing is asked on the way."""
        itself = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _of(itself, UsageLog.forget))
        atexit.register(lambda: _of(itself, UsageLog.stop))

    def record(self, kind: str, **fields: Any) -> int:
        """Make a record; returns its number. `fields`: those of UsageRecord beyond what names the producer."""
        return self.make(kind, fields_of(**fields), ())

    def _first(self, kind: str, fields: tuple[Any, ...], more: tuple[Any, ...]) -> int:
        """Also of one that comes to a start after its stop."""
        if sys.is_finalizing():
            return self._recorded_at_the_end(kind, fields, more)
        return self._started().record(kind, fields, more)

    def _recorded_at_the_end(self, kind: str, fields: tuple[Any, ...], more: tuple[Any, ...]) -> int:
        """Of a call that ends with the interpreter: no other thread runs any more, and who started one would wait for ever."""
        start = Start(self.options, self._first)
        seq = start.record(kind, fields, more)
        start.stop(0)
        Keeper(start, self.options).run()
        start.forget()
        return seq

    def stop(self, timeout_s: float = _STOP_S) -> bool:
        """Write the stop record, and wait until all is spooled, and sent if the broker is there. A later record begins a new sequence.

        Whether all was done in time. What was spooled and not sent is sent by the next process with this spool.
        """
        with self._lock:
            running, self._running = self._running, None
            server, self._server = self._server, None
            self.make = self._first
        if server is not None:
            server.stop()
        if running is None:
            return True
        start, threads = running
        end = time.monotonic() + timeout_s
        start.stop(timeout_s * _KEEPING)
        for thread in threads:
            thread.join(max(0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def forget(self) -> None:
        """In a child after a fork: the sequence, the spool and the threads are the parent's."""
        self._lock, self.make = threading.RLock(), self._first
        running, self._running = self._running, None
        server, self._server = self._server, None
        if running is not None:
            running[0].forget()
        if server is not None:
            server.forget()

    def _started(self) -> Start:
        with self._lock:
            if self._running is not None and not self._running[0].is_stopping:
                return self._running[0]
            start = Start(self.options, self._first)
            keeper = Keeper(start, self.options)
            sender = Sender(start, keeper, self._given or open_broker(self.options), self.options)
            threads: list[threading.Thread] = []
            before, self._running, self.make = self._running, (start, threads), start.record
            if before is not None:  # ended from outside, or begun by a finaliser in here: it closes its sequence
                before[0].stop(_STOP_S * _KEEPING)
            for name, run in (("usage log: spool", keeper.run), ("usage log: broker", sender.run)):
                thread = threading.Thread(target=run, name=name, daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the process may have no more threads; the queue is bounded
                    log.exception("Records wait in memory, and are dropped when the queue is full")
                    break
                threads.append(thread)
            if self.options.spool_port and self._server is None:
                self._server = SpoolServer(self.options)
            return start


def _of(itself: weakref.ref[UsageLog], call: Any) -> None:
    one = itself()
    if one is not None:
        call(one)
