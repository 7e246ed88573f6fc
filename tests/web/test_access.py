"""Who may ask: by which name, from which site, with which token. Held by every route there is, and by those to come."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie

import msgspec
import pytest
from aiohttp.test_utils import TestServer
from yarl import URL

from app.domain.records import key_text
from app.errors import SettingsError
from app.settings import Settings, load
from app.stores.contract import Store
from app.stores.sqlite.store import SqliteStore
from app.transports.producers import SqliteProducer
from app.web.service.access import open_warning
from app.web.service.server import WebService
from tests.together import together
from tests.web.conftest import Client, ToldStatus, application, served
from tests.web.records import deliveries, pieces

READ, WRITE, ADMIN = "r" * 20, "w" * 20, "a" * 20
PUBLIC = {"/login", "/logout", "/health", "/health/"}
ADMINS = {("POST", "/candidates"), ("GET", "/users"), ("HEAD", "/users"), ("POST", "/users")}


def routes(client: Client) -> list[tuple[str, str]]:
    """(method, path) of everything that is served, with something in place of what a path has in braces."""
    found = set()
    assert isinstance(client.server, TestServer)
    for route in client.server.app.router.routes():
        assert route.resource is not None
        path = re.sub(r"\{[^}]+\}", "1", route.resource.canonical)
        found.add((route.method, path))
    assert len(found) > 40
    return sorted(found)


async def status_of(client: Client, method: str, path: str, **headers: str) -> int:
    async with client.request(method, path, data=b"x" if method == "POST" else None, headers=headers) as answer:
        await answer.read()
        if method != "HEAD" and answer.status in (401, 403, 421) and "json" in answer.content_type:
            assert (await answer.json())["success"] is False
        return answer.status


@pytest.fixture
async def guarded(
    store: SqliteStore, status: ToldStatus, producer: SqliteProducer, settings: Settings
) -> AsyncIterator[Client]:
    own = msgspec.structs.replace(settings, web_token=READ, web_write_token=WRITE, admin_token=ADMIN)
    async with served(store, status, producer, own) as client:
        client.session.cookie_jar.clear()
        yield client


def other_sites(client: Client) -> list[dict[str, str]]:
    port = client.port or 0
    origins = [
        "https://evil.example",
        "http://evil.example",
        f"http://evil.example:{port}",
        f"http://127.0.0.1:{port + 1}",
        "http://127.0.0.1",
        f"http://localhost:{port}",
        f"http://127.0.0.1:{port}@evil.example",
        f"http://127.0.0.1:{port}.evil.example",
        f"ftp://127.0.0.1:{port}",
        "null",
        "",
        "http://[",
        "file://",
    ]
    hostile = [{name: origin} for name in ("Origin", "Referer") for origin in origins]
    return [
        *hostile,
        *({**each, "Sec-Fetch-Site": "same-origin"} for each in hostile),
        {"Origin": "http://evil.example", "Referer": f"http://127.0.0.1:{port}/"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ]


async def test_no_route_takes_a_change_from_another_sites_page(client: Client) -> None:
    changing = [(method, path) for method, path in routes(client) if method not in ("GET", "HEAD")]
    assert len(changing) > 10
    for headers in other_sites(client):
        for method, path in [*changing, ("PUT", "/"), ("DELETE", "/nothing")]:
            assert await status_of(client, method, path, **headers) == 403, (method, path, headers)


async def test_a_page_of_the_worker_itself_may_send_changes_under_each_of_its_names(client: Client) -> None:
    for host in (f"127.0.0.1:{client.port}", f"localhost:{client.port}", f"[::1]:{client.port}", "localhost"):
        for name in ("Origin", "Referer"):
            headers = {"Host": host, name: f"http://{host}" + ("/page?x=1" if name == "Referer" else "")}
            answer = await client.post("/vote/", json={"candidate_id": 2}, headers=headers)
            assert answer.status == 200, headers
    behind_tls = {"Host": "localhost", "Origin": "https://localhost"}
    assert (await client.post("/vote/", json={"candidate_id": 2}, headers=behind_tls)).status == 200


async def test_a_program_without_origin_may_post(client: Client) -> None:
    assert (await client.post("/vote/", json={"candidate_id": 2})).status == 200


async def test_no_route_is_answered_under_a_name_that_is_not_the_workers(client: Client) -> None:
    strange = (
        "evil.example",
        f"evil.example:{client.port}",
        "127.0.0.1.evil.example",
        "localhost.evil",
        "10.9.8.7",
        "2130706433",
    )
    for host in strange:
        for method, path in [*routes(client), ("GET", "/nothing")]:
            assert await status_of(client, method, path, Host=host) == 421, (method, path, host)


@pytest.mark.parametrize(
    "hosts", [[], ["127.0.0.1", "evil.example"], ["127.0.0.1", "127.0.0.1"], [""], ["a b"], ["http://x"]]
)
async def test_a_request_without_exactly_one_host_is_refused(client: Client, hosts: list[str]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    heads = [f"Host: {host}" for host in hosts]
    writer.write("\r\n".join(["GET /result/ HTTP/1.1", *heads, "Connection: close", "", ""]).encode())
    assert (await reader.read()).split()[1] == b"400"
    writer.close()


async def test_names_of_the_settings_are_the_workers_with_and_without_port(
    store: SqliteStore, status: ToldStatus, producer: SqliteProducer, settings: Settings
) -> None:
    own = msgspec.structs.replace(settings, web_hosts="Weblogs.example, 10.9.8.7,[2001:db8::1]")
    async with served(store, status, producer, own) as client:
        for host in (
            "weblogs.example",
            "WEBLOGS.example:81",
            "weblogs.example.",
            "10.9.8.7:5000",
            "[2001:DB8::1]:5000",
        ):
            assert await status_of(client, "GET", "/result/", Host=host) == 200, host
        assert await status_of(client, "GET", "/result/", Host="sub.weblogs.example") == 421


@pytest.mark.parametrize("bad", ["http://weblogs.example", "weblogs.example:5000", "a b", "*"])
def test_a_name_that_is_none_is_refused_at_start(bad: str) -> None:
    with pytest.raises(SettingsError, match="WEBLOGS_WEB_HOSTS"):
        load({"WEBLOGS_WEB_HOSTS": bad})


async def test_every_route_needs_its_token_and_no_token_gives_the_other_right(guarded: Client) -> None:
    for method, path in routes(guarded):
        if path in PUBLIC:
            continue
        reads = method in ("GET", "HEAD")
        admins = (method, path.rstrip("/")) in ADMINS
        for token in ("", "x" * 20, WRITE if reads else READ):
            given = {"Authorization": f"Bearer {token}"} if token else {}
            assert await status_of(guarded, method, path, **given) == 401, (method, path, token)
        good = ADMIN if admins else READ if reads else WRITE
        assert await status_of(guarded, method, path, Authorization=f"Bearer {good}") not in (401, 403), (method, path)
        if admins:
            own = READ if reads else WRITE
            assert await status_of(guarded, method, path, Authorization=f"Bearer {own}") == 401
    for scheme in (f"Basic {READ}", READ, f"bearer{READ}", f"Bearer {READ[:-1]}", f"Bearer {READ} {READ}"):
        assert await status_of(guarded, "GET", "/result/", Authorization=scheme) == 401
    assert await status_of(guarded, "GET", f"/result/?token={READ}") == 401


async def test_one_token_reads_and_writes_if_no_other_is_set_for_writing(
    store: SqliteStore, status: ToldStatus, producer: SqliteProducer, settings: Settings
) -> None:
    async with served(store, status, producer, msgspec.structs.replace(settings, web_token=READ)) as client:
        given = {"Authorization": f"Bearer {READ}"}
        assert (await client.post("/vote/", json={"candidate_id": 2})).status == 401
        assert (await client.post("/vote/", json={"candidate_id": 2}, headers=given)).status == 200
        assert (await client.get("/result/", headers=given)).status == 200


async def test_health_tells_strangers_whether_and_not_why(guarded: Client, status: ToldStatus) -> None:
    status.say(problems=("The store at secret.example is down.",))
    answer = await guarded.get("/health/")
    text = await answer.text()
    assert answer.status == 503 and json.loads(text)["healthy"] is False
    assert "secret.example" not in text and "lag" not in text
    told = await guarded.get("/health/", headers={"Authorization": f"Bearer {READ}"})
    assert "secret.example" in await told.text()


async def logged_in(client: Client, token: str, to: str = "/") -> tuple[int, str, SimpleCookie]:
    answer = await client.post("/login", data={"token": token, "next": to}, allow_redirects=False)
    client.session.cookie_jar.clear()
    return answer.status, answer.headers.get("Location", ""), answer.cookies


async def test_a_browser_logs_in_once_and_comes_back_to_the_page_that_it_asked_for(guarded: Client) -> None:
    page = await guarded.get("/?q=film&verdict=partial", headers={"Accept": "text/html"})
    assert page.status == 401 and 'action="/login"' in await page.text()
    assert 'value="/?q=film&amp;verdict=partial"' in await page.text()
    status, location, cookies = await logged_in(guarded, READ, "/?q=film&verdict=partial")
    assert (status, location, list(cookies)) == (303, "/?q=film&verdict=partial", ["weblogs_read"])
    cookie = cookies["weblogs_read"]
    assert cookie["httponly"] and cookie["samesite"] == "Strict" and READ not in cookie.value
    guarded.session.cookie_jar.update_cookies(cookies, URL(f"http://127.0.0.1:{guarded.port}/"))
    assert (await guarded.get("/")).status == 200
    assert (await guarded.post("/vote/", json={"candidate_id": 2})).status == 401


@pytest.mark.parametrize(
    ("heads", "secure"),
    [
        ({}, False),
        ({"X-Forwarded-Proto": "http"}, False),
        ({"X-Forwarded-Proto": "https"}, True),
        ({"X-Forwarded-Proto": "HTTPS, http"}, True),
        ({"Forwarded": "for=10.0.0.1;proto=https"}, True),
        ({"Origin": "https://localhost", "Host": "localhost"}, True),
    ],
)
async def test_the_cookie_of_a_login_over_tls_never_goes_without_tls(
    guarded: Client, heads: dict[str, str], secure: bool
) -> None:
    answer = await guarded.post("/login", data={"token": READ}, allow_redirects=False, headers=heads)
    assert answer.status == 303 and bool(answer.cookies["weblogs_read"]["secure"]) is secure


@pytest.mark.parametrize("token", ["", "x", WRITE + "x", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")])
async def test_a_wrong_token_logs_nobody_in(guarded: Client, token: str) -> None:
    status, _, cookies = await logged_in(guarded, token)
    assert status == 401 and not cookies


@pytest.mark.parametrize(
    "to", ["https://evil.example/", "//evil.example", "/\\evil.example", "", "javascript:x", "/a\r\nX: y", "/ä"]
)
async def test_a_login_leads_to_pages_of_the_worker_only(guarded: Client, to: str) -> None:
    assert (await logged_in(guarded, WRITE, to))[1] == "/"


async def test_a_login_ends_and_cannot_be_made_up(guarded: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, cookies = await logged_in(guarded, READ)
    value = cookies["weblogs_read"].value
    until, _, mac = value.partition(".")

    async def reads(cookie: str, name: str = "weblogs_read") -> bool:
        answer = await guarded.get("/result/", headers={"Cookie": f"{name}={cookie}"})
        return answer.status == 200

    assert await reads(value)
    made_up = (
        f"{int(until) + 1}.{mac}",
        f"{until}.{mac[:-1]}",
        until,
        f"{until}.",
        f".{mac}",
        f"-1.{mac}",
        f"{'9' * 5000}.x",
        "",
    )
    for cookie in made_up:
        assert not await reads(cookie), cookie
    assert not await reads(value, "weblogs_write")
    monkeypatch.setattr("app.web.service.access.time.time", lambda: int(until) + 1.0)
    assert not await reads(value)


LOOPBACK = ("127.0.0.1", "::1", "localhost", "127.9.9.9")
OTHER = ("0.0.0.0", "::", "192.0.2.1", "10.0.0.1")


@pytest.mark.parametrize("host", LOOPBACK)
def test_a_worker_on_loopback_needs_no_token(host: str) -> None:
    assert open_warning(Settings(web_host=host)) == ""


@pytest.mark.parametrize("host", OTHER)
async def test_a_worker_that_other_machines_reach_needs_a_token_or_the_word_that_it_is_open(
    store: SqliteStore, status: ToldStatus, producer: SqliteProducer, settings: Settings, host: str
) -> None:
    own = msgspec.structs.replace(settings, web_host=host)
    with pytest.raises(SettingsError, match=r"WEBLOGS_WEB_TOKEN is not set.*WEBLOGS_WEB_OPEN=1"):
        await WebService(application(store, status, producer, own), own).start()
    with pytest.raises(SettingsError):
        only_writes = msgspec.structs.replace(own, web_write_token=WRITE)
        await WebService(application(store, status, producer, only_writes), only_writes).start()
    assert open_warning(msgspec.structs.replace(own, web_token=READ)) == ""


async def test_an_open_worker_says_so_in_its_log_on_the_page_and_in_health(
    store: SqliteStore,
    status: ToldStatus,
    producer: SqliteProducer,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = msgspec.structs.replace(settings, web_host="0.0.0.0", web_open=True)
    service = WebService(application(store, status, producer, own), own)
    await service.start()
    await service.stop()
    assert "Everybody who reaches 0.0.0.0" in caplog.text
    async with served(store, status, producer, own) as client:
        assert "Everybody who reaches 0.0.0.0" in await (await client.get("/")).text()
        health = await (await client.get("/health/")).json()
        assert health["healthy"] and "Everybody who reaches" in health["warnings"][0]


def test_a_token_that_is_easily_guessed_is_refused_without_being_shown() -> None:
    for name in ("WEBLOGS_WEB_TOKEN", "WEBLOGS_WEB_WRITE_TOKEN"):
        for token in ("abc", "shortshort"):
            with pytest.raises(SettingsError) as told:
                load({name: token})
            assert name in str(told.value) and token not in str(told.value)


@together(
    "target",
    [
        *("/health/../users", "/health/%2e%2e/users", "/health/..%2fusers", "//users", "/login/../users/", "/./users"),
        *(
            "/health%00/users",
            "/users%2f",
            "/HEALTH",
            "/login/",
            "/health//",
            "/../../etc/passwd",
            "/%2e%2e/%2e%2e/etc/passwd",
        ),
        *("http://127.0.0.1/users", "http://evil.example/users", "/health;/../users", "/%6cogin/x"),
    ],
)
async def test_no_way_to_write_a_path_leads_around_the_token(guarded: Client, target: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", guarded.port)
    writer.write(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    assert (await reader.read()).split()[1] == b"401"
    writer.close()


async def test_with_a_token_no_proxy_keeps_an_answer_for_others(guarded: Client, client: Client) -> None:
    for path in ("/result/", "/voting_distribution", "/spending/top", "/openapi.json", "/", "/deliveries/", "/metrics"):
        own = await guarded.get(path, headers={"Authorization": f"Bearer {READ}"})
        assert own.status == 200 and re.match("private|no-store", own.headers["Cache-Control"]), path
    assert (await client.get("/result/")).headers["Cache-Control"].startswith("max-age")


async def test_a_redirect_to_a_hostile_key_is_one_head(client: Client, store: Store) -> None:
    key = ("192.0.2.1", "a\r\nSet-Cookie: x=y", "GET /\r\n\r\n<script>\u2028")
    assert await store.writes.write_hits(pieces([(0, 9)], 10, key)) == []
    answer = await client.get("/", params={"q": key_text(*key)}, allow_redirects=False)
    assert answer.status == 303 and not answer.cookies
    assert re.fullmatch(r"/delivery\?[!-~]+", answer.headers["Location"])


async def test_json_is_json_whatever_times_are_stored(client: Client, store: Store) -> None:
    [one] = deliveries(pieces([(0, 9)], 10))
    endless = one._replace(request="GET /endless", last=float("inf"), first=float("-inf"))
    assert await store.writes.write_deliveries([endless]) == []

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    text = await (await client.get("/deliveries/")).text()
    [told] = json.loads(text, parse_constant=refuse)["deliveries"]
    assert told["last"] is None and told["first"] is None
    assert (await client.get("/")).status == 200
