"""What is known of many lines in a few numbers: `reduce`, stores, `run`, the page, the web face and `check` tell the same ones. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from app.domain.records import Delivery

__all__ = ["Judged", "Totals", "judged"]

Name = TypeVar("Name")
Judged = tuple[str, str | None, str]
"""(verdict, reason, evidence)"""


class Totals(NamedTuple):
    """Deliveries are the visible ones; sums are exact, integers of any size."""

    hits: int
    rejects: Mapping[str, int]
    """By reason."""
    judged: Mapping[Judged, int]
    """Deliveries by verdict, reason and evidence."""
    merged: int
    """Hits in the deliveries."""
    covered_bytes: int
    bytes_sent: int
    """Sum over the deliveries that know theirs."""
    settled: bool = True
    """False: hits may be on their way to their deliveries, so that nobody knows yet which will not count."""

    @property
    def deliveries(self) -> dict[str, int]:
        """By verdict."""
        return _summed((verdict, count) for (verdict, _, _), count in self.judged.items())

    @property
    def reasons(self) -> dict[tuple[str, str | None], int]:
        """Deliveries by (verdict, reason)."""
        return _summed(((verdict, reason), count) for (verdict, reason, _), count in self.judged.items())

    @property
    def complete(self) -> dict[str, int]:
        """Complete deliveries by evidence."""
        return _summed(
            (evidence, count) for (verdict, _, evidence), count in self.judged.items() if verdict == "complete"
        )

    @property
    def as_json(self) -> dict[str, Any]:
        """For programs: the web face and `check` say it alike."""
        return {
            "hits": self.hits,
            "hits_not_counted": self.not_merged,
            "rejects": dict(self.rejects),
            "deliveries": self.deliveries,
            "judged": [
                {"verdict": verdict, "reason": reason, "evidence": evidence, "deliveries": count}
                for (verdict, reason, evidence), count in sorted(self.judged.items(), key=str)
            ],
            "covered_bytes": self.covered_bytes,
            "sent_bytes": self.bytes_sent,
        }

    @property
    def not_merged(self) -> int | None:
        """Hits that are in no delivery; 0 if fewer hits are kept than were merged; None while that is not known.

        >>> Totals(9, {}, {}, 8, 0, 0).not_merged, Totals(9, {}, {}, 8, 0, 0, settled=False).not_merged
        (1, None)
        """
        return max(self.hits - self.merged, 0) if self.settled else None


def judged(delivery: Delivery) -> Judged:
    """What a delivery is counted by."""
    return delivery.verdict, delivery.reason, delivery.evidence


def _summed(counts: Iterable[tuple[Name, int]]) -> dict[Name, int]:
    sums: dict[Name, int] = {}
    for name, count in counts:
        sums[name] = sums.get(name, 0) + count
    return sums
