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


def _page(summary: str, parameters: list[Json], errors: tuple[int, ...]) -> Json:
    """A page for people: its errors are pages, too, unless JSON is asked for."""
    both = {**HTML, "application/json": {"schema": _ref("Error")}}
    told: Json = {str(error): {"description": _SAYS[error], "content": both} for error in errors}
    told["200"] = {"description": "The page.", "content": HTML}
    return {"get": {"summary": summary, "parameters": parameters, "responses": told, "x-page": True}}


def _form(summary: str, errors: tuple[int, ...], **more: Any) -> Json:
    """What a form of a page sends, and is led to another page."""
    (operation,) = _page(summary, [], errors).values()
    del operation["responses"]["200"]
    operation["responses"]["303"] = {"description": _SAYS[303]}
    return {"post": operation | more}


def _get(
    summary: str, schema: Json, parameters: list[Json] | None = None, errors: tuple[int, ...] = (503,), **more: Any
) -> Json:
    responses = _answers(schema, errors, more.pop("content", None))
    return {"get": {"summary": summary, "parameters": parameters or [], "responses": responses, **more}}


def _post(
    summary: str, body: Json, told: Json, errors: tuple[int, ...] = _POSTS, form: bool = False, **more: Any
) -> Json:
    """`told`: the fields of the answer beside `success`."""
    content: Json = {"application/json": {"schema": body}}
    responses = _answers(_done(told), errors)
    if form:
        responses["200"]["content"] |= HTML
        fields = dict.fromkeys(POSTED_VOTE["properties"], TEXT) | {"candidate_id": ID}
        content["application/x-www-form-urlencoded"] = {"schema": object_of({"candidate_id": ID}, fields)}
    asked = {"required": True, "content": content}
    return {"post": {"summary": summary, "requestBody": asked, "responses": responses, **more}}


def _done(told: Json, may_be: Json | None = None) -> Json:
    return object_of({"success": {"const": True}, **told}, *([may_be] if may_be else []))


def _query(name: str, schema: Json, says: str, required: bool = False) -> Json:
    return {"name": name, "in": "query", "required": required, "schema": schema, "description": says}


