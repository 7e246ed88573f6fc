"""Small messages are bundled: nothing is lost, doubled or put out of order, and a bundle is bounded."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple

from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from app.engine.reading import _taken, acknowledge
from app.transports.bundles import MAX_BYTES, MAX_MESSAGES, Bundle, Bundled, InOrder, bundled


class Row(NamedTuple):
    offset: int
    value: Any


def rows(lengths: list[int | None], first: int = 0) -> list[Row]:
    return [Row(first + number, None if length is None else b"x" * length) for number, length in enumerate(lengths)]


def together(records: list[Row]) -> list[Row]:
    return bundled(
        records, lambda row: Bundled(row.offset, 1.0, row.value, ()), lambda last, bundle: last._replace(value=bundle)
    )


def apart(found: list[Row]) -> list[Row]:
    return [
        Row(each.offset, each.value)
        for row in found
        for each in (row.value if isinstance(row.value, Bundle) else [Bundled(row.offset, 1.0, row.value, ())])
    ]


LENGTHS = st.lists(
    st.one_of(st.none(), st.integers(0, 40), st.integers(MAX_BYTES - 3, MAX_BYTES + 3), st.just(MAX_BYTES // 2)),
    max_size=60,
)


@given(LENGTHS, st.integers(0, 1 << 40))
def test_what_is_bundled_is_the_same_messages_in_the_same_order_within_the_bounds(
    lengths: list[int | None], first: int
) -> None:
    records = rows(lengths, first)
    found = together(records)
    assert apart(found) == records
    for row in found:
        if isinstance(row.value, Bundle):
            assert 1 < len(row.value) <= MAX_MESSAGES
            assert sum(len(each.value or b"") for each in row.value) <= MAX_BYTES
            assert row.offset == row.value[-1].offset
    for one, other in pairwise(found):
        held, following = apart([one]), apart([other])[0]
        assert len(held) == MAX_MESSAGES or sum(len(row.value or b"") for row in [*held, following]) > MAX_BYTES


def test_many_tiny_messages_are_bundled_by_number() -> None:
    assert [len(row.value) for row in together(rows([1] * (2 * MAX_MESSAGES + 2)))] == [MAX_MESSAGES, MAX_MESSAGES, 2]


def event(offset: int, value: Any) -> Any:
    return SimpleNamespace(
        message=SimpleNamespace(partition=3, offset=offset, timestamp=5.0, value=value, headers={"a": b"b"})
    )


async def test_an_event_is_acknowledged_with_the_last_of_its_messages_only() -> None:
    bundle = event(9, Bundle([Bundled(7, 1.0, b"a", ()), Bundled(8, 2.0, None, ()), Bundled(9, 3.0, b"c", ())]))
    alone = event(10, b"d")
    taken = [*_taken(bundle), *_taken(alone)]
    assert [(one.partition, one.offset, one.timestamp, one.value) for one in taken] == [
        (3, 7, 1.0, b"a"), (3, 8, 2.0, b""), (3, 9, 3.0, b"c"), (3, 10, 5.0, b"d"),
    ]  # fmt: skip
    acked: list[Any] = []

    class Stream:
        async def ack(self, event: Any) -> None:
            acked.append(event)

    await acknowledge(Stream(), taken[:2])
    assert acked == []
    await acknowledge(Stream(), taken[2:])
    assert acked == [bundle, alone]


FAUSTS: Any = "Faust's"


class Base:
    """What a consumer of Faust's does without ours."""

    def _new_offset(self, tp: TP) -> Any:
        return FAUSTS


class Consumer(InOrder, Base):
    def __init__(self, takes_bundles: bool) -> None:
        self.app = SimpleNamespace(takes_bundles=takes_bundles, tables=SimpleNamespace(changelog_topics={"changelog"}))
        self._acked = {PLACE: [9, 12]}
        self._acked_index = {PLACE: {9, 12}}


PLACE = TP("lines", 0)


def test_what_was_acknowledged_last_is_where_to_go_on_and_is_told_once() -> None:
    consumer = Consumer(takes_bundles=True)
    assert consumer._new_offset(PLACE) == 13
    assert consumer._new_offset(PLACE) is None
    assert Consumer(takes_bundles=False)._new_offset(PLACE) == FAUSTS
