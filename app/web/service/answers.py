"""What every answer has in common: JSON in one shape, errors in words, and the headers that keep a browser strict."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import web

from app.errors import SettingsError, StoreError
from app.web.service.rendering import content_security_policy, html_answer
from app.words import json_text

__all__ = [
    "ApiError",
    "bare_refusal",
    "check_parameters",
    "errors_in_words",
    "json_answer",
    "store_trouble",
    "wants_json",
]

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_JSON_PATHS = (
    *("/deliveries", "/weblogs", "/health", "/metrics", "/statistics"),
    *("/vote", "/votes", "/result", "/voting_distribution", "/candidates", "/users"),
    *("/spending", "/reports", "/usage", "/openapi.json"),
)

_TITLES = {
    400: "Not understood",
    401: "Log in",
    403: "Not allowed",
    404: "Not found",
    409: "Several fit",
    421: "Another name",
    501: "Not with this store",
    503: "Not now",
}

_WORDS = {
    404: "Nothing is served at this path.",
    405: "This path does not take this method.",
}


class ApiError(Exception):
    """An answer that is no success: the status, one sentence, and what else the JSON carries."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None, **fields: Any) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.headers = headers or {}
        self.fields = fields


def check_parameters(request: web.Request, known: Iterable[str]) -> None:
    """ApiError where the query has a parameter that is not known, or one more than once."""
    known, query = sorted(known), request.query
    if unknown := sorted(set(query) - set(known)):
        there = f"there {'is' if len(known) == 1 else 'are'} {', '.join(known)}"
        raise ApiError(400, f"{unknown[0][:40]!r} is no parameter here; {there}.")
    if repeated := sorted(name for name in query if len(query.getall(name)) > 1):
        raise ApiError(400, f"{repeated[0]} is given more than once.")


def json_answer(payload: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """`payload` as `json_text` writes it."""
    return web.Response(text=json_text(payload) + "\n", status=status, headers=headers, content_type="application/json")


def wants_json(request: web.Request) -> bool:
    """Whether this client reads JSON: it asks an API path, or says so and does not ask for HTML."""
    accept = request.headers.get("Accept", "")
    asked_api = any(request.path == path or request.path.startswith(path + "/") for path in _JSON_PATHS)
    return asked_api or ("json" in accept and "text/html" not in accept)


def bare_refusal(status: int, message: str) -> web.Response:
    """As JSON, for what did not reach a handler."""
    answer = json_answer({"success": False, "error_message": message}, status)
    _harden(answer)
    return answer


def _refusal(request: web.Request, error: ApiError) -> web.Response:
    if wants_json(request):
        return json_answer(
            {"success": False, "error_message": error.message, **error.fields}, error.status, error.headers
        )
    if error.status == 401:
        return html_answer("login.html", 401, error.headers, next=_asked_page(request), wrong=False)
    return html_answer(
        "message.html",
        error.status,
        error.headers,
        title=_TITLES.get(error.status, "Not answered"),
        message=error.message,
    )


def _asked_page(request: web.Request) -> str:
    """Where a login leads back to."""
    return request.path_qs if request.method == "GET" else "/"


@web.middleware
async def errors_in_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    """No traceback and no bare status leaves the server."""
    try:
        response = await handler(request)
    except ApiError as error:
        response = _refusal(request, error)
    except web.HTTPRedirection as error:
        response = web.Response(status=error.status, headers={"Location": error.headers["Location"]})
    except web.HTTPException as error:
        kept = {name: value for name, value in error.headers.items() if name == "Allow"}
        response = _refusal(request, ApiError(error.status, _WORDS.get(error.status, error.reason), kept))
    except (StoreError, TimeoutError) as error:
        response = _refusal(request, ApiError(503, store_trouble(error), {"Retry-After": "5"}))
    except SettingsError as error:
        response = _refusal(request, ApiError(501, f"{str(error)[:1].upper()}{str(error)[1:]}."))
    except Exception:
        log.exception("error while answering %s %.200s", request.method, request.path)
        response = _refusal(request, ApiError(500, "The worker failed to answer; its log says why."))
    if not response.prepared:
        _harden(response)
    return response


def store_trouble(error: BaseException) -> str:
    """One sentence for a store that gave no answer."""
    return str(error) or "The store did not answer in time."


def _harden(response: web.StreamResponse) -> None:
    response.headers.setdefault("Content-Security-Policy", content_security_policy())
    response.headers["X-Content-Type-Options"] = "nosniff"
    # With no-referrer a browser would not say which page sends a form.
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Server"] = "weblogs"
    response.headers.setdefault("Cache-Control", "no-store")
