"""Who may ask: the name by which the worker is called, the site that sends a change, and the tokens; judged before any handler."""

from __future__ import annotations

import hmac
import re
import socket
import time
from collections.abc import Awaitable, Callable
from functools import cache
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from app.errors import SettingsError
from app.settings import Settings
from app.web.service.answers import ApiError
from app.web.service.body import HeldBody, read_body
from app.web.service.parts import PARTS
from app.web.service.rendering import html_answer

__all__ = [
    "PUBLIC",
    "READS",
    "STOPPING",
    "answer_login",
    "answer_login_page",
    "answer_logout",
    "guarded",
    "may",
    "open_warning",
    "refuse_open",
]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SESSION_S = 12 * 3600
"""A login in a browser holds for this long."""
STOPPING = "The worker is stopping."
RIGHTS = ("read", "write")
READS = ("GET", "HEAD", "OPTIONS")
PUBLIC = {"/login", "/logout", "/health", "/health/"}
_MAX_LOGIN_BYTES = 8 << 10
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/@?#\\\s]+)(?::([0-9]{0,5}))?")
_OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x7e]*")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@web.middleware
async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raises ApiError: 421 for another name than the worker's, 403 for another site's change, 401 without the token it needs, 503 at the end."""
    parts = request.app[PARTS]
    own = parts.settings
    _refuse_other_names(request, own)
    if request.method not in READS:
        _refuse_other_sites(request)
    if request.path not in PUBLIC:
        right = "read" if request.method in READS else "write"
        if not may(request, right):
            raise ApiError(
                401, f"Send the token that may {right}: Authorization: Bearer TOKEN.", {"WWW-Authenticate": "Bearer"}
            )
    stopping = ApiError(503, STOPPING, {"Retry-After": "5"})
    if parts.stopping() and not request.path.startswith("/health"):
        raise stopping
    try:
        answer = await handler(request)
    except (ApiError, web.HTTPException):
        raise
    except Exception as error:
        if parts.stopping():  # what it asked is closed by now
            raise stopping from error
        raise
    if parts.settings.web_token and "Cache-Control" in answer.headers:
        answer.headers["Cache-Control"] = f"private, {answer.headers['Cache-Control']}"  # no proxy keeps it for others
    return answer


# -- names: a page whose name an attacker points to this address (DNS rebinding) calls the worker by that name


def _refuse_other_names(request: web.Request, own: Settings) -> None:
    hosts = request.headers.getall("Host", [])
    parsed = _authority(hosts[0]) if len(hosts) == 1 else None
    if parsed is None:
        raise ApiError(400, "Send one Host header with the name of the worker.")
    name, _ = parsed
    if name not in ("localhost", own.web_host.lower(), *own.web_host_names) and not _is_ours(name, request):
        raise ApiError(421, f"This worker is not called {name[:100]!r}; if it is yours, add it to WEBLOGS_WEB_HOSTS.")


def _is_ours(name: str, request: web.Request) -> bool:
    """Whether the name is a loopback address, or the one that this connection came to."""
    address = _address(name)
    if address is None:
        return False
    socket_name = request.get_extra_info("sockname")
    here = _address(socket_name[0]) if isinstance(socket_name, tuple) else None
    return address.is_loopback or address == here


def _authority(text: str) -> tuple[str, int | None] | None:
    """(name in lower case, port or None) of a Host; None if it is none."""
    found = _AUTHORITY.fullmatch(text.strip())
    if found is None:
        return None
    return found[1].lower().strip("[]").removesuffix("."), int(found[2]) if found[2] else None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


# -- sites: a browser says which page sends a change


def _refuse_other_sites(request: web.Request) -> None:
    sent_by = request.headers.getall("Origin", []) or request.headers.getall("Referer", [])
    site = request.headers.get("Sec-Fetch-Site", "none")
    if len(sent_by) > 1 or (sent_by and not _is_same(sent_by[0], request)) or site not in ("none", "same-origin"):
        raise ApiError(403, "Nothing is taken from another site's page.")


def _is_same(url: str, request: web.Request) -> bool:
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return False
    default = _DEFAULT_PORTS.get(parts.scheme)
    site, host = _authority(parts.netloc), _authority(request.headers["Host"])
    if default is None or site is None or host is None:
        return False
    return (site[0], site[1] or default) == (host[0], host[1] or default)


# -- tokens


def may(request: web.Request, right: str) -> bool:
    """Whether this client may `read`, `write` or, with the admin token alone, `admin`."""
    own = request.app[PARTS].settings
    tokens = _tokens(own, right)
    if right in RIGHTS and not tokens[0]:
        return True
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _is_one_of(given.strip(), tokens):
        return True
    return right in RIGHTS and _session_holds(request.cookies.get(_cookie(right), ""), right, tokens)


def _tokens(own: Settings, right: str) -> tuple[str, ...]:
    """Those that give the right: first the one that is asked for, empty if none is."""
    if right == "admin":
        return (own.admin_token,)
    return (own.web_token if right == "read" else own.token_to_write, own.admin_token)


def _is_one_of(given: str, tokens: tuple[str, ...]) -> bool:
    sent = given.encode("utf-8", "surrogateescape")
    return any(token and hmac.compare_digest(sent, token.encode()) for token in tokens)


def _cookie(right: str) -> str:
    return f"weblogs_{right}"


def _signed(token: str, right: str, until: str) -> str:
    return f"{until}.{hmac.new(token.encode(), f'{right} {until}'.encode(), sha256).hexdigest()}"


def _session_holds(cookie: str, right: str, tokens: tuple[str, ...]) -> bool:
    until = cookie.partition(".")[0]
    if not (until.isascii() and until.isdigit() and len(until) < 12 and int(until) > time.time()):
        return False
    return _is_one_of(cookie, tuple(_signed(token, right, until) for token in tokens if token))


# -- the login page


async def answer_login_page(request: web.Request) -> web.Response:
    """A form for the token."""
    return html_answer("login.html", 200, next=_next(request.query.get("next", "")), wrong=False)


async def answer_login(request: web.Request) -> web.Response:
    """Sets a cookie for each right that the token gives, and goes on to the page that was asked for."""
    with HeldBody(request.app[PARTS].budget, _MAX_LOGIN_BYTES) as held:
        body = await read_body(request, held, _MAX_LOGIN_BYTES)
    form = _fields(body)
    own, token = request.app[PARTS].settings, form.get("token", "").strip()
    rights = [right for right in RIGHTS if _is_one_of(token, _tokens(own, right))]
    if not rights:
        return html_answer(
            "login.html", 401, {"WWW-Authenticate": "Bearer"}, next=_next(form.get("next", "")), wrong=True
        )
    answer = web.Response(status=303, headers={"Location": _next(form.get("next", ""))})
    until = str(int(time.time()) + SESSION_S)
    secure = _came_by_tls(request)
    for right in rights:
        answer.set_cookie(
            _cookie(right),
            _signed(token, right, until),
            max_age=SESSION_S,
            path="/",
            secure=secure,
            httponly=True,
            samesite="Strict",
        )
    return answer


async def answer_logout(request: web.Request) -> web.Response:
    """Forgets the login of this browser."""
    answer = web.Response(status=303, headers={"Location": "/login"})
    for right in RIGHTS:
        answer.del_cookie(_cookie(right), path="/", httponly=True, samesite="Strict")
    return answer


def _came_by_tls(request: web.Request) -> bool:
    """By this connection, the proxy before it or the page. Anybody may say so: it makes nothing but the speaker's own cookie stricter."""
    proxies = [
        *request.headers.get("X-Forwarded-Proto", "").split(","),
        *(each.get("proto", "") for each in request.forwarded),
    ]
    return (
        request.secure
        or "https" in (each.strip().lower() for each in proxies)
        or request.headers.get("Origin", "").startswith("https:")
    )


def _fields(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=10))
    except (ValueError, UnicodeDecodeError):
        raise ApiError(400, "Send the token as a form: token=TOKEN.") from None


def _next(path: str) -> str:
    """A page of ours, or the overview."""
    return path if _OWN_PATH.fullmatch(path) else "/"


# -- a worker that everybody may ask


@cache
def _is_loopback(host: str) -> bool:
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return False
    return all(ip_address(str(each).partition("%")[0]).is_loopback for each in found)


def open_warning(own: Settings) -> str:
    """One sentence if other machines reach this worker and need no token to read or to write; else empty."""
    if own.web_token or _is_loopback(own.web_host):
        return ""
    return (
        f"Everybody who reaches {own.web_host}:{own.web_port} may read"
        f"{'' if own.web_write_token else ' and write'}: WEBLOGS_WEB_TOKEN is not set."
    )


def refuse_open(own: Settings) -> None:
    """Raises SettingsError for such a worker unless WEBLOGS_WEB_OPEN says that this is meant."""
    if not own.web_open and (warning := open_warning(own)):
        raise SettingsError(f"{warning} Set it, or WEBLOGS_WEB_OPEN=1 if a network or a proxy keeps others out.")
