"""One run of the engine: events in, the state stored before anybody is told, notices out.

A notice stands in the stored state before it is delivered, and goes when its channel has it. A run that is killed between these two offers it again
under the same id: the file and the topic have it once, a webhook and an Alertmanager know it by its id or its labels.
"""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from app.alerts.channels import AlertmanagerChannel, Channel, NoticeRefused
from app.alerts.engine import Engine
from app.alerts.rules import AlertRules
from app.alerts.sources import TakenEvent
from app.alerts.state import EngineState, read_state, write_state
from app.domain.alerts.lifecycle import Notice
from app.errors import SettingsError, WeblogsError
from app.process.crash_points import crash_point
from app.words import waiting_text

__all__ = ["OUTBOX_AT_MOST", "AlertRun"]

log = logging.getLogger("app.alerts.run")
OUTBOX_AT_MOST = 10_000
"""Notices that wait for a channel; the oldest go first, and are counted."""
_SAVED_EACH_S = 10.0
_KEEP_EACH_S = 60.0
_FIRST_S = 1_000_000_000.0
"""In 2001: no record is older, but a machine without a clock begins in 1970."""


class AlertRun:
    """A context manager: one process at a time has the state. Blocking; one thread.

    Raises SettingsError if another process has the state, InputError and UnknownForm.
    """

    def __init__(self, rules: AlertRules, state: Path, channels: Sequence[Channel]) -> None:
        self._path, self._channels = state, channels
        self._lock = _locked(state)
        try:
            self._engine = Engine(rules, read_state(state))
        except BaseException:
            self._lock.close()
            raise
        self._saved = time.monotonic()
        self._kept = 0.0
        self.ahead = 0
        """Events whose time lies in the future of everybody else, or before 2001: a clock is wrong."""

    @property
    def state(self) -> EngineState:
        return self._engine.state

    def __enter__(self) -> AlertRun:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def take(self, taken: TakenEvent) -> None:
        """Look at an event. Raises OutputError."""
        if not min(_FIRST_S, taken.known_s) <= taken.event.time <= taken.known_s + self._engine.rules.lateness_s:
            self.ahead += 1  # its number is not missing, but it must not move event time
            taken = taken._replace(event=taken.event._replace(time=taken.known_s))
        self._put(self._engine.see(taken.event))
        if taken.next_offset is not None:
            self.state.places[taken.partition] = taken.next_offset
        if time.monotonic() - self._saved >= _SAVED_EACH_S:
            self.settle()

    def take_all(self, events: Iterable[TakenEvent]) -> None:
        for taken in events:
            self.take(taken)

    def advance(self, until: float) -> None:
        """Event time has come to here."""
        self._put(self._engine.advance(until))

    def settle(self) -> None:
        """Store the state, deliver, and store what was delivered. Raises OutputError."""
        write_state(self._path, self.state)
        crash_point("alerts_stored")
        if any(self.state.outbox.values()):
            for channel in self._channels:
                self._deliver(channel)
            crash_point("alerts_delivered")
            write_state(self._path, self.state)
        self._saved = time.monotonic()

    def keep(self) -> None:
        """Say again to an Alertmanager what fires."""
        if time.monotonic() - self._kept < _KEEP_EACH_S:
            return
        self._kept = time.monotonic()
        firing = [(rule, series, one.alert) for rule, series, one in self._engine.firing if one.alert.told is not None]
        for channel in self._channels:
            if isinstance(channel, AlertmanagerChannel):
                try:
                    channel.keep(firing)
                except (OSError, WeblogsError) as error:
                    log.warning("%s", error)

    def _put(self, notices: list[Notice]) -> None:
        for notice in notices:
            for channel in self._channels:
                waiting = self.state.outbox.setdefault(channel.name, [])
                waiting.append(notice)
                if len(waiting) > OUTBOX_AT_MOST:
                    del waiting[0]
                    self.state.undelivered += 1

    def _deliver(self, channel: Channel) -> None:
        waiting = self.state.outbox.get(channel.name, [])
        done = 0
        try:
            for notice in waiting:
                try:
                    channel.deliver(notice)
                except NoticeRefused as error:
                    log.error("%s", error)
                    self.state.undelivered += 1
                done += 1
        except (OSError, WeblogsError) as error:
            log.warning("%s for the %s: %s", waiting_text(len(waiting) - done, "notice"), channel.name, error)
        del waiting[:done]


def _locked(state: Path) -> BinaryIO:
    """The system gives the lock back when the process ends, however it ends."""
    state.parent.mkdir(parents=True, exist_ok=True)
    lock = state.with_name(f"{state.name}.lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise SettingsError(f"another process has the state {state}: stop it first, or name another --state") from None
    return lock
