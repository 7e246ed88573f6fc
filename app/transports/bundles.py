"""Small messages of a partition that were fetched together go through Faust as one.

Faust takes some hundreds of microseconds for a message, whatever it holds; a shipper that sends lines one by one would pay
that for each line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

__all__ = ["MAX_BYTES", "MAX_MESSAGES", "Bundle", "Bundled", "InOrder", "bundled", "value_bytes"]

MAX_BYTES = 256 << 10
MAX_MESSAGES = 1000
R = TypeVar("R")


class Bundled(NamedTuple):
    """One message of a bundle."""

    offset: int
    timestamp: float
    """UTC seconds."""
    value: bytes | None
    headers: Any
    """As a message of the transport carries them."""


class Bundle(tuple[Bundled, ...]):
    """The value of a message that stands for several, in the order of their offsets; its offset is that of the last."""


def bundled(records: Sequence[R], single: Callable[[R], Bundled], bundle: Callable[[R, Bundle], R]) -> list[R]:
    """Records of one partition, those that are small together as one: `bundle` of the last of them and all.

    No bundle has more than MAX_BYTES or MAX_MESSAGES; a record that stands alone stays as it is.
    """
    found: list[R] = []
    first = size = 0
    for number, record in enumerate(records):
        length = len(record.value or b"")  # type: ignore[attr-defined]
        if number > first and (size + length > MAX_BYTES or number - first >= MAX_MESSAGES):
            found.append(_together(records[first:number], single, bundle))
            first, size = number, 0
        size += length
    if records:
        found.append(_together(records[first:], single, bundle))
    return found


def value_bytes(value: Any) -> int:
    """Bytes of the value of a message, or of all values of its bundle."""
    if isinstance(value, Bundle):
        return sum(len(single.value or b"") for single in value)
    return len(value or b"")


def _together(records: Sequence[R], single: Callable[[R], Bundled], bundle: Callable[[R, Bundle], R]) -> R:
    return records[0] if len(records) == 1 else bundle(records[-1], Bundle(map(single, records)))


class InOrder:
    """For a consumer of an app that takes bundles: what was acknowledged last is where to go on.

    Each of its topics has one agent, which acknowledges in order and ends the process at a hole (app.engine.reading). Faust, which
    knows nothing of that, would take the offsets within a bundle for a hole.
    """

    app: Any
    _acked: Any
    _acked_index: Any

    def _takes_bundles(self, tp: Any) -> bool:
        return getattr(self.app, "takes_bundles", False) and tp.topic not in self.app.tables.changelog_topics

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        if not self._takes_bundles(tp):
            await super()._add_gap(tp, offset_from, offset_to)  # type: ignore[misc]

    def _new_offset(self, tp: Any) -> int | None:
        if not self._takes_bundles(tp):
            return super()._new_offset(tp)  # type: ignore[misc]
        acked = self._acked[tp]
        if not acked:
            return None
        following = max(acked) + 1
        acked.clear()
        self._acked_index[tp].clear()
        return following
