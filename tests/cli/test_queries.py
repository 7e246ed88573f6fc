"""A log whose addresses are signed anew with each request has the deliveries of the log without signatures."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from app.__main__ import main
from app.domain.requests import key_request, query_rule
from app.settings import Settings, settings
from app.sources.files.read_options import format_options
from app.steps.tokenizer import Tokenizer
from simulator.log import LogPlan, SimulatedLog
from tests.steps.test_tokenizing import found_in, message

LINES = 3_000
"""More than one message of columns."""
SIGNED = query_rule("signed")
PROTOCOL = re.compile(r" HTTP/\S+\Z")
SIGNATURES = (
    "X-Amz-Date={}&X-Amz-Signature={}",
    "Expires={}&Signature={}&Key-Pair-Id=K",
    "se={}&sv=1&sig={}",
    "token={}.{}",
)


@pytest.fixture(autouse=True)
def plain_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("WEBLOGS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield
    settings.cache_clear()


def both_logs(log_format: str, chance: random.Random) -> tuple[list[str], list[str]]:
    """A log, and the same with another signature in each request."""
    (block,) = SimulatedLog(LogPlan(LINES, 7, format=log_format)).blocks(LINES)
    plain, signed = block.splitlines(), []
    for number, line in enumerate(plain):
        columns = line.split("\t") if log_format == "weblog_tsv" else line.split('"')
        at = 4 if log_format == "weblog_tsv" else 1
        request = PROTOCOL.sub("", columns[at])
        protocol = columns[at][len(request) :]
        signature = chance.choice(SIGNATURES).format(number, chance.random())
        columns[at] = f"{request}{'&' if '?' in request else '?'}{signature}{protocol}"
        signed.append(("\t" if log_format == "weblog_tsv" else '"').join(columns))
    return plain, signed


def judged(folder: Path, lines: list[str], *options: str) -> list[dict[str, Any]]:
    """By key and window: all that does not name lines by their places."""
    log, out = folder / "some.log", folder / "out.jsonl"
    log.write_text("".join(f"{line}\n" for line in lines))
    told = CliRunner().invoke(main, ["reduce", str(log), "--quiet", "--output", str(out), *options])
    assert told.exit_code == 0, told.output
    found = [json.loads(line) for line in out.read_text().splitlines()]
    for one in found:
        del one["hit_ids"]
    return sorted(found, key=lambda one: (one["ip_address"], one["user_agent"], one["request"], one["window_start"]))


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("log_format", ["weblog_tsv", "combined_range"])
def test_reduce_judges_signed_addresses_as_plain_ones(log_format: str, processes: str, tmp_path: Path) -> None:
    plain, signed = both_logs(log_format, random.Random(3))
    options = ("--format", log_format, "--processes", processes)
    assert judged(tmp_path, signed, *options) == judged(tmp_path, plain, *options)


@pytest.mark.parametrize("rule", ["keep", "drop", "only:se"])
def test_the_setting_chooses_what_tells_files_apart(rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBLOGS_QUERY", rule)
    settings.cache_clear()
    line = '203.0.113.9 - - [31/Jul/2020:16:46:0{} +0000] "GET /a.bin?se={}&sig={} HTTP/1.1" 206 10 "-" "A" "bytes {}-{}/20"'
    log = [line.format(n, 5, n, 10 * n, 10 * n + 9) for n in range(2)]
    requests = [(one["request"], one["verdict"]) for one in judged(tmp_path, log)]
    assert (
        requests
        == {
            "keep": [("GET /a.bin?se=5&sig=0", "partial"), ("GET /a.bin?se=5&sig=1", "partial")],
            "drop": [("GET /a.bin", "complete")],
            "only:se": [("GET /a.bin?se=5", "complete")],
        }[rule]
    )


@pytest.mark.parametrize("columns_from_bytes", [1, 1 << 30], ids=["columns", "rows"])
def test_the_worker_s_hits_have_the_key_of_the_file_and_the_request_as_logged(columns_from_bytes: int) -> None:
    plain, signed = both_logs("combined_range", random.Random(5))
    tokenizer = Tokenizer(4, "combined_range", format_options(Settings()), columns_from_bytes)
    hits = [
        sorted((hit.time, hit[1:11], hit.logged_request, partition) for partition, hit in found.values())
        for found in (
            found_in(tokenizer.tokenize([message("\n".join(lines), position="0", source="ab" * 16)]))
            for lines in (plain, signed)
        )
    ]
    assert [one[:2] for one in hits[0]] == [one[:2] for one in hits[1]]
    assert {logged for _, _, logged, _ in hits[0]} == {None}
    shortened = [(hit[2], logged) for _, hit, logged, _ in hits[1] if hit[2] is not None]
    assert shortened
    for request, logged in shortened:
        assert logged is not None and logged.startswith(request) and key_request(logged, SIGNED) == request
    assert [one[3] for one in hits[0]] == [one[3] for one in hits[1]]


def test_a_file_of_known_sizes_may_have_signed_addresses(tmp_path: Path) -> None:
    (tmp_path / "sizes.tsv").write_text("GET /a.bin?Signature=x\t20\n")
    line = '203.0.113.9 - - [31/Jul/2020:16:46:00 +0000] "GET /a.bin?Signature=y HTTP/1.1" 200 20 "-" "A"'
    (one,) = judged(tmp_path, [line], "--sizes", "sizes.tsv")
    assert (one["request"], one["verdict"]) == ("GET /a.bin", "complete")
