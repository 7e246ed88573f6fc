"""What is too large for one message, in several; and text without what no message can carry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

__all__ = ["MAX_MESSAGE_BYTES", "clean", "split"]

MAX_MESSAGE_BYTES = 4 << 20
"""What the agents send is cut to messages of this size: a broker takes no batch above 8 MiB."""

Record = TypeVar("Record")


def split(records: Iterable[Record], weight: Callable[[Record], int], limit: int) -> Iterator[list[Record]]:
    """The records in order, as many at a time as weigh no more than `limit` together, at least one.

    >>> list(split([3, 1, 2, 9, 1], lambda record: record, 4))
    [[3, 1], [2], [9], [1]]
    """
    some: list[Record] = []
    total = 0
    for record in records:
        its = weight(record)
        if some and total + its > limit:
            yield some
            some, total = [], 0
        some.append(record)
        total += its
    if some:
        yield some


def clean(text: str) -> str:
    """Without lone surrogates, which no message can carry."""
    return text.encode("utf-8", "backslashreplace").decode()
