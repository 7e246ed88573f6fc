"""What is to be reduced, and what came out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from app.domain.lines import BadAt, ReadLines
from app.domain.open_deliveries import SizeOf, no_sizes
from app.domain.records import Delivery
from app.domain.totals import Judged, Totals, judged
from app.domain.windows import Rules
from app.sources.files.orders import FILE_ORDER
from app.sources.files.read_options import ReadOptions

__all__ = ["Job", "Statistics"]

_STRETCH_BYTES = 2 << 20
"""So much of a source is read and merged at a time."""
_COLUMNS_FROM_BYTES = 8 << 20
"""Smaller inputs are read line by line: it takes less than to load what reads columns."""


class Job(NamedTuple):
    """What is to be reduced, and how."""

    paths: Sequence[str]
    read: ReadOptions = ReadOptions()
    rules: Rules = Rules()
    order: str = FILE_ORDER
    seed: int = 0
    size_of: SizeOf = no_sizes
    sweep: bool = True
    """Give deliveries out as soon as they are over, instead of all at the end."""
    on_progress: Callable[[str, int, int | None], object] = lambda path, done, size: None
    """Takes a file, the bytes consumed of it, and its bytes where they are known."""
    stretch_bytes: int = _STRETCH_BYTES
    """Lines of so many bytes are merged at a time."""
    columns_from_bytes: int = _COLUMNS_FROM_BYTES
    """Hits of inputs of this size are gathered as columns, those of others from there on."""
    on_reject: Callable[[str, BadAt], object] | None = None
    """Takes the name of a file and a line rejected there."""
    on_lines: Callable[[str, ReadLines], ReadLines] | None = None
    """Takes the id of a source and its lines, read one by one in this process; gives those that are merged."""


@dataclass
class Statistics:
    """What came out."""

    lines: int = 0
    heads: int = 0
    hits: int = 0
    counted: int = 0
    """Hits that count for a delivery, repeats included."""
    merged: int = 0
    """Distinct hits in deliveries."""
    rejects: Counter[str] = field(default_factory=Counter)
    judged: Counter[Judged] = field(default_factory=Counter)
    """Deliveries by verdict, reason and evidence."""
    covered_bytes: int = 0
    sent_bytes: int = 0
    most_open: int = 0
    seconds: float = 0.0
    unread: Counter[str] = field(default_factory=Counter)
    """What was passed over in lines that are hits: a sentence and how many lines."""
    notes: list[str] = field(default_factory=list)
    """One sentence each about how an input was read."""
    errors: list[str] = field(default_factory=list)
    """One sentence for each input that could not be read, or not to its end."""

    def count(self, delivery: Delivery) -> None:
        self.judged[judged(delivery)] += 1
        self.covered_bytes += delivery.covered_bytes
        self.sent_bytes += delivery.bytes_sent or 0
        self.merged += delivery.hits

    @property
    def totals(self) -> Totals:
        """What a store of the same lines tells, too; repeated hits are not `merged`."""
        return Totals(self.hits, self.rejects, self.judged, self.merged, self.covered_bytes, self.sent_bytes)
