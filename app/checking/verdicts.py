"""What must stand in a store under one key: judged from what the topic has, what the stored raw hits make, and what stands there.

Who knows more is right. The deliveries made from the raw hits go first, because they hold every hit, late ones after an eviction
included, and the sizes of now; where raw hits are past their retention they know less, and the topic's highest version counts;
where that is gone, too, what stands in the store stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from app.checking.digests import RecordMark, mark_of
from app.domain.deliveries import STAGE_FINAL, superseded, version
from app.domain.records import Delivery

__all__ = ["DeliveryFinding", "Latest", "judge"]


class Latest(NamedTuple):
    """The highest version of a delivery in the topic."""

    mark: RecordMark
    digests: frozenset[int]
    """Of all records of that version: sizes that changed meanwhile make several."""

    def then(self, mark: RecordMark) -> Latest:
        """With one more record."""
        if mark.version > self.mark.version:
            return Latest(mark, frozenset((mark.digest,)))
        return self if mark.version < self.mark.version else Latest(mark, self.digests | {mark.digest})


class DeliveryFinding(NamedTuple):
    """One delivery that is not as it must be."""

    kind: str
    """missing, altered, extra, split, or unsupported: nothing but the store knows it, which is no fault."""
    start: float
    why: str
    fix: Delivery | None = None
    """What to write there."""
    topic_version: int | None = None
    """What to write there stands in the topic with this version."""


Marks = Mapping[float, RecordMark]


def judge(
    stored: Marks,
    topic: Mapping[float, Latest],
    raw: Sequence[Delivery],
    topic_is_whole: bool = False,
    counts_before: bool = False,
) -> Iterator[DeliveryFinding]:
    """The findings of one key.

    `raw`: the deliveries that its stored hits make, open; `topic_is_whole`: nothing was trimmed from it; `counts_before`: versions
    count hits before the window, too, as first_touch does, which may be past their retention.
    """
    made = [(record, mark_of(record)) for record in raw]
    for record, mark in made:
        yield from _judge_made(record, mark, stored, topic, {other.window_start for other in raw}, counts_before)
    for start in sorted((stored.keys() | topic.keys()) - {record.window_start for record in raw}):
        yield from _judge_other(start, stored.get(start), topic, made, topic_is_whole)


def _judge_made(
    record: Delivery,
    made: RecordMark,
    stored: Marks,
    topic: Mapping[float, Latest],
    starts: set[float],
    counts_before: bool,
) -> Iterator[DeliveryFinding]:
    start = record.window_start
    held, latest = stored.get(start), topic.get(start)
    if latest is not None and latest.mark.sound and _goes_before(latest.mark, made):
        yield from _by_topic(start, held, latest)
        return
    others = {
        at: mark for at, mark in (*stored.items(), *((at, each.mark) for at, each in topic.items())) if mark.sound
    }
    if (held is None or held.superseded) and any(
        at not in starts and _takes_in(mark, made) for at, mark in others.items()
    ):
        return  # raw hits of it are past their retention: it begins earlier than they tell
    final = any(
        mark.final and mark.known <= made.known and _takes_in_time(made, mark) for mark in _all_sound(stored, topic)
    )
    wanted = record._replace(final=True, version=version(made.known, STAGE_FINAL)) if final else record
    if held is None:
        yield DeliveryFinding("missing", start, f"{made.hits} raw hits make it", wanted)
    elif held.superseded:
        yield DeliveryFinding("altered", start, f"hidden as superseded, though {made.hits} raw hits make it", wanted)
    elif held.fragmented and made.fragmented:
        return  # which hits are kept depends on their order
    elif held.digest == made.digest:
        ahead = held.known > made.known
        if not held.sound or (not counts_before if ahead else held.version != wanted.version):
            yield DeliveryFinding(
                "altered", start, f"version {held.version}, final or not, where {wanted.version} is right", wanted
            )
    elif held.sound and held.known > made.known:
        if latest is not None:
            yield from _by_topic(start, held, latest)
    else:
        yield DeliveryFinding(
            "altered", start, f"its content, of version {held.version}, is not what {made.hits} raw hits make", wanted
        )


def _goes_before(latest: RecordMark, made: RecordMark) -> bool:
    """Whether the topic knows more than the raw hits do."""
    return latest.known > made.known or (latest.known == made.known and latest.superseded)


def _all_sound(stored: Marks, topic: Mapping[float, Latest]) -> Iterator[RecordMark]:
    yield from (mark for mark in stored.values() if mark.sound)
    yield from (latest.mark for latest in topic.values() if latest.mark.sound)


def _takes_in_time(outer: RecordMark, inner: RecordMark) -> bool:
    return not inner.superseded and outer.first <= inner.first and inner.last <= outer.last


def _takes_in(outer: RecordMark, inner: RecordMark) -> bool:
    return not outer.superseded and outer.hits >= inner.hits and outer.first <= inner.first and inner.last <= outer.last


def _by_topic(start: float, held: RecordMark | None, latest: Latest) -> Iterator[DeliveryFinding]:
    right = latest.mark
    if held is None:
        yield DeliveryFinding("missing", start, f"the topic has version {right.version}", None, right.version)
    elif held.version < right.version:
        yield DeliveryFinding(
            "altered", start, f"version {held.version} where the topic has {right.version}", None, right.version
        )
    elif held.version == right.version:
        if not held.sound or held.superseded != right.superseded or held.digest not in latest.digests:
            yield DeliveryFinding(
                "altered",
                start,
                f"its content is not that of version {right.version} in the topic",
                None,
                right.version,
            )
    elif not held.sound or (held.digest in latest.digests and held.known > right.known):
        yield DeliveryFinding(
            "altered", start, f"version {held.version} where the topic has {right.version}", None, right.version
        )


def _judge_other(
    start: float,
    held: RecordMark | None,
    topic: Mapping[float, Latest],
    made: Sequence[tuple[Delivery, RecordMark]],
    topic_is_whole: bool,
) -> Iterator[DeliveryFinding]:
    """A delivery that the raw hits do not make at this start."""
    latest = topic.get(start)
    shown = held if held is not None and not held.superseded else None
    if shown is not None:
        by = next((record for record, mark in made if _takes_in(mark, shown)), None)
        if by is not None:
            yield _hide(start, shown, latest, by, topic_is_whole and bool(topic))
            return
    if latest is not None:
        if shown is None and any(_takes_in(mark, latest.mark) for _, mark in made if not latest.mark.superseded):
            return  # joined to another one, and hidden or never there
        yield from _by_topic(start, held, latest)
    elif shown is not None and not any(mark.first <= shown.last and shown.first <= mark.last for _, mark in made):
        if topic_is_whole and topic and shown.last >= min(each.mark.first for each in topic.values()):
            yield DeliveryFinding("extra", start, "neither the topic nor the raw hits know it")
        elif not shown.sound:
            yield DeliveryFinding(
                "altered", start, "it contradicts itself, and neither topic nor raw hits tell what is right"
            )
        elif topic_is_whole:  # else it merely outlived topic and raw hits, as it should
            yield DeliveryFinding(
                "unsupported", start, "neither the topic nor raw hits know it: of an earlier topic, or written by hand"
            )


def _hide(start: float, shown: RecordMark, latest: Latest | None, by: Delivery, removable: bool) -> DeliveryFinding:
    if latest is None and removable:
        return DeliveryFinding(
            "extra",
            start,
            f"the topic does not know it, and its time is within the delivery that starts at {by.window_start}",
        )
    if latest is not None and latest.mark.superseded and latest.mark.version > shown.version:
        return DeliveryFinding(
            "altered", start, f"visible, though superseded in version {latest.mark.version}", None, latest.mark.version
        )
    known = max(shown.known, latest.mark.known if latest is not None else 0)
    record = superseded(by._replace(window_start=start), by.window_start, known)
    return DeliveryFinding("split", start, f"its hits belong to the delivery that starts at {by.window_start}", record)
