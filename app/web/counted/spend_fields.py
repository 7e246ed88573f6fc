"""What a client posts as transactions, checked field by field. Pure: the present is an argument."""

from __future__ import annotations

from uuid import uuid4

import msgspec

from app.domain.counted import MAX_NAME_CHARS
from app.domain.times import parse_time
from app.flows.spending import MAX_CENTS, Transaction

__all__ = [
    "MAX_AHEAD_S",
    "MAX_TRANSACTIONS",
    "BadTransaction",
    "PostedTransaction",
    "read_transactions_body",
    "transaction_of",
]

MAX_TRANSACTIONS = 10_000
"""So many in one request."""
MAX_AHEAD_S = 86400.0
"""A transaction dated further ahead is refused; one of the past counts where it belongs, however old it is."""
_OLDEST = -62_135_596_800.0
"""The year 1."""


class PostedTransaction(msgspec.Struct):
    """As JSON carries it; ids may be numbers."""

    user_id: str | int | None = None
    cents: int | None = None
    transaction_id: str | int | None = None
    time: float | str | None = None


class BadTransaction(Exception):
    """Why a transaction is refused, for the client."""


_decode = msgspec.json.Decoder(list[PostedTransaction] | PostedTransaction).decode


def read_transactions_body(body: bytes) -> list[PostedTransaction]:
    """From JSON: one, or a list. Raises BadTransaction."""
    try:
        found = _decode(body)
    except msgspec.ValidationError as error:
        raise BadTransaction(f"The body is neither a transaction nor a list of them: {error}.") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadTransaction(f"The body is no JSON: {error}.") from None
    if not isinstance(found, list):
        return [found]
    if not 0 < len(found) <= MAX_TRANSACTIONS:
        raise BadTransaction(f"{len(found)} transactions in one request; send 1 to {MAX_TRANSACTIONS}.")
    return found


def transaction_of(posted: PostedTransaction, now: float) -> Transaction:
    """With its id and time. Raises BadTransaction."""
    if posted.user_id is None:
        raise BadTransaction("user_id is required!")
    if posted.cents is None:
        raise BadTransaction("cents is required!")
    if abs(posted.cents) > MAX_CENTS:
        raise BadTransaction(f"cents is {posted.cents}; at most {MAX_CENTS} are taken.")
    user_id = _name("user_id", posted.user_id)
    transaction_id = uuid4().hex if posted.transaction_id is None else _name("transaction_id", posted.transaction_id)
    return Transaction(transaction_id, user_id, now if posted.time is None else _time(posted.time, now), posted.cents)


def _name(field: str, value: str | int) -> str:
    text = str(value)
    if not 0 < len(text) <= MAX_NAME_CHARS:
        raise BadTransaction(f"{field} has {len(text)} characters; 1 to {MAX_NAME_CHARS} are taken.")
    return text


def _time(value: float | str, now: float) -> float:
    if isinstance(value, str):
        try:
            value = parse_time(value, now)
        except ValueError as error:
            raise BadTransaction(f"time: {error}.") from None
    if not _OLDEST <= value <= now + MAX_AHEAD_S:
        raise BadTransaction(
            f"time is {value:g}: from the year 1 to a day ahead of the server's clock is taken, in seconds since 1970."
        )
    return float(value)
