"""How far a server's count runs ahead of its client."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.servers.cases import CASES, CUT_BYTES
from tests.servers.certificate import make_certificate
from tests.servers.page import PAGE
from tests.servers.running import lines_of, run_cases
from tests.servers.web_servers import Nginx

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("nginx")]
CUT = next(case for case in CASES if case.name == "cut-range")


class SmallBuffers(Nginx):
    listen_options = "sndbuf=256k"


def ahead_bytes(kind: type[Nginx], place: Path) -> int:
    """What nginx counts beyond the bytes that a client had when it left."""
    server = kind(place / kind.__name__, place / "files", make_certificate(place))
    outcome = run_cases(server, [CUT])[CUT.name]
    assert outcome.received is not None and outcome.received.ranges == [(0, CUT_BYTES - 1)], outcome.failure
    (line,) = lines_of(server.forms[0].log, outcome.agent, outcome.received.file)
    return int(json.loads(line)["body_bytes_sent"]) - CUT_BYTES


def test_the_smaller_send_buffer_of_the_page_leaves_less_than_a_megabyte_in_doubt(place: Path) -> None:
    assert SmallBuffers.listen_options in PAGE.read_text()
    small, usual = ahead_bytes(SmallBuffers, place), ahead_bytes(Nginx, place)
    assert 0 < small < 1_000_000 < usual
