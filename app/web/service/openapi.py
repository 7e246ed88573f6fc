"""`/openapi.json`: the HTTP interface described for machines. A test holds the running worker against it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from aiohttp import web

from app.domain.counted import MAX_NAME_CHARS
from app.flows.spending import MAX_CENTS
from app.flows.votes import MAX_ID, MAX_OPINION_CHARS
from app.web.counted.spending import DEFAULT_TOP, MAX_LISTED, MAX_TOP

__all__ = ["answer_openapi", "document"]

Json = dict[str, Any]

_INTEGER: Json = {"type": "integer"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_TEXT: Json = {"type": "string"}
_NAME: Json = {"type": "string", "maxLength": MAX_NAME_CHARS}
_ID: Json = {"type": "integer", "minimum": 0, "maximum": MAX_ID}
_TIME: Json = {
    "type": "string",
    "anyOf": [{"format": "date-time"}, {"pattern": "^(now|[0-9]{1,10}|-([0-9]{1,4}h)?([0-9]{1,4}m)?[0-9]{1,4}s)$"}],
    "description": "ISO 8601 with a zone, seconds since 1970, now, or a span ago as in -2h30m.",
}
_SAID_TIME: Json = {"type": "string", "description": "ISO 8601, UTC."}
_ANY_ID: Json = {"anyOf": [_NAME, _INTEGER, {"type": "null"}]}
_BEARER: list[Json] = [{"token": []}]


def _object(required: Json, optional: Json | None = None) -> Json:
    return {"type": "object", "required": sorted(required), "properties": {**required, **(optional or {})}}


def _list(of: Json, **bounds: int) -> Json:
    return {"type": "array", "items": of, **bounds}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


_POSTED_VOTE = _object(
    {"candidate_id": {**_ID, "description": "Who is voted for: one of GET /candidates/."}},
    {
        "opinion": _or_null({"type": "string", "maxLength": MAX_OPINION_CHARS}),
        "user_id": _ANY_ID,
        "kiosk_id": _ANY_ID,
        "vote_id": {**_ANY_ID, "description": "Sent again under the same id a vote counts once."},
        "vote_time": {"anyOf": [{"type": "number"}, _TIME, {"type": "null"}]},
    },
)
_POSTED_TRANSACTION = _object(
    {
        "user_id": {"anyOf": [{**_NAME, "minLength": 1}, _INTEGER]},
        "cents": {"type": "integer", "minimum": -MAX_CENTS, "maximum": MAX_CENTS},
    },
    {"transaction_id": _ANY_ID, "time": {"anyOf": [{"type": "number"}, _TIME, {"type": "null"}]}},
)
_NAMED = _object({"id": {"anyOf": [_INTEGER, _NAME]}, "name": {**_NAME, "minLength": 1}})
_ERROR = _object(
    {"success": {"const": False}, "error_message": {"type": "string", "minLength": 1}},
    {
        "vote_id": _TEXT,
        "transaction_ids": _list(_TEXT),
        "errors": _list(_object({"index": _COUNT, "error_message": _TEXT})),
    },
)
_RESULT: Json = {
    "type": "array",
    "description": "First the candidates that have votes, then one object with the votes of the last ten minutes.",
    "minItems": 2,
    "maxItems": 2,
    "items": _list(
        {
            "anyOf": [
                _object({"candidate_id": _ID, "num_vote": {"type": "integer", "minimum": 1}}),
                _object({"total_vote_10_min": _COUNT}),
            ]
        }
    ),
}
_DISTRIBUTION = _object(
    {
        "total_vote": _COUNT,
        "total_vote_10_min": _COUNT,
        "repeats": _COUNT,
        "candidates": _list(_object({"candidate_id": _ID, "name": _TEXT, "num_vote": _COUNT})),
        "window_s": _COUNT,
        "windows": _list(_object({"start": _SAID_TIME, "end": _SAID_TIME, "candidate_id": _ID, "num_vote": _COUNT})),
        "from": _or_null(_SAID_TIME),
        "to": _or_null(_SAID_TIME),
        "last_update_time": _SAID_TIME,
        "age_s": {"type": "number", "minimum": 0},
        "expires": _SAID_TIME,
    }
)
_SCHEMAS: Json = {
    "Error": _ERROR,
    "PostedVote": _POSTED_VOTE,
    "PostedTransaction": _POSTED_TRANSACTION,
    "Named": _NAMED,
    "Result": _RESULT,
    "Distribution": _DISTRIBUTION,
}
_JUDGED = {"verdict": _TEXT, "reason": _or_null(_TEXT), "evidence": _TEXT, "deliveries": _COUNT}
_BY_NAME: Json = {"type": "object", "additionalProperties": _COUNT}
_STATISTICS = _object(
    {
        **dict.fromkeys(("hits", "hits_not_counted", "covered_bytes", "sent_bytes"), _COUNT),
        "success": {"const": True},
        "rejects": _BY_NAME,
        "deliveries": _BY_NAME,
        "judged": _list(_object(_JUDGED)),
    }
)
_SAYS = {
    400: "Something in the request is wrong; the sentence says what.",
    401: "The token is missing or wrong.",
    403: "Not allowed: another site's page, or no admin token is set.",
    404: "There is no such thing.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "Another Content-Encoding than gzip.",
    503: "The log or the store takes or tells nothing now; Retry-After says when to come again.",
}
_POSTS = (400, 403, 408, 413, 415, 503)


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _answers(schema: Json, errors: tuple[int, ...], content: Json | None = None) -> Json:
    found: Json = {"200": {"description": "As asked.", "content": content or {"application/json": {"schema": schema}}}}
    for status in errors:
        found[str(status)] = {"description": _SAYS[status], "content": {"application/json": {"schema": _ref("Error")}}}
    return found


def _get(
    summary: str, schema: Json, parameters: list[Json] | None = None, errors: tuple[int, ...] = (503,), **more: Any
) -> Json:
    return {
        "summary": summary,
        "parameters": parameters or [],
        "responses": _answers(schema, errors, more.pop("content", None)),
        **more,
    }


def _post(
    summary: str, body: Json, schema: Json, errors: tuple[int, ...] = _POSTS, form: bool = False, **more: Any
) -> Json:
    content: Json = {"application/json": {"schema": body}}
    if form:
        fields = dict.fromkeys(_POSTED_VOTE["properties"], _TEXT) | {"candidate_id": _ID}
        content["application/x-www-form-urlencoded"] = {"schema": _object({"candidate_id": _ID}, fields)}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": content},
        "responses": _answers(schema, errors),
        **more,
    }


def _query(name: str, schema: Json, says: str) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": says}


def _cached(answer: Json) -> Json:
    """With the 304 of a client that has it already."""
    answer["responses"]["304"] = {"description": "If-None-Match names the present ETag."}
    return answer


_FROM = _query("from", _TIME, "Inclusive. If it is missing: a day ago, or the beginning if to is given.")
_TO = _query("to", _TIME, "Exclusive. If it is missing: now.")
_USER: Json = {"name": "user_id", "in": "path", "required": True, "schema": {**_NAME, "minLength": 1}}
_TAKEN = _object({"success": {"const": True}, "vote_id": _TEXT})
_SPENT = {"cents": _INTEGER, "transactions": _COUNT}


def _vote_paths() -> Json:
    pictures = {
        "application/json": {"schema": _ref("Distribution")},
        "text/csv": {"schema": _TEXT},
        "image/svg+xml": {"schema": _TEXT},
        "image/png": {"schema": {"type": "string", "format": "binary"}},
    }
    form = _query("format", {"enum": ["json", "csv", "svg", "png"]}, "Else the Accept header decides.")
    many = _object({"success": {"const": True}, "votes": _COUNT, "vote_ids": _list(_TEXT)})
    candidate: Json = {
        "name": "candidate_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
    }
    return {
        "/vote/": {"post": _post("Vote.", _ref("PostedVote"), _TAKEN, form=True)},
        "/votes/": {
            "post": _post(
                "Vote many times: all are taken, or none.", _list(_ref("PostedVote"), minItems=1, maxItems=10_000), many
            )
        },
        "/vote_to_{candidate_id}": {
            "get": {
                "summary": "A page with one button.",
                "parameters": [candidate],
                "responses": {
                    status: {
                        "description": says,
                        "content": {"text/html": {"schema": _TEXT}, "application/json": {"schema": _ref("Error")}},
                    }
                    for status, says in (("200", "The page."), ("404", _SAYS[404]), ("503", _SAYS[503]))
                },
            }
        },
        "/result/": {
            "get": _cached(
                _get("Votes of each candidate that has some, and all of the last ten minutes.", _ref("Result"))
            )
        },
        "/voting_distribution": {
            "get": _cached(
                _get("Votes by window.", _ref("Distribution"), [_FROM, _TO, form], (400, 503), content=pictures)
            )
        },
        "/candidates/": {
            "get": _get("Who can be voted for.", _object({"candidates": _list(_object({"id": _ID, "name": _TEXT}))})),
            "post": _post(
                "Add candidates, or rename them.",
                {"anyOf": [_ref("Named"), _list(_ref("Named"))]},
                _object({"success": {"const": True}, "candidates": _COUNT}),
                (401, *_POSTS),
                security=_BEARER,
            ),
        },
        "/users/": {
            "get": _get(
                "Names of users.",
                _object({"users": _list(_object({"id": _TEXT, "name": _TEXT}))}),
                None,
                (401, 403, 503),
                security=_BEARER,
            ),
            "post": _post(
                "Add users, or rename them.",
                {"anyOf": [_ref("Named"), _list(_ref("Named"))]},
                _object({"success": {"const": True}, "users": _COUNT}),
                (401, *_POSTS),
                security=_BEARER,
            ),
        },
    }


def _spend_paths() -> Json:
    ids = {"transactions": _COUNT, "transaction_ids": _list(_TEXT)}
    limits = {"type": "integer", "minimum": 1}
    bounds = {"user_id": _TEXT, "from": _SAID_TIME, "to": _SAID_TIME}
    bucket = _object({"start": _SAID_TIME, "end": _SAID_TIME, **_SPENT})
    paid = _object({"transaction_id": _TEXT, "time": _SAID_TIME, "cents": _INTEGER})
    body = {"anyOf": [_ref("PostedTransaction"), _list(_ref("PostedTransaction"), minItems=1, maxItems=10_000)]}
    resolution = _query("resolution", {"enum": ["minute", "hour", "day"], "default": "hour"}, "Length of the buckets.")
    buckets = _get(
        "What a user spent, by buckets.",
        _object({**bounds, "resolution": _TEXT, "buckets": _list(bucket)}),
        [_USER, _FROM, _TO, resolution],
        (400, 503),
    )
    return {
        "/spending/": {
            "post": _post("Spend: all are taken, or none.", body, _object({"success": {"const": True}, **ids}))
        },
        "/spending/top": {
            "get": _get(
                "Who spent most.",
                _object({"top": _list(_object({"user_id": _TEXT, **_SPENT})), "last_update_time": _SAID_TIME}),
                [_query("limit", {**limits, "maximum": MAX_TOP, "default": DEFAULT_TOP}, "Number of users.")],
                (400, 503),
            )
        },
        "/spending/{user_id}/buckets": {"get": buckets},
        "/spending/{user_id}/transactions": {
            "get": _get(
                "A user's payments by time.",
                _object({**bounds, "transactions": _list(paid), "more": {"type": "boolean"}}),
                [
                    _USER,
                    _FROM,
                    _TO,
                    _query("limit", {**limits, "maximum": MAX_LISTED, "default": 1000}, "Number of payments."),
                ],
                (400, 503),
            )
        },
        "/spending/{user_id}/sum": {
            "get": _get(
                "What a user spent from a moment to another, to the cent.",
                _object({"user_id": _TEXT, "from": _or_null(_SAID_TIME), "to": _or_null(_SAID_TIME), **_SPENT}),
                [_USER, _FROM, _TO],
                (400, 503),
            )
        },
    }


def _other_paths() -> Json:
    lines = {
        "requestBody": {"required": True, "content": {"text/plain": {"schema": {"type": "string", "minLength": 1}}}}
    }
    taken = _object({"success": {"const": True}, "lines": _COUNT, "bytes": _COUNT})
    return {
        "/weblogs/": {"post": {"summary": "Send log lines.", **lines, "responses": _answers(taken, _POSTS)}},
        "/statistics/": {"get": _get("What the store holds, in numbers.", _STATISTICS)},
        "/health/": {
            "get": {
                "summary": "Whether the worker makes progress.",
                "responses": {
                    status: {
                        "description": says,
                        "content": {
                            "application/json": {
                                "schema": _object({"healthy": {"type": "boolean"}, "problems": _list(_TEXT)})
                            }
                        },
                    }
                    for status, says in (("200", "It does."), ("503", "It does not."))
                },
            }
        },
    }


@cache
def document() -> Json:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "weblogs",
            "version": "0.1.0",
            "description": "Log lines, votes and spending: what goes in, and what comes out. docs/reference/http.md says it in words.",
        },
        "paths": {**_vote_paths(), **_spend_paths(), **_other_paths()},
        "components": {"schemas": _SCHEMAS, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


@cache
def _body() -> bytes:
    return json.dumps(document()).encode()


async def answer_openapi(request: web.Request) -> web.Response:
    """The description as JSON."""
    return web.Response(body=_body(), content_type="application/json", headers={"Cache-Control": "max-age=60"})
