"""The page that tells people how to configure their servers, as the tests on real servers read it."""

from __future__ import annotations

import re

import pytest

from tests.servers.java_servers import Jetty, Tomcat, Undertow
from tests.servers.page import PAGE, apache_format, pasted, squid_format
from tests.servers.web_servers import MORE_SERVERS, SERVERS, WebServer

NAMED = (
    "nginx",
    "Apache",
    "lighttpd",
    "Caddy",
    "HAProxy",
    "Squid",
    "h2o",
    "Varnish",
    "Tomcat",
    "Jetty",
    "Undertow",
    "gunicorn",
    "Traefik",
    "Envoy",
    "IIS",
    "CloudFront",
    "S3",
    "MinIO",
)
TRIED: tuple[type[WebServer], ...] = (*SERVERS, *MORE_SERVERS, Tomcat, Jetty, Undertow)
ROWS = re.findall(r"^\| \[([\w]+)\]\(#(\w+)\) \|", PAGE.read_text(), re.MULTILINE)


@pytest.mark.parametrize("heading", NAMED)
def test_the_page_has_lines_to_paste_for_every_server(heading: str) -> None:
    assert len(pasted(heading)) > 50


def test_the_table_of_the_page_has_every_server_once() -> None:
    assert [(name, name.lower()) for name in NAMED] == ROWS


def test_a_server_that_was_never_run_is_said_to_be_untried() -> None:
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## )", PAGE.read_text(), re.MULTILINE | re.DOTALL))
    tried = {server.name for server in TRIED}
    others = ("not tried here", "Tried by hand")
    assert {name.lower() for name in NAMED if not any(word in sections[name] for word in others)} == tried


def test_the_bytes_of_the_page_are_never_the_size_of_the_answer() -> None:
    assert "%O" in apache_format(pasted("Apache")) and not re.search(r"%[bB]", apache_format(pasted("Apache")))
    assert "%<st" in squid_format(pasted("Squid"))
