"""`POST /vote/`, `POST /votes/` and the page with one button: votes in, an answer once they are durable."""

from __future__ import annotations

import time
from uuid import uuid4

from aiohttp import web

from app.flows.votes import VOTES
from app.web.counted.event_fields import BadEvent, Ballot, PostedVote, read_form, read_vote, read_votes_body, vote_of
from app.web.counted.posting import append, checked
from app.web.service.answers import ApiError, json_answer
from app.web.service.body import HeldBody, read_body
from app.web.service.parts import PARTS, WebParts
from app.web.service.rendering import html_answer

__all__ = ["MAX_VOTE_BYTES", "answer_vote", "answer_vote_page", "answer_votes"]

MAX_VOTE_BYTES = 64 << 10
"""Largest body of one vote."""
_FORM = "application/x-www-form-urlencoded"


async def _ballot(parts: WebParts, wanted: int | None) -> Ballot:
    own = parts.settings
    candidates = await parts.names.candidates(wanted)
    return Ballot(time.time(), candidates, own.event_horizon, own.vote_future, own.vote_one_per_user)


async def answer_vote(request: web.Request) -> web.Response:
    """One vote, as JSON or as a form: 200 once it is durable, with its id."""
    parts = request.app[PARTS]
    with HeldBody(parts.budget, MAX_VOTE_BYTES) as held:
        body = await read_body(request, held, MAX_VOTE_BYTES)
        posted = _posted(request.content_type, body)
        vote = vote_of(posted, await _ballot(parts, posted.candidate_id))
    await append(parts, VOTES, [vote], vote_id=vote.vote_id)
    if request.content_type == _FORM and "text/html" in request.headers.get("Accept", ""):
        return html_answer("message.html", 200, title="Thank you", message="Your vote is taken.")
    return json_answer({"success": True, "vote_id": vote.vote_id})


def _posted(content_type: str, body: bytes) -> PostedVote:
    if content_type == _FORM and not body.lstrip().startswith(b"{"):  # curl -d says form even of JSON
        return read_form(body)
    if not body:
        raise BadEvent("candidate_id is required!")
    return read_vote(body)


async def answer_votes(request: web.Request) -> web.Response:
    """Many votes as a JSON list: all are taken, or none."""
    parts = request.app[PARTS]
    with HeldBody(parts.budget, parts.settings.web_max_body_bytes) as held:
        body = await read_body(request, held, parts.settings.web_max_body_bytes)
        posted = read_votes_body(body)
        ballot = await _ballot(parts, None)
        if any(one.candidate_id is not None and one.candidate_id not in ballot.candidates for one in posted):
            ballot = await _ballot(parts, -1)
        votes = checked(VOTES, posted, lambda one: vote_of(one, ballot))
    await append(parts, VOTES, votes)
    return json_answer({"success": True, "votes": len(votes), "vote_ids": [vote.vote_id for vote in votes]})


async def answer_vote_page(request: web.Request) -> web.Response:
    """`/vote_to_<id>`: one button that votes for this candidate. Pressed twice it counts once."""
    parts = request.app[PARTS]
    text = request.match_info["candidate_id"]
    candidate_id = int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else -1
    candidates = await parts.names.candidates(candidate_id)
    if candidate_id not in candidates:
        raise ApiError(404, f"There is no candidate {text[:40]!r}.")
    return html_answer(
        "vote.html",
        candidate_id=candidate_id,
        name=candidates[candidate_id],
        vote_id=uuid4().hex,
        one_per_user=parts.settings.vote_one_per_user,
    )
