"""Other sites' pages in a real browser, and the way of a person who logs in, also behind a real nginx with TLS."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests import ROOT
from tests.flow.running import Flow
from tests.ports import free_port
from tests.servers.certificate import make_certificate
from tests.servers.chromium import Tab, browser, tab_of
from tests.servers.process import HOST, Program, program

pytestmark = pytest.mark.servers
TOKEN = "read-token-0123456789"
PROXY_PAGE = ROOT / "docs/how-to/put-nginx-before-the-page.md"
NAMES = "--host-resolver-rules=MAP evil.test 127.0.0.1, MAP weblogs.example.org 127.0.0.1"

_ATTACK = """
(async () => {
  const target = %s, seen = {};
  const sends = [
    ['/vote/', 'application/x-www-form-urlencoded', 'candidate_id=2'],
    ['/vote/', 'text/plain', '{"candidate_id": 2}'],
    ['/votes/', 'text/plain', '[{"candidate_id": 2}]'],
    ['/spending/', 'text/plain', '{"user_id": "victim", "cents": 100}'],
    ['/weblogs/', 'text/plain', 'GET /made-up'],
  ];
  for (const [path, type, body] of sends)
    for (const referrerPolicy of ['no-referrer', 'unsafe-url'])
      await fetch(target + path, {method: 'POST', mode: 'no-cors', credentials: 'include', referrerPolicy,
        headers: {'Content-Type': type}, body}).catch(() => 0);
  for (const path of ['/spending/known/sum', '/result/', '/', '/metrics'])
    for (const mode of ['cors', 'no-cors', 'same-origin'])
      seen[path + ' ' + mode] = await fetch(target + path, {mode, credentials: 'include'}).then(a => a.ok ? a.text() : '').catch(() => '');
  return JSON.stringify(seen);
})()"""
_SANDBOX = """new Promise(done => {
  const frame = document.createElement('iframe');
  frame.sandbox = 'allow-forms allow-scripts';
  frame.srcdoc = '<form method=post action="%s/vote/"><input name=candidate_id value=2></form><script>document.forms[0].submit()</scr' + 'ipt>';
  document.body.append(frame);
  setTimeout(() => done(true), 1500);
})"""


@contextmanager
def worker(folder: Path, **options: object) -> Iterator[tuple[Flow, str]]:
    """A running worker and where it is."""
    with Flow(folder / "var", WEB_PORT=free_port(), **options) as flow:
        flow.start_worker()
        flow.wait_started()
        yield flow, flow.url().rstrip("/")
        flow.stop_worker()


@contextmanager
def other_site() -> Iterator[int]:
    """The port of a site with an empty page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><body>hello")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def answered(url: str, token: str = "") -> Any:
    request = Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urlopen(request, timeout=10) as answer:
        return json.load(answer)


def posted(url: str, value: object) -> None:
    request = Request(url, json.dumps(value).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=10) as answer:
        assert answer.status == 200


async def visit(tab: Tab, url: str) -> None:
    await tab.do("Page.navigate", url=url)
    await asyncio.sleep(0.7)


async def text_of(tab: Tab) -> str:
    return str(await tab.run("Promise.resolve(document.body.innerText)"))


@pytest.mark.parametrize(
    "site",
    ["http://evil.test:{other}", "http://localhost:{other}", "http://127.0.0.1:{other}", "http://evil.test:{port}"],
)
def test_another_sites_page_changes_nothing_and_reads_nothing(tmp_path: Path, site: str) -> None:
    """The last one is a name that its owner pointed to this machine: for the browser it is the same site."""
    with worker(tmp_path) as (flow, url), other_site() as other:
        posted(f"{url}/spending/", {"user_id": "known", "cents": 4711})
        page = site.format(other=other, port=url.rpartition(":")[2])
        targets = {url, page} if page.endswith(url.rpartition(":")[2]) else {url}

        async def attack() -> list[str]:
            async with tab_of(address) as tab:
                await visit(tab, page)
                seen = [str(await tab.run(_ATTACK % json.dumps(target))) for target in sorted(targets)]
                for target in sorted(targets):
                    await tab.run(_SANDBOX % target)
                return seen

        with browser(tmp_path, NAMES) as address:
            for seen in asyncio.run(attack()):
                told = json.loads(seen)
                assert told and not any(told.values()), told
        flow.wait_drained()
        assert answered(f"{url}/result/") == [[], [{"total_vote_10_min": 0}]] or answered(f"{url}/result/")[0] == [
            {"total_vote_10_min": 0}
        ]
        assert answered(f"{url}/spending/victim/sum")["transactions"] == 0
        assert answered(f"{url}/spending/known/sum")["cents"] == 4711
        metrics = urlopen(f"{url}/metrics", timeout=10).read().decode()
        assert re.search(r"^weblogs_lines_total 0\.0$", metrics, re.MULTILINE)


