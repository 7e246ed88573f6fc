"""How votes, payments and their sums stand in rows of Cassandra, and back."""

from __future__ import annotations

import math
from typing import Any
from zlib import crc32

from app.domain.events import Sum, Transaction, Vote, candidate_and_kiosk
from app.stores.cassandra.rows import COLUMN_BYTES, Row
from app.stores.cassandra.values import bigint, double, int32, text, text_of, varint
from app.stores.ledger_contract import SHORT_DAYS

__all__ = [
    "SHARDS",
    "bounds",
    "count_of",
    "days",
    "name_row",
    "spend_sum_of",
    "spend_sum_rows",
    "transaction_of",
    "transaction_row",
    "vote_row",
    "vote_sum_of",
    "vote_sum_row",
]

SHARDS = 16
"""Partitions that hold the totals of all users."""
_DAY_S = 86400
_FIRST, _LAST = -(1 << 62), (1 << 62)
_FOR_EVER, _SHORT = int32(0), int32(int(SHORT_DAYS * _DAY_S))
"""Times to live."""


def _text(value: str | None) -> bytes | None:
    return None if value is None else text(value)


def _shard(user_id: str) -> int:
    return crc32(user_id.encode("utf-8", "surrogatepass")) % SHARDS


def name_row(kind: str, one: str, name: str, number: int) -> Row:
    """Of the `number`-th record of a call."""
    return _row("ledger_name", [text(kind), text(one), text(name)], number)


def vote_row(vote: Vote, stamp: bytes, ttl: bytes, number: int) -> Row:
    texts = [_text(vote.kiosk_id), _text(vote.user_id), _text(vote.opinion)]
    return _row(
        "ledger_vote", [text(vote.vote_id), bigint(vote.candidate_id), double(vote.time), *texts, stamp, ttl], number
    )


def transaction_row(each: Transaction, stamp: bytes, ttl: bytes, number: int) -> Row:
    values = [text(each.transaction_id), text(each.user_id), double(each.time), bigint(each.cents), stamp, ttl]
    return _row("ledger_transaction", values, number)


def vote_sum_row(each: Sum, ttl: bytes, number: int) -> Row:
    """Sums by kiosk have a table of their own; totals live for ever, counts by second for two days."""
    day = bigint(each.start // _DAY_S)
    place = [int32(each.partition), bigint(each.share), bigint(each.events), bigint(each.repeats), bigint(each.version)]
    if each.resolution == "kiosk":
        candidate_id, kiosk_id = candidate_and_kiosk(each.group)
        return _row(
            "ledger_count", [bigint(candidate_id), day, bigint(each.start), text(kiosk_id), *place, ttl], number
        )
    ttl = {"total": _FOR_EVER, "second": _SHORT}.get(each.resolution, ttl)
    return _row(
        "ledger_vote_sum", [text(each.resolution), day, bigint(each.start), text(each.group), *place, ttl], number
    )


def spend_sum_rows(each: Sum, ttl: bytes, number: int) -> list[Row]:
    """A total stands once more among those of all users."""
    total = each.resolution == "total"
    user, place = text(each.group), [int32(each.partition), bigint(each.share)]
    known, end = [varint(each.amount), bigint(each.events)], [bigint(each.version), _FOR_EVER if total else ttl]
    values = [user, text(each.resolution), bigint(each.start), *place, *known, bigint(each.repeats), *end]
    rows = [_row("ledger_spend_sum", values, number)]
    if total:
        rows.append(_row("ledger_spend_user", [int32(_shard(each.group)), user, *place, *known, *end], number))
    return rows


def _row(statement: str, values: list[Any], record: int) -> Row:
    return Row(statement, values, COLUMN_BYTES * len(values) + sum(len(value) for value in values if value), record)


def bounds(begin: float, end: float) -> tuple[int, int]:
    """As whole seconds that a bucket may start at."""
    return max(_FIRST, math.ceil(begin)), min(_LAST, math.ceil(end))


def days(first: int, last: int) -> range:
    return range(first // _DAY_S, (last - 1) // _DAY_S + 1) if first < last else range(0)


def count_of(row: tuple) -> Sum:
    candidate_id, _, start, kiosk_id, partition, share, votes, repeats = row
    return Sum("kiosk", f"{candidate_id}/{text_of(kiosk_id)}", start, partition, share, votes, 0, repeats)


def vote_sum_of(row: tuple) -> Sum:
    resolution, _, start, candidate_id, partition, share, votes, repeats = row
    return Sum(resolution, candidate_id, start, partition, share, votes, 0, repeats)


def spend_sum_of(row: tuple) -> Sum:
    user_id, resolution, start, partition, share, cents, transactions, repeats = row
    return Sum(resolution, text_of(user_id), start, partition, share, transactions, int(cents), repeats)


def transaction_of(row: tuple) -> Transaction:
    return Transaction(text_of(row[0]), text_of(row[1]), *row[2:4])
