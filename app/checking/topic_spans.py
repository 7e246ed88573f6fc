"""Which places of which sources a topic still holds: what lies elsewhere in a store came another way, or is trimmed from the topic."""

from __future__ import annotations

from bisect import bisect_right

__all__ = ["TopicSpans"]

MOST_SPANS = 300_000
Name = tuple[str, int]
"""A source and a partition."""


class TopicSpans:
    """Spans of positions, each from one message, whose lines stand in the order of their source.

    Within a span no line can be that the topic lacks; between two spans nothing is known. Beyond `most` spans all is taken for held, and
    nothing is told of any place.
    """

    def __init__(self, most: int = MOST_SPANS) -> None:
        self._most = most
        self._spans: dict[Name, list[tuple[int, int]]] = {}
        self._loose: set[Name] = set()
        self._count = 0
        self._sealed = True
        self.overflowed = False

    def add(self, source: str, partition: int, lo: int, hi: int, ordered: bool = True) -> None:
        """A message has lines of the source from `lo` to `hi`, inclusive."""
        if self.overflowed:
            return
        name = (source, partition)
        if not ordered:
            self._loose.add(name)
        spans = self._spans.setdefault(name, [])
        if spans and spans[-1][0] <= lo and hi <= spans[-1][1]:
            return
        spans.append((lo, hi))
        self._sealed = False
        self._count += 1
        if self._count > self._most:
            self._seal()
            self.overflowed = self._count > self._most
            if self.overflowed:
                self._spans.clear()

    def covers(self, source: str, partition: int, position: int) -> bool:
        """Whether a line at this place would have to be in the topic, as far as is known.

        >>> held = TopicSpans()
        >>> held.add("a", 0, 10, 20); held.add("a", 0, 40, 40)
        >>> [held.covers("a", 0, position) for position in (9, 15, 30, 40)]
        [False, True, False, True]
        """
        if self.overflowed:
            return True
        if not self._sealed:
            self._seal()
        spans = self._spans.get((source, partition))
        if spans is None:
            return False
        at = bisect_right(spans, (position, float("inf"))) - 1
        return at >= 0 and spans[at][0] <= position <= spans[at][1]

    def denies(self, source: str, partition: int, position: int) -> bool:
        """Whether a line at this place that the topic does not have cannot have been there."""
        return (
            not self.overflowed and (source, partition) not in self._loose and self.covers(source, partition, position)
        )

    def _seal(self) -> None:
        self._count = 0
        for name, spans in self._spans.items():
            joined: list[tuple[int, int]] = []
            for lo, hi in sorted(spans):
                if joined and lo <= joined[-1][1]:
                    joined[-1] = (joined[-1][0], max(joined[-1][1], hi))
                else:
                    joined.append((lo, hi))
            self._spans[name] = joined
            self._count += len(joined)
        self._sealed = True