def _in_path(name: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _limit(most: int, default: int, says: str) -> Json:
    return _query("limit", {"type": "integer", "minimum": 1, "maximum": most, "default": default}, says)


def _cached(methods: Json) -> Json:
    """With the 304 of a client that has it already."""
    methods["get"]["responses"]["304"] = {"description": "If-None-Match names the present ETag."}
    return methods


_BAD = (400, 503)
_FROM = _query("from", TIME, "Inclusive. If it is missing: a day ago, or the beginning if to is given.")
_TO = _query("to", TIME, "Exclusive. If it is missing: now.")
_NOT_EMPTY: Json = {"type": "string", "minLength": 1}
_OF_USER = [_in_path("user_id", {**NAME, "minLength": 1}), _FROM, _TO]
_USER = [_query("user", TEXT, "The user.", required=True)]
_RANGE = {"user_id": TEXT, "from": SAID_TIME, "to": SAID_TIME}
_SPENT = {"cents": INTEGER, "transactions": COUNT}


def _some(name: str) -> Json:
    return list_of(_ref(name), minItems=1, maxItems=10_000)


def _named(many: str, id_schema: Json, listed: str, errors: tuple[int, ...], **more: Any) -> Json:
    """Candidates, or users: as a list, and how to add some."""
    listed_ones = object_of({many: list_of(object_of({"id": id_schema, "name": TEXT}))})
    body = {"anyOf": [_ref("Named"), list_of(_ref("Named"))]}
    return {
        **_get(listed, listed_ones, None, errors, **more),
        **_post(f"Add {many}, or rename them.", body, {many: COUNT}, (403, *_POSTS), security=BEARER),
    }


def _vote_paths() -> Json:
    pictures = {
        "application/json": {"schema": _ref("Distribution")},
        "text/csv": {"schema": TEXT},
        "image/svg+xml": {"schema": TEXT},
        "image/png": {"schema": {"type": "string", "format": "binary"}},
    }
    form = _query("format", {"enum": ["json", "csv", "svg", "png"]}, "Else the Accept header decides.")
    many = {"votes": COUNT, "vote_ids": list_of(TEXT)}
    results = "Votes of each candidate that has some, and all of the last ten minutes."
    windows = _get("Votes by window.", _ref("Distribution"), [_FROM, _TO, form], _BAD, content=pictures)
    return {
        "/vote/": _post("Vote.", _ref("PostedVote"), {"vote_id": TEXT}, form=True),
        "/votes/": _post("Vote many times: all are taken, or none.", _some("PostedVote"), many),
        "/vote_to_{candidate_id}": _page("A page with one button.", [_in_path("candidate_id", _NOT_EMPTY)], (404,)),
        "/result/": _cached(_get(results, _ref("Result"))),
        "/voting_distribution": _cached(windows),
        "/candidates/": _named("candidates", ID, "Who can be voted for.", (503,)),
        "/users/": _named("users", TEXT, "Names of users.", (403, 503), security=BEARER),
    }


def _spend_paths() -> Json:
    ids = {"transactions": COUNT, "transaction_ids": list_of(TEXT)}
    bucket = object_of({"start": SAID_TIME, "end": SAID_TIME, **_SPENT})
    paid = object_of({"transaction_id": TEXT, "time": SAID_TIME, "cents": INTEGER})
    payments = object_of({**_RANGE, "transactions": list_of(paid), "more": {"type": "boolean"}})
    body = {"anyOf": [_ref("PostedTransaction"), _some("PostedTransaction")]}
    resolution = _query("resolution", {"enum": ["minute", "hour", "day"], "default": "hour"}, "Length of the buckets.")
    buckets = object_of({**_RANGE, "resolution": TEXT, "buckets": list_of(bucket)})
    by_bucket = _get("What a user spent, by buckets.", buckets, [*_OF_USER, resolution], _BAD)
    top = object_of({"top": list_of(object_of({"user_id": TEXT, **_SPENT})), "last_update_time": SAID_TIME})
    in_all = object_of({"user_id": TEXT, "from": or_null(SAID_TIME), "to": or_null(SAID_TIME), **_SPENT})
    listed = [*_OF_USER, _limit(MAX_LISTED, 1000, "Number of payments.")]
    return {
        "/spending/": _post("Spend: all are taken, or none.", body, ids),
        "/spending/top": _get("Who spent most.", top, [_limit(MAX_TOP, DEFAULT_TOP, "Number of users.")], _BAD),
        "/spending/{user_id}": by_bucket,
        "/spending/{user_id}/buckets": by_bucket,
        "/spender": _page("What a user spent, as a page.", _USER, (404,)),
        "/spending/{user_id}/transactions": _get("A user's payments by time.", payments, listed, _BAD),
        "/spending/{user_id}/sum": _get(
            "What a user spent from a moment to another, to the cent.", in_all, _OF_USER, _BAD
        ),
    }


def _usage_paths() -> Json:
    calls = object_of({**_RANGE, "calls": list_of(_ref("Call")), "more": {"type": "boolean"}})
    listed = [*_OF_USER, _limit(MAX_CALLS, DEFAULT_CALLS, "Number of records.")]
    return {
        "/caller": _page("The last monitored calls of a user, as a page.", _USER, _BAD),
        "/usage/{user_id}": _get("Records of a user's monitored calls, by time.", calls, listed, _BAD),
    }


def _delivery_paths() -> Json:
    verdict = _query("verdict", {"enum": list(VERDICTS)}, "Only those with this verdict.")
    place: Json = {"type": "integer", "minimum": 0}
    some = [verdict, _limit(MAX_LIMIT, DEFAULT_LIMIT, "Number of deliveries.")]
    some += [_query("lo", place, "First byte that is asked for."), _query("hi", place, "Last byte that is asked for.")]
    asked = [_query(name, TEXT, "Of the key: all three.") for name in KEY]
    asked += [_query("key", TEXT, "The key, joined by _."), _query("key_hash", HASH, "The hash of the key.")]
    found = _done(
        {"deliveries": list_of(_ref("Delivery"), maxItems=MAX_LIMIT)},
        {"unreadable": list_of({**TEXT, "description": "A record that cannot be read, and is left out."})},
    )
    hashed = [_in_path("key_hash", HASH), *some]
    fields = [_query(name, TEXT, "Of the key: all three.") for name in ("ip", "ua", "request")]
    search = [_query("q", TEXT, "A key, its hash, or a part of keys."), verdict]
    search.append(_query("older", TEXT, "Where a search goes on: from the link of the page."))
    front = _page("Counts, newest deliveries, search.", search, ())
    front["get"]["responses"]["303"] = {"description": _SAYS[303]}
    return {
        "/": front,
        "/delivery": _page("All that is known of one key.", [*fields, asked[-1]], (404, 409)),
        "/deliveries/": _get("Deliveries of a key, or the newest.", found, [*asked, *some], (404, 409)),
        "/deliveries/{key_hash}": _get("Deliveries of the key with this hash.", found, hashed, (404,)),
    }


def _report_paths() -> Json:
    day, number = {"type": "string", "format": "date"}, {"type": "integer", "minimum": 1, "maximum": MOST_ROWS}
    common = [
        _query("from", day, "From this day on, UTC."),
        _query("to", day, "Up to this day, the day included."),
        _query("top", number, "Number of rows; of hours and days without it all, in the order of time."),
    ]
    hosts = "How many hosts to look at, those with most requests first."
    more = {
        "ext": _query("ext", TEXT, "Extensions only, as in jpeg,jpg."),
        "early_stopping": _query("early_stopping", number, hosts),
    }
    found = {}
    for name, question in REPORTS.items():
        asked = common + [more[one] for one in question.takes if one in more]
        if name in BY:
            asked.append(_query("by", {"enum": list(BY[name])}, "What is counted by."))
        found[f"/reports/{name}"] = _get(question.title, _ref("Report"), asked, (400, 404, 503))
    return found


def _login_paths() -> Json:
    form = {"application/x-www-form-urlencoded": {"schema": object_of({"token": TEXT}, {"next": TEXT})}}
    body = {"requestBody": {"required": True, "content": form}}
    return {
        "/login": {
            **_page("A form for the token.", [_query("next", TEXT, "Where it leads to.")], ()),
            **_form("Log in: cookies for what the token gives.", (401, 408, 413, 415), **body),
        },
        "/logout": _form("Forget the login.", ()),
    }


def _other_paths() -> Json:
    lines = {"requestBody": {"required": True, "content": {"text/plain": {"schema": _NOT_EMPTY}}}}
    taken = _answers(_done({"lines": COUNT, "bytes": COUNT, "not_read": NOT_READ}), _POSTS)
    state = object_of({"healthy": {"type": "boolean"}, "problems": list_of(TEXT)})
    healthy = {
        status: {"description": says, "content": {"application/json": {"schema": state}}}
        for status, says in (("200", "It does."), ("503", "It does not."))
    }
    return {
        "/weblogs/": {"post": {"summary": "Send log lines.", **lines, "responses": taken}},
        "/metrics": _get("Numbers for Prometheus.", TEXT, content={"text/plain": {"schema": TEXT}}),
        "/openapi.json": _get("This description.", {"type": "object"}),
        "/statistics/": _get("What the store holds, in numbers.", STATISTICS),
        "/health/": {"get": {"summary": "Whether the worker makes progress.", "responses": healthy}},
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
