"""What a client posts as votes, checked field by field. Pure: the present and the candidates are arguments."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NamedTuple
from urllib.parse import parse_qsl
from uuid import uuid4

import msgspec

from app.domain.counted import MAX_NAME_CHARS
from app.domain.times import parse_time
from app.flows.votes import MAX_ID, MAX_OPINION_CHARS, Vote, vote_id_of

__all__ = ["MAX_VOTES", "BadVote", "Ballot", "PostedVote", "read_form", "read_vote", "read_votes_body", "vote_of"]

MAX_VOTES = 10_000
"""So many in one request."""
_FORM_FIELDS = ("candidate_id", "opinion", "user_id", "kiosk_id", "vote_id", "vote_time")


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
    """Votes cast so long ago are refused."""
    future_s: float
    """Votes dated so far ahead are still taken."""
    one_per_user: bool = False


class BadVote(Exception):
    """Why a vote is refused, for the client."""


_decode_one = msgspec.json.Decoder(PostedVote).decode
_decode_many = msgspec.json.Decoder(list[PostedVote]).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read_vote(body: bytes) -> PostedVote:
    """From a JSON body. Raises BadVote."""
    try:
        return _decode_one(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadVote(_json_problem(error)) from None


def read_votes_body(body: bytes) -> list[PostedVote]:
    """From a JSON list. Raises BadVote that names the first bad one by its number from 0."""
    try:
        found = _decode_many(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadVote(_json_problem(error, "a list of votes")) from None
    if len(found) > MAX_VOTES:
        raise BadVote(f"{len(found)} votes are too many: send at most {MAX_VOTES} at once.")
    if not found:
        raise BadVote("The list is empty; send at least one vote.")
    return found


def read_form(body: bytes) -> PostedVote:
    """From an HTML form's body: empty fields count as absent. Raises BadVote."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise BadVote("The body is no form: fields as in candidate_id=2&opinion=yes, encoded as UTF-8.") from None
    values: dict[str, Any] = {name: value for name, value in pairs if name in _FORM_FIELDS and value != ""}
    if "candidate_id" in values:
        text = values["candidate_id"].strip()
        if not (text.isascii() and text.isdigit() and len(text) <= 16):
            raise BadVote(f"candidate_id is an integer, not {text[:40]!r}.")
        values["candidate_id"] = int(text)
    return PostedVote(**values)


def _json_problem(error: Exception, what: str = "a vote") -> str:
    if isinstance(error, msgspec.ValidationError):
        return f"The body is not {what}: {error}."
    return f"The body is no JSON: {error}."


def vote_of(posted: PostedVote, ballot: Ballot) -> Vote:
    """A vote with its id and time. Raises BadVote."""
    candidate_id = posted.candidate_id
    if candidate_id is None:
        raise BadVote("candidate_id is required!")
    if candidate_id not in ballot.candidates:
        known = "" if 0 <= candidate_id <= MAX_ID else f", and ids are 0 to {MAX_ID}"
        raise BadVote(f"There is no candidate {str(candidate_id)[:40]}{known}; GET /candidates/ lists them.")
    kiosk_id, user_id, vote_id = (
        _name("kiosk_id", posted.kiosk_id),
        _name("user_id", posted.user_id),
        _name("vote_id", posted.vote_id),
    )
    if ballot.one_per_user and user_id is None:
        raise BadVote("user_id is required: every user has one vote.")
    opinion = posted.opinion
    if opinion is not None and len(opinion) > MAX_OPINION_CHARS:
        raise BadVote(f"opinion has {len(opinion)} characters; at most {MAX_OPINION_CHARS} are taken.")
    time = ballot.now if posted.vote_time is None else _time(posted.vote_time, ballot)
    if vote_id is None:
        vote_id = vote_id_of(kiosk_id, time) if kiosk_id is not None and posted.vote_time is not None else uuid4().hex
    return Vote(vote_id, candidate_id, time, kiosk_id, user_id, opinion)


def _name(field: str, value: str | int | None) -> str | None:
    if value is None or value == "":
        return None
    text = str(value)
    if len(text) > MAX_NAME_CHARS:
        raise BadVote(f"{field} has {len(text)} characters; at most {MAX_NAME_CHARS} are taken.")
    return text


def _time(value: float | str, ballot: Ballot) -> float:
    if isinstance(value, str):
        try:
            time = parse_time(value, ballot.now)
        except ValueError as error:
            raise BadVote(f"vote_time: {error}.") from None
    else:
        time = value
    if time > ballot.now + ballot.future_s:
        raise BadVote(
            f"vote_time is {time - ballot.now:.0f} s ahead of the server's clock; at most {ballot.future_s:g} s are taken."
        )
    if time < ballot.now - ballot.oldest_s:
        raise BadVote(f"vote_time is {ballot.now - time:.0f} s ago; at most {ballot.oldest_s:g} s are taken.")
    return float(time)
