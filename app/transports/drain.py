"""Whether everything that was sent has passed through the flow to the stores."""

from __future__ import annotations

from collections.abc import Sequence

from app.flows.registry import DRAINED
from app.transports.broker_view import GroupView

__all__ = ["Drain"]


class Drain:
    """Counts down to the moment when all is through that the log holds when this is made.

    The worker's ticks go on being sent, so that the lag of all groups may never be 0 in one look. Therefore stage by stage: what
    stands in a stage must be consumed by every group that reads it; then what stands in the next, where its outcome is, and so on.
    """

    def __init__(self, log: GroupView, stages: Sequence[Sequence[str]] = DRAINED) -> None:
        self._log = log
        self._stages = [set(stage) for stage in stages]
        self._goals: dict[tuple[str, int], int] = {}
        """(topic, partition) of the first stage left -> the offset to be reached; empty where it is not entered yet"""

    def waiting(self) -> int:
        """Messages of the present stage that some group has not consumed; 0 at the end of the last one, for good.

        A topic that no group reads (the worker has not come so far yet) counts as one message.
        """
        groups = self._log.groups()
        unread = set().union(*self._stages).difference(*groups.values()) if self._stages else set()
        if unread:
            return len(unread)
        while self._stages:
            if not self._goals:
                self._goals = {key: end for key, end in self._log.ends().items() if key[0] in self._stages[0]}
            left = sum(self._left(group, topics) for group, topics in groups.items())
            if left:
                return left
            self._stages.pop(0)
            self._goals = {}
        return 0

    def _left(self, group: str, topics: Sequence[str]) -> int:
        committed = self._log.committed(group)
        return sum(max(0, goal - committed.get(key, 0)) for key, goal in self._goals.items() if key[0] in topics)
