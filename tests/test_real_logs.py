"""Real public logs, named by REAL_LOGS (a folder); `make test-real-logs`. They are not part of this project."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from app.domain.windows import Rules
from app.reducing.job import Job, Statistics
from app.reducing.learning import learn, sizes_in
from app.reducing.run import deliveries_of
from app.sources.files.read_options import ReadOptions
from tests.flow.content import reduced

pytestmark = pytest.mark.real_logs
FIELDS = ("bytes_sent", "hits", "verdict", "evidence", "reason")


def real(name: str) -> Path:
    folder = os.environ.get("REAL_LOGS", "")
    assert folder, "set REAL_LOGS to a folder with apache_logs and the NASA heads"
    return Path(folder) / name


@pytest.mark.parametrize(
    ("name", "lines", "rejects"),
    [
        ("apache_logs", 10_000, {"bad_columns": 1}),
        ("nasa_jul95_head.log", 4000, {}),
        ("nasa_aug95_head.log", 1930, {"bad_columns": 89}),
        ("s3_sample.log", 6, {}),
        ("cloudfront_sample.log", 4, {}),
    ],
)
def test_every_line_is_accounted_for(name: str, lines: int, rejects: dict[str, int]) -> None:
    _, statistics = reduced(real(name))
    assert (
        statistics.lines
        == lines
        == real(name).read_bytes().count(b"\n") + (not real(name).read_bytes().endswith(b"\n"))
    )
    assert statistics.hits + statistics.rejects.total() + statistics.heads == lines
    assert statistics.rejects == Counter(rejects)


def test_no_delivery_of_the_apache_log_is_complete_on_byte_counts_alone() -> None:
    found, _ = reduced(real("apache_logs"), fields=FIELDS)
    assert len(found) > 5000
    assert {row[2:4] for row in found.values()} == {("unknown", "bytes")}


def test_the_sums_of_the_fourteen_groups_with_a_206_are_right() -> None:
    """Summed here by a pattern of its own."""
    pattern = re.compile(r'(\S+) \S+ \S+ \[[^]]+\] "(GET \S+) HTTP/1\.\d" (200|206) (\d+) ".*?" "(.*)"$')
    sums: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    partial: dict[tuple[str, str, str], int] = defaultdict(int)
    for line in real("apache_logs").read_text().splitlines():
        if match := pattern.fullmatch(line):
            key = (match[1], match[5], match[2])
            sums[key].append(int(match[4]))
            if match[3] == "206":
                partial[key] += int(match[4])
    assert len(partial) == 14
    found, _ = reduced(real("apache_logs"), rules=Rules("all"), fields=FIELDS)
    for key in partial:
        assert found[(*key, 0.0)][:2] == (sum(sums[key]), len(sums[key]))
    assert 1_693_678 in partial.values()  # one document that came in pieces, whole


@pytest.mark.parametrize(
    ("name", "complete"), [("apache_logs", 6485), ("nasa_jul95_head.log", 2947), ("nasa_aug95_head.log", 1256)]
)
def test_no_delivery_that_is_whole_by_learned_sizes_is_contradicted_later(name: str, complete: int) -> None:
    """By a 206, or by a 200 with more bytes, of the same client; read here by a pattern of its own."""
    path = str(real(name))
    witnesses = learn([path], ReadOptions(), [])
    job = Job([path], size_of=sizes_in(dict(witnesses.sizes())))
    whole = [one for one in deliveries_of(job, Statistics()) if one.verdict == "complete"]
    assert len(whole) == complete
    pattern = re.compile(r'(\S+) \S+ \S+ \[[^]]+\] "(GET .*?)(?: HTTP/1\.\d)?" (200|206) (\d+)(?: ".*?" "(.*)")?$')
    sent: dict[tuple[str, str, str], list[tuple[str, int]]] = defaultdict(list)
    for line in real(name).read_text("latin-1").splitlines():
        if match := pattern.fullmatch(line):
            sent[match[1], match[5] or "-", match[2]].append((match[3], int(match[4])))
    by_key = [(one, sent.get((one.ip_address, one.user_agent or "-", one.request), [])) for one in whole]
    assert sum(bool(lines) for _, lines in by_key) > 0.9 * complete
    for one, lines in by_key:
        total = one.total_bytes
        assert total is not None and all(status == "200" and count <= total for status, count in lines), one
