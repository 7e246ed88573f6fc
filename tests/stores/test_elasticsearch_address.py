"""An address at which Elasticsearch never answers is said at once, and ends a worker; one at which it may be back is waited for."""

from __future__ import annotations

import asyncio
import http.server
import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import StoreRefused, StoreUnreachable
from app.process.exit import EXIT_REFUSED
from app.settings import Settings
from app.stores.elasticsearch.store import ElasticsearchStore
from tests.flow.running import Flow
from tests.servers.certificate import make_certificate
from tests.stores import elastic


class Pages(http.server.BaseHTTPRequestHandler):
    """A site of HTML pages."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html>a page</html>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """The port of a site, over TLS if the parameter says so."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        if getattr(request, "param", ""):
            made = make_certificate(tmp_path)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(made.certificate, made.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


async def closed(store: ElasticsearchStore) -> None:
    """A TLS connection that failed ends some rounds of the loop after its session."""
    await store.close()
    await asyncio.sleep(0.1)


async def refused(url: str) -> str:
    store = ElasticsearchStore(Settings(elasticsearch_url=url))
    with pytest.raises(StoreRefused) as told:
        await store.open()
    await closed(store)
    return str(told.value)


async def test_https_where_http_is_spoken_is_refused(site: int) -> None:
    assert "speaks http: write http:// in WEBLOGS_ELASTICSEARCH_URL" in await refused(f"https://127.0.0.1:{site}")


@pytest.mark.parametrize("site", ["tls"], indirect=True)
async def test_http_where_https_is_spoken_is_refused(site: int) -> None:
    assert "speaks https: write https:// in WEBLOGS_ELASTICSEARCH_URL" in await refused(f"http://127.0.0.1:{site}")


@pytest.mark.parametrize("site", ["tls"], indirect=True)
async def test_a_certificate_that_is_not_trusted_is_no_wrong_scheme(site: int) -> None:
    store = ElasticsearchStore(Settings(elasticsearch_url=f"https://127.0.0.1:{site}"))
    with pytest.raises(StoreUnreachable, match=r"CERTIFICATE_VERIFY_FAILED.*WEBLOGS_ELASTICSEARCH_CA"):
        await store.open()
    await closed(store)


@pytest.mark.live
@pytest.mark.parametrize("path", ["nosuch", "_nosuch", "a/b/"])
async def test_a_path_below_which_elasticsearch_has_nothing_is_refused(path: str) -> None:
    own = elastic.own_settings()
    told = await refused(f"{own.elasticsearch_url}/{path}")
    assert f"not below the path /{path.strip('/')}: write WEBLOGS_ELASTICSEARCH_URL without it" in told


@pytest.mark.long
def test_a_worker_with_the_wrong_scheme_ends_with_78_and_one_sentence(tmp_path: Path, site: int) -> None:
    flow = Flow(tmp_path / "var", STORES="elasticsearch", ELASTICSEARCH_URL=f"https://127.0.0.1:{site}")
    done = flow.refused_worker()
    assert done.returncode == EXIT_REFUSED, done.stderr
    assert "write http:// in WEBLOGS_ELASTICSEARCH_URL" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.long
def test_a_worker_whose_store_answers_html_says_so_at_once_and_waits(tmp_path: Path, site: int) -> None:
    said = f"what answers at http://127.0.0.1:{site} is not Elasticsearch"
    with Flow(tmp_path / "var", STORES="elasticsearch", ELASTICSEARCH_URL=f"http://127.0.0.1:{site}") as flow:
        flow.start_worker()
        flow.wait_started()
        assert said in flow.log_text().partition("listening on")[0]
        with pytest.raises(urllib.error.HTTPError) as unhealthy:
            urllib.request.urlopen(flow.url() + "health/", timeout=20)
        with unhealthy.value as answer:
            problems = json.load(answer)["problems"]
        assert any(said in each for each in problems), problems
        flow.stop_worker()
        assert flow.worker is not None and flow.worker.returncode == 0
