"""What a client posts as votes and transactions, checked field by field. Pure: the present and the candidates are arguments."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl
from uuid import uuid4

import msgspec

from app.domain.counted import MAX_NAME_CHARS
from app.domain.times import parse_time
from app.flows.spending import MAX_CENTS, Transaction
from app.flows.votes import MAX_ID, MAX_OPINION_CHARS, Vote, vote_id_of
from app.messages.forms import UNREADABLE
from app.web.service.answers import ApiError

__all__ = [
    "MAX_AHEAD_S",
    "MAX_EVENTS",
    "BadEvent",
    "Ballot",
    "PostedTransaction",
    "PostedVote",
    "read_form",
    "read_transactions_body",
    "read_vote",
    "read_votes_body",
    "transaction_of",
    "vote_of",
]

MAX_EVENTS = 10_000
"""Events in one request at most."""
MAX_AHEAD_S = 86400.0
"""A transaction dated further ahead is refused; one of the past counts where it belongs, however old it is."""
BEGINNING = -62_135_596_800.0
"""The year 1: no event is older."""
_FORM_FIELDS = ("candidate_id", "opinion", "user_id", "kiosk_id", "vote_id", "vote_time")
T = TypeVar("T")


class BadEvent(ApiError):
    """Why a vote or transaction is refused, for the client."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message)


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes, wrong: str) -> T:
    """Of JSON; `wrong` says what a valid body of another shape is. Raises BadEvent."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise BadEvent(f"The body is {wrong}: {error}.") from None
    except UNREADABLE as error:
        raise BadEvent(f"The body is no JSON: {error}.") from None


def _name(field: str, value: str | int, least: int = 0) -> str:
    """An id as text, with at least this many characters."""
    text = str(value)
    if not least <= len(text) <= MAX_NAME_CHARS:
        taken = f"{least} to {MAX_NAME_CHARS}" if least else f"at most {MAX_NAME_CHARS}"
        raise BadEvent(f"{field} has {len(text)} characters; {taken} are taken.")
    return text


def _moment(field: str, value: float | str, now: float) -> float:
    """UTC seconds of a number or a text."""
    if not isinstance(value, str):
        return float(value)
    try:
        return parse_time(value, now)
    except ValueError as error:
        raise BadEvent(f"{field}: {error}.") from None


# -- votes


class PostedVote(msgspec.Struct):
    """As JSON carries it; ids may be numbers."""

    candidate_id: int | None = None
    opinion: str | None = None
    user_id: str | int | None = None
    kiosk_id: str | int | None = None
    vote_id: str | int | None = None
    vote_time: float | str | None = None


class Ballot(NamedTuple):
    """What votes are checked against."""

    now: float
    """The server's clock, UTC seconds."""
    candidates: Container[int]
    oldest_s: float
    """Votes cast this long ago are refused."""
    future_s: float
    """Votes dated so far ahead are still taken."""
    one_per_user: bool = False


_votes = msgspec.json.Decoder(list[PostedVote])
_vote = msgspec.json.Decoder(PostedVote)


def read_vote(body: bytes) -> PostedVote:
    """From a JSON body. Raises BadEvent."""
    return _decoded(_vote, body, "not a vote")


def read_votes_body(body: bytes) -> list[PostedVote]:
    """From a JSON list. Raises BadEvent that names the first bad one by its number from 0."""
    found = _decoded(_votes, body, "not a list of votes")
    if len(found) > MAX_EVENTS:
        raise BadEvent(f"{len(found)} votes are too many: send at most {MAX_EVENTS} at once.")
    if not found:
        raise BadEvent("The list is empty; send at least one vote.")
    return found


