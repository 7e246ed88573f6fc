"""Reads the topic of progress on from where it was read to before. Blocking and thread-safe."""

from __future__ import annotations

import threading

from app.messages.forms import place_of
from app.messages.progress import GroupProgress
from app.transports.broker_view import BrokerView

__all__ = ["ProgressReader"]


class ProgressReader:
    """One reader of the topic."""

    def __init__(self, view: BrokerView, topic: str) -> None:
        self._view, self._topic = view, topic
        self._next: dict[int, int] = {}
        self._lock = threading.Lock()
        self.progress = GroupProgress()

    def refresh(self) -> GroupProgress:
        """What the topic says now. Raises LogError, and UnknownForm for a message of a newer version."""
        with self._lock:
            for partition, offset, value in self._view.read(self._topic, self._next):
                self.progress.take(value, place_of(self._topic, partition, offset))
                self._next[partition] = offset + 1
        return self.progress