def test_the_pages_own_vote_button_works(tmp_path: Path) -> None:
    with worker(tmp_path) as (_, url), browser(tmp_path) as address:

        async def vote() -> str:
            async with tab_of(address) as tab:
                await visit(tab, f"{url}/vote_to_2")
                await tab.run("Promise.resolve(document.querySelector('button').click())")
                await asyncio.sleep(1)
                return await text_of(tab)

        assert "Thank you" in asyncio.run(vote())


async def _log_in(tab: Tab, url: str) -> str:
    """To a page that needs it. The text of the page behind it."""
    await visit(tab, f"{url}/?verdict=partial")
    assert "Log in" in await text_of(tab)
    await tab.run(
        f"Promise.resolve((document.querySelector('[name=token]').value = '{TOKEN}', document.querySelector('button').click()))"
    )
    await asyncio.sleep(1)
    assert await tab.run("Promise.resolve(document.cookie)") == ""
    assert await tab.run("Promise.resolve(location.href)") == f"{url}/?verdict=partial"
    return await text_of(tab)


def test_a_person_logs_in_votes_and_logs_out(tmp_path: Path) -> None:
    with worker(tmp_path, WEB_TOKEN=TOKEN) as (_, url), browser(tmp_path) as address:

        async def use() -> None:
            async with tab_of(address) as tab:
                assert "Was it delivered whole?" in await _log_in(tab, url)
                await visit(tab, f"{url}/vote_to_2")
                await tab.run("Promise.resolve(document.querySelector('button').click())")
                await asyncio.sleep(1)
                assert "Thank you" in await text_of(tab)
                await visit(tab, f"{url}/")
                await tab.run("Promise.resolve(document.querySelector('footer button').click())")
                await asyncio.sleep(1)
                await visit(tab, f"{url}/")
                assert "Log in" in await text_of(tab)

        asyncio.run(use())


def test_the_lines_of_the_proxy_page_give_tls_login_and_posts(tmp_path: Path) -> None:
    lines = re.search(r"```nginx\n(.*?)```", PROXY_PAGE.read_text(), re.DOTALL)
    assert lines
    (tmp_path / "tls").mkdir()
    certificate, port = make_certificate(tmp_path / "tls"), free_port()
    with worker(tmp_path, WEB_TOKEN=TOKEN, WEB_HOSTS="weblogs.example.org") as (_, url):
        text = lines[1].replace("listen 443", f"listen {HOST}:{port}").replace("http://127.0.0.1:5000", url)
        text = text.replace("/etc/ssl/weblogs.pem", str(certificate.certificate)).replace(
            "/etc/ssl/weblogs.key", str(certificate.key)
        )
        config = tmp_path / "nginx.conf"
        temporary = "".join(
            f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config.write_text(
            f"daemon off;\npid {tmp_path}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{text}}}\n"
        )
        proxy = Program(
            [program("nginx", "nginx-light"), "-p", str(tmp_path), "-c", str(config)], tmp_path / "nginx.log", [port]
        )
        proxy.start()
        try:
            here = f"https://weblogs.example.org:{port}"
            with browser(tmp_path, NAMES) as address:

                async def use() -> list[Any]:
                    async with tab_of(address) as tab:
                        assert "Was it delivered whole?" in await _log_in(tab, here)
                        cookies = (await tab.do("Network.getCookies", urls=[here]))["cookies"]
                        await visit(tab, f"{here}/vote_to_2")
                        await tab.run("Promise.resolve(document.querySelector('button').click())")
                        await asyncio.sleep(1)
                        assert "Thank you" in await text_of(tab)
                        return list(cookies)

                cookies = asyncio.run(use())
                assert cookies and all(each["secure"] and each["httpOnly"] for each in cookies)
        finally:
            proxy.stop()
        with pytest.raises(HTTPError) as refused:
            answered(f"{url}/result/")
        assert refused.value.code == 401
        assert answered(f"{url}/result/", TOKEN)[0]