def read_form(body: bytes) -> PostedVote:
    """From an HTML form's body: empty fields count as absent. Raises BadEvent."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise BadEvent("The body is no form: fields as in candidate_id=2&opinion=yes, encoded as UTF-8.") from None
    values: dict[str, Any] = {name: value for name, value in pairs if name in _FORM_FIELDS and value != ""}
    if "candidate_id" in values:
        text = values["candidate_id"].strip()
        if not (text.isascii() and text.isdigit() and len(text) <= 16):
            raise BadEvent(f"candidate_id is an integer, not {text[:40]!r}.")
        values["candidate_id"] = int(text)
    return PostedVote(**values)


def vote_of(posted: PostedVote, ballot: Ballot) -> Vote:
    """A vote with its id and time. Raises BadEvent."""
    candidate_id = posted.candidate_id
    if candidate_id is None:
        raise BadEvent("candidate_id is required!")
    if candidate_id not in ballot.candidates:
        known = "" if 0 <= candidate_id <= MAX_ID else f", and ids are 0 to {MAX_ID}"
        raise BadEvent(f"There is no candidate {str(candidate_id)[:40]}{known}; GET /candidates/ lists them.")
    kiosk_id, user_id, vote_id = (
        None if value is None or value == "" else _name(field, value)
        for field, value in (
            ("kiosk_id", posted.kiosk_id),
            ("user_id", posted.user_id),
            ("vote_id", posted.vote_id),
        )
    )
    if ballot.one_per_user and user_id is None:
        raise BadEvent("user_id is required: every user has one vote.")
    opinion = posted.opinion
    if opinion is not None and len(opinion) > MAX_OPINION_CHARS:
        raise BadEvent(f"opinion has {len(opinion)} characters; at most {MAX_OPINION_CHARS} are taken.")
    time = ballot.now if posted.vote_time is None else _vote_time(posted.vote_time, ballot)
    if vote_id is None:
        vote_id = vote_id_of(kiosk_id, time) if kiosk_id is not None and posted.vote_time is not None else uuid4().hex
    return Vote(vote_id, candidate_id, time, kiosk_id, user_id, opinion)


def _vote_time(value: float | str, ballot: Ballot) -> float:
    time = _moment("vote_time", value, ballot.now)
    if time > ballot.now + ballot.future_s:
        raise BadEvent(
            f"vote_time is {time - ballot.now:.0f} s ahead of the server's clock; at most {ballot.future_s:g} s are taken."
        )
    if time < ballot.now - ballot.oldest_s:
        raise BadEvent(f"vote_time is {ballot.now - time:.0f} s ago; at most {ballot.oldest_s:g} s are taken.")
    return time


# -- transactions


class PostedTransaction(msgspec.Struct):
    """As JSON carries it; ids may be numbers."""

    user_id: str | int | None = None
    cents: int | None = None
    transaction_id: str | int | None = None
    time: float | str | None = None


_transactions = msgspec.json.Decoder(list[PostedTransaction] | PostedTransaction)


def read_transactions_body(body: bytes) -> list[PostedTransaction]:
    """From JSON: one, or a list. Raises BadEvent."""
    found = _decoded(_transactions, body, "neither a transaction nor a list of them")
    if not isinstance(found, list):
        return [found]
    if not 0 < len(found) <= MAX_EVENTS:
        raise BadEvent(f"{len(found)} transactions in one request; send 1 to {MAX_EVENTS}.")
    return found


def transaction_of(posted: PostedTransaction, now: float) -> Transaction:
    """With its id and time. Raises BadEvent."""
    if posted.user_id is None:
        raise BadEvent("user_id is required!")
    if posted.cents is None:
        raise BadEvent("cents is required!")
    if abs(posted.cents) > MAX_CENTS:
        raise BadEvent(f"cents is {posted.cents}; at most {MAX_CENTS} are taken.")
    user_id = _name("user_id", posted.user_id, 1)
    transaction_id = uuid4().hex if posted.transaction_id is None else _name("transaction_id", posted.transaction_id, 1)
    return Transaction(
        transaction_id, user_id, now if posted.time is None else _spend_time(posted.time, now), posted.cents
    )


def _spend_time(value: float | str, now: float) -> float:
    time = _moment("time", value, now)
    if not BEGINNING <= time <= now + MAX_AHEAD_S:
        raise BadEvent(
            f"time is {time:g}: from the year 1 to a day ahead of the server's clock is taken, in seconds since 1970."
        )
    return time
