"""`/openapi.json`: the HTTP interface described for machines. A test holds the running worker against it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from aiohttp import web

from app.domain.fields import KEY
from app.web.counted.reports import BY, REPORTS
from app.web.counted.reports import MAX_TOP as MOST_ROWS
from app.web.counted.spending import DEFAULT_TOP, MAX_LISTED, MAX_TOP
from app.web.deliveries.api import DEFAULT_LIMIT, MAX_LIMIT
from app.web.service.access import PUBLIC, READS
from app.web.service.schemas import (
    BEARER,
    COUNT,
    HASH,
    HTML,
    ID,
    INTEGER,
    NAME,
    NOT_READ,
    POSTED_VOTE,
    SAID_TIME,
    SCHEMAS,
    STATISTICS,
    TEXT,
    TIME,
    Json,
    list_of,
    object_of,
    or_null,
)
from app.web.usage.calls import DEFAULT_LISTED as DEFAULT_CALLS
from app.web.usage.calls import MAX_LISTED as MAX_CALLS
from app.words import VERDICTS

__all__ = ["answer_openapi", "document"]

_SAYS = {
    303: "Another page has it.",
    400: "Something in the request is wrong; the sentence says what.",
    401: "The token is missing or wrong.",
    403: "Not allowed: another site's page, or no admin token is set.",
    404: "There is no such thing.",
    409: "Several keys are written like this.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "Another Content-Encoding than gzip.",
    421: "The worker is not called like this.",
    503: "The log or the store takes or tells nothing now; Retry-After says when to come again.",
}
_POSTS = (400, 408, 413, 415, 503)


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _answers(schema: Json, errors: tuple[int, ...], content: Json | None = None) -> Json:
    found: Json = {"200": {"description": "As asked.", "content": content or {"application/json": {"schema": schema}}}}
    for status in errors:
        found[str(status)] = {"description": _SAYS[status], "content": {"application/json": {"schema": _ref("Error")}}}
    return found


def _page(summary: str, parameters: list[Json], errors: tuple[int, ...], status: int = 200, **more: Any) -> Json:
    """A page for people: its errors are pages, too, unless JSON is asked for."""
    both = {**HTML, "application/json": {"schema": _ref("Error")}}
    told: Json = {str(error): {"description": _SAYS[error], "content": both} for error in errors}
    told[str(status)] = (
        {"description": "The page.", "content": HTML} if status == 200 else {"description": _SAYS[status]}
    )
    return {"summary": summary, "parameters": parameters, "responses": told, "x-page": True, **more}


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
    responses = _answers(schema, errors)
    if form:
        responses["200"]["content"] |= HTML
        fields = dict.fromkeys(POSTED_VOTE["properties"], TEXT) | {"candidate_id": ID}
        content["application/x-www-form-urlencoded"] = {"schema": object_of({"candidate_id": ID}, fields)}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": content},
        "responses": responses,
        **more,
    }


def _query(name: str, schema: Json, says: str) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": says}


def _cached(answer: Json) -> Json:
    """With the 304 of a client that has it already."""
    answer["responses"]["304"] = {"description": "If-None-Match names the present ETag."}
    return answer


_FROM = _query("from", TIME, "Inclusive. If it is missing: a day ago, or the beginning if to is given.")
_TO = _query("to", TIME, "Exclusive. If it is missing: now.")
_USER: Json = {"name": "user_id", "in": "path", "required": True, "schema": {**NAME, "minLength": 1}}
_TAKEN = object_of({"success": {"const": True}, "vote_id": TEXT})
_SPENT = {"cents": INTEGER, "transactions": COUNT}


def _vote_paths() -> Json:
    pictures = {
        "application/json": {"schema": _ref("Distribution")},
        "text/csv": {"schema": TEXT},
        "image/svg+xml": {"schema": TEXT},
        "image/png": {"schema": {"type": "string", "format": "binary"}},
    }
    form = _query("format", {"enum": ["json", "csv", "svg", "png"]}, "Else the Accept header decides.")
    many = object_of({"success": {"const": True}, "votes": COUNT, "vote_ids": list_of(TEXT)})
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
                "Vote many times: all are taken, or none.",
                list_of(_ref("PostedVote"), minItems=1, maxItems=10_000),
                many,
            )
        },
        "/vote_to_{candidate_id}": {
            "get": _page("A page with one button.", [candidate], (404,)),
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
            "get": _get(
                "Who can be voted for.", object_of({"candidates": list_of(object_of({"id": ID, "name": TEXT}))})
            ),
            "post": _post(
                "Add candidates, or rename them.",
                {"anyOf": [_ref("Named"), list_of(_ref("Named"))]},
                object_of({"success": {"const": True}, "candidates": COUNT}),
                (403, *_POSTS),
                security=BEARER,
            ),
        },
        "/users/": {
            "get": _get(
                "Names of users.",
                object_of({"users": list_of(object_of({"id": TEXT, "name": TEXT}))}),
                None,
                (403, 503),
                security=BEARER,
            ),
            "post": _post(
                "Add users, or rename them.",
                {"anyOf": [_ref("Named"), list_of(_ref("Named"))]},
                object_of({"success": {"const": True}, "users": COUNT}),
                (403, *_POSTS),
                security=BEARER,
            ),
        },
    }


def _spend_paths() -> Json:
    ids = {"transactions": COUNT, "transaction_ids": list_of(TEXT)}
    limits = {"type": "integer", "minimum": 1}
    bounds = {"user_id": TEXT, "from": SAID_TIME, "to": SAID_TIME}
    bucket = object_of({"start": SAID_TIME, "end": SAID_TIME, **_SPENT})
    paid = object_of({"transaction_id": TEXT, "time": SAID_TIME, "cents": INTEGER})
    body = {"anyOf": [_ref("PostedTransaction"), list_of(_ref("PostedTransaction"), minItems=1, maxItems=10_000)]}
    resolution = _query("resolution", {"enum": ["minute", "hour", "day"], "default": "hour"}, "Length of the buckets.")
    buckets = _get(
        "What a user spent, by buckets.",
        object_of({**bounds, "resolution": TEXT, "buckets": list_of(bucket)}),
        [_USER, _FROM, _TO, resolution],
        (400, 503),
    )
    return {
        "/spending/": {
            "post": _post("Spend: all are taken, or none.", body, object_of({"success": {"const": True}, **ids}))
        },
        "/spending/top": {
            "get": _get(
                "Who spent most.",
                object_of({"top": list_of(object_of({"user_id": TEXT, **_SPENT})), "last_update_time": SAID_TIME}),
                [_query("limit", {**limits, "maximum": MAX_TOP, "default": DEFAULT_TOP}, "Number of users.")],
                (400, 503),
            )
        },
        "/spending/{user_id}": {"get": buckets},
        "/spending/{user_id}/buckets": {"get": buckets},
        "/spender": {
            "get": _page(
                "What a user spent, as a page.", [{**_query("user", TEXT, "The user."), "required": True}], (404,)
            )
        },
        "/spending/{user_id}/transactions": {
            "get": _get(
                "A user's payments by time.",
                object_of({**bounds, "transactions": list_of(paid), "more": {"type": "boolean"}}),
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
                object_of({"user_id": TEXT, "from": or_null(SAID_TIME), "to": or_null(SAID_TIME), **_SPENT}),
                [_USER, _FROM, _TO],
                (400, 503),
            )
        },
    }


def _usage_paths() -> Json:
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_CALLS, "default": DEFAULT_CALLS}
    bounds = {"user_id": TEXT, "from": SAID_TIME, "to": SAID_TIME}
    return {
        "/caller": {
            "get": _page(
                "The last monitored calls of a user, as a page.",
                [{**_query("user", TEXT, "The user."), "required": True}],
                (400, 503),
            )
        },
        "/usage/{user_id}": {
            "get": _get(
                "Records of a user's monitored calls, by time.",
                object_of({**bounds, "calls": list_of(_ref("Call")), "more": {"type": "boolean"}}),
                [_USER, _FROM, _TO, _query("limit", limit, "Number of records.")],
                (400, 503),
            )
        },
    }


def _delivery_paths() -> Json:
    verdict = _query("verdict", {"enum": list(VERDICTS)}, "Only those with this verdict.")
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    place: Json = {"type": "integer", "minimum": 0}
    some = [verdict, _query("limit", limit, "Number of deliveries.")]
    some += [_query("lo", place, "First byte that is asked for."), _query("hi", place, "Last byte that is asked for.")]
    asked = [_query(name, TEXT, "Of the key: all three.") for name in KEY]
    asked += [_query("key", TEXT, "The key, joined by _."), _query("key_hash", HASH, "The hash of the key.")]
    found = object_of(
        {"success": {"const": True}, "deliveries": list_of(_ref("Delivery"), maxItems=MAX_LIMIT)},
        {"unreadable": list_of({**TEXT, "description": "A record that cannot be read, and is left out."})},
    )
    hashed: Json = {"name": "key_hash", "in": "path", "required": True, "schema": HASH}
    fields = [_query(name, TEXT, "Of the key: all three.") for name in ("ip", "ua", "request")]
    search = [_query("q", TEXT, "A key, its hash, or a part of keys."), verdict]
    search.append(_query("older", TEXT, "Where a search goes on: from the link of the page."))
    return {
        "/": {"get": _found_elsewhere(_page("Counts, newest deliveries, search.", search, ()))},
        "/delivery": {"get": _page("All that is known of one key.", [*fields, asked[-1]], (404, 409))},
        "/deliveries/": {"get": _get("Deliveries of a key, or the newest.", found, [*asked, *some], (404, 409))},
        "/deliveries/{key_hash}": {
            "get": _get("Deliveries of the key with this hash.", found, [hashed, *some], (404,))
        },
    }


def _report_paths() -> Json:
    day, number = {"type": "string", "format": "date"}, {"type": "integer", "minimum": 1, "maximum": MOST_ROWS}
    common = [
        _query("from", day, "From this day on, UTC."),
        _query("to", day, "Up to this day, the day included."),
        _query("top", number, "Number of rows; of hours and days without it all, in the order of time."),
    ]
    more = {
        "ext": _query("ext", TEXT, "Extensions only, as in jpeg,jpg."),
        "early_stopping": _query(
            "early_stopping", number, "How many hosts to look at, those with most requests first."
        ),
    }
    return {
        f"/reports/{name}": {
            "get": _get(
                question.title,
                _ref("Report"),
                [
                    *common,
                    *(more[one] for one in question.takes if one in more),
                    *([_query("by", {"enum": list(BY[name])}, "What is counted by.")] if name in BY else []),
                ],
                (400, 404, 503),
            )
        }
        for name, question in REPORTS.items()
    }


def _found_elsewhere(page: Json) -> Json:
    page["responses"]["303"] = {"description": _SAYS[303]}
    return page


def _login_paths() -> Json:
    form = {"application/x-www-form-urlencoded": {"schema": object_of({"token": TEXT}, {"next": TEXT})}}
    body = {"requestBody": {"required": True, "content": form}}
    too_much = (401, 408, 413, 415)
    return {
        "/login": {
            "get": _page("A form for the token.", [_query("next", TEXT, "Where it leads to.")], ()),
            "post": _page("Log in: cookies for what the token gives.", [], too_much, 303, **body),
        },
        "/logout": {"post": _page("Forget the login.", [], (), 303)},
    }


def _other_paths() -> Json:
    lines = {
        "requestBody": {"required": True, "content": {"text/plain": {"schema": {"type": "string", "minLength": 1}}}}
    }
    taken = object_of({"success": {"const": True}, "lines": COUNT, "bytes": COUNT, "not_read": NOT_READ})
    return {
        "/weblogs/": {"post": {"summary": "Send log lines.", **lines, "responses": _answers(taken, _POSTS)}},
        "/metrics": {"get": _get("Numbers for Prometheus.", TEXT, content={"text/plain": {"schema": TEXT}})},
        "/openapi.json": {"get": _get("This description.", {"type": "object"})},
        "/statistics/": {"get": _get("What the store holds, in numbers.", STATISTICS)},
        "/health/": {
            "get": {
                "summary": "Whether the worker makes progress.",
                "responses": {
                    status: {
                        "description": says,
                        "content": {
                            "application/json": {
                                "schema": object_of({"healthy": {"type": "boolean"}, "problems": list_of(TEXT)})
                            }
                        },
                    }
                    for status, says in (("200", "It does."), ("503", "It does not."))
                },
            }
        },
    }


def _guarded(path: str, method: str, operation: Json) -> Json:
    """With what is answered before any handler: see app.web.service.access."""
    statuses = [400, 421, 503]
    statuses += [] if path in PUBLIC else [401]
    statuses += [] if method.upper() in READS else [403]
    content = {"application/json": {"schema": _ref("Error")}} | (HTML if operation.pop("x-page", False) else {})
    for status in statuses:
        operation["responses"].setdefault(str(status), {"description": _SAYS[status], "content": content})
    if path in PUBLIC:
        operation["security"] = []
    return operation


@cache
def document() -> Json:
    """The whole description."""
    paths = {
        **_delivery_paths(),
        **_vote_paths(),
        **_spend_paths(),
        **_report_paths(),
        **_usage_paths(),
        **_login_paths(),
        **_other_paths(),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "weblogs",
            "version": "0.1.0",
            "description": "Log lines, votes, spending and reports: what goes in, and what comes out. docs/reference/http.md says it in words.",
        },
        "paths": {
            path: {method: _guarded(path, method, operation) for method, operation in methods.items()}
            for path, methods in paths.items()
        },
        "security": [{}, *BEARER],
        "components": {"schemas": SCHEMAS, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


@cache
def _body() -> bytes:
    return json.dumps(document()).encode()


async def answer_openapi(request: web.Request) -> web.Response:
    """The description as JSON."""
    return web.Response(body=_body(), content_type="application/json", headers={"Cache-Control": "max-age=60"})
