"""Servers whose lines prove less: what the page says of them, by real clients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.cases import CASES, Case
from tests.servers.certificate import make_certificate
from tests.servers.java_servers import Jetty, Tomcat, TomcatWithSendfile, Undertow
from tests.servers.running import Run
from tests.servers.web_servers import H2o, Varnish, WebServer

pytestmark = [pytest.mark.servers, pytest.mark.timeout(280), pytest.mark.xdist_group("more")]
BY_NAME = {case.name: case for case in CASES}


def run_of(kind: type[WebServer], place: Path, *names: str) -> Run:
    server = kind(place / kind.name, place / "files", make_certificate(place))
    return Run(server, [BY_NAME[name] for name in names])


@pytest.fixture(scope="module")
def h2o(place: Path) -> Run:
    return run_of(
        H2o,
        place,
        "whole-curl",
        "from-0",
        "from-0-http2",
        "pieces",
        "pieces-hole",
        "cut",
        "cut-range",
        "one-byte-range",
    )


@pytest.fixture(scope="module")
def varnish(place: Path) -> Run:
    """The first case fills the cache; others are hits."""
    return run_of(Varnish, place, "from-0", "whole-curl", "pieces", "pieces-hole", "cut", "cut-range", "resumed-range")


@pytest.mark.parametrize("name", ["from-0", "from-0-http2", "pieces", "one-byte-range"])
def test_h2o_proves_ranges(h2o: Run, name: str) -> None:
    (found,) = h2o.deliveries(BY_NAME[name])
    assert h2o.received(BY_NAME[name]).whole
    assert (found["verdict"], found["evidence"], found["missing"]) == ("complete", "ranges", [])


def test_h2o_tells_the_hole_between_ranges(h2o: Run) -> None:
    (found,) = h2o.deliveries(BY_NAME["pieces-hole"])
    assert found["verdict"] == "partial"


def test_h2o_proves_a_200_if_the_size_is_known(h2o: Run, tmp_path: Path) -> None:
    case = BY_NAME["whole-curl"]
    (found,) = h2o.deliveries(case)
    assert (found["verdict"], found["reason"]) == ("unknown", "size_unknown")
    (tmp_path / "sizes.tsv").write_text(f"{found['request']}\t{h2o.received(case).size}\n")
    (sized,) = h2o.deliveries(case, "--sizes", str(tmp_path / "sizes.tsv"))
    assert (sized["verdict"], sized["evidence"]) == ("complete", "ranges")


@pytest.mark.parametrize("name", ["cut", "cut-range"])
def test_h2o_names_nobody_whose_connection_broke(h2o: Run, name: str) -> None:
    case = BY_NAME[name]
    assert not h2o.received(case).whole
    assert [line.split(" ", 1)[0] for line in h2o.lines(case)] == ["-"]
    assert h2o.deliveries(case) == []


def logged_bytes(line: str) -> int:
    """Of a line of the common family."""
    return int(line.split('" ', 2)[1].split(" ")[1])


@pytest.mark.parametrize("name", ["cut", "cut-range"])
def test_varnish_logs_more_of_a_hit_that_a_client_broke_off_than_it_received(varnish: Run, name: str) -> None:
    """All of it, if it does not see the break before its last write."""
    received = varnish.received(BY_NAME[name])
    (line,) = varnish.lines(BY_NAME[name])
    assert sum(hi - lo + 1 for lo, hi in received.ranges) < logged_bytes(line) <= received.size
    assert line.endswith(" hit")


@pytest.mark.parametrize(
    "case",
    [BY_NAME[name] for name in ("whole-curl", "pieces", "cut", "cut-range", "resumed-range")],
    ids=lambda case: case.name,
)
def test_varnish_proves_no_hit_whole_and_a_broken_one_only_by_fewer_bytes(varnish: Run, case: Case) -> None:
    (found,) = varnish.deliveries(case)
    lines, received = varnish.lines(case), varnish.received(case)
    # of a 200 nothing names the size
    fewer = not received.whole and any('" 206 ' in line and logged_bytes(line) < received.size for line in lines)
    told = f"{found}\n" + "\n".join(lines)
    assert found["verdict"] == ("partial" if fewer else "unknown"), told
    assert bool(found["missing"]) == fewer, told


def test_varnish_tells_the_hole_between_ranges(varnish: Run) -> None:
    (found,) = varnish.deliveries(BY_NAME["pieces-hole"])
    assert not varnish.received(BY_NAME["pieces-hole"]).whole
    assert found["verdict"] == "partial"


JAVA_CASES = (
    "whole-curl",
    "from-0",
    "pieces",
    "pieces-hole",
    "cut",
    "cut-early",
    "cut-range",
    "gzip",
    "empty",
    "one-byte",
)


@pytest.fixture(scope="module")
def java(place: Path) -> Callable[[type[WebServer]], Run]:
    runs: dict[str, Run] = {}

    def run_once(kind: type[WebServer]) -> Run:
        if kind.name not in runs:
            runs[kind.name] = run_of(kind, place, *JAVA_CASES)
        return runs[kind.name]

    return run_once


@pytest.mark.parametrize("kind", [Tomcat, Jetty, Undertow])
@pytest.mark.parametrize("name", JAVA_CASES)
def test_servers_of_java_prove_what_the_client_has(
    java: Callable[[type[WebServer]], Run], kind: type[WebServer], name: str
) -> None:
    run, case = java(kind), BY_NAME[name]
    (found,) = run.deliveries(case)
    told = f"{found}\n" + "\n".join(run.lines(case))
    if case.encoded:
        assert (found["verdict"], found["reason"]) == ("unknown", "encoded"), told
    elif run.received(case).whole:
        assert (found["verdict"], found["evidence"], found["missing"]) == ("complete", "ranges", []), told
    else:
        assert found["verdict"] == "partial", told


@pytest.mark.parametrize("name", ["cut", "cut-early", "cut-range", "whole-curl"])
def test_tomcat_with_sendfile_logs_all_of_what_broke_off_so_it_proves_nothing(
    java: Callable[[type[WebServer]], Run], name: str
) -> None:
    run, case = java(TomcatWithSendfile), BY_NAME[name]
    size = run.received(case).size
    (line,) = run.lines(case)
    assert f" {size} " in line and line.endswith("+")
    (found,) = run.deliveries(case)
    assert (found["verdict"], found["reason"], found["missing"]) == ("unknown", "announced", [])
