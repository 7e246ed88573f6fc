"""Deliveries from columns are those from lines: the same ones, in the same order, in every window mode."""

from __future__ import annotations

import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.columns.blocks import LineColumns
from app.columns.formats.weblog_tsv import read_block
from app.domain.formats import FORMATS, FormatOptions
from app.domain.lines import BadAt, ReadLines, read_lines
from app.domain.open_deliveries import OpenDeliveries
from app.domain.records import Delivery, short_id
from app.domain.tallies import MAX_HITS
from app.domain.watermarks import Advance
from app.domain.windows import WINDOWS, Rules
from app.reducing.job import Job, Statistics
from app.reducing.run import deliveries_of
from app.reducing.stretch_hits import stretch_hits
from app.sources.files.read_options import ReadOptions
from simulator.log import SHAPES, LogPlan, SimulatedLog
from tests.columns.logs import logs
from tests.domain.reducing import InBulk
from tests.properties import examples

parse = FORMATS["weblog_tsv"].make_parser((), FormatOptions())
ARRIVED = 1_700_000_000.0
NEVER = 1 << 62
RULES = st.builds(
    Rules,
    st.sampled_from(WINDOWS),
    st.sampled_from([0.5, 1.0, 10.0, 45.0, 86400.0]),
    st.sampled_from([0.0, 20.0, 86400.0]),
)


def cut(data: bytes, sizes: list[int]) -> list[tuple[int, bytes]]:
    """Chunks of so many lines each, the sizes again and again, with their positions."""
    lines = (
        data.splitlines(keepends=True) if b"\r" not in data else [line + b"\n" for line in data.split(b"\n") if line]
    )
    chunks: list[tuple[int, bytes]] = []
    at = position = 0
    while at < len(lines):
        size = sizes[len(chunks) % len(sizes)]
        chunk = b"".join(lines[at : at + size])
        chunks.append((position, chunk))
        at, position = at + size, position + len(chunk)
    return chunks


class Both:
    """The same lines merged one by one and gathered, some chunks at a time, from lines and from columns."""

    def __init__(self, rules: Rules, chunks_at_once: int) -> None:
        self.rules = rules
        self.plain = InBulk(rules, waiting_hits=NEVER)
        self.gathered = OpenDeliveries(rules)
        self.counted = 0
        self._chunks_at_once = chunks_at_once
        self._reads: list[ReadLines | LineColumns] = []
        self._source = 0

    def add(self, data: bytes, position: int, source: int, as_lines: bool) -> None:
        read = read_lines(data, parse, ARRIVED, position)
        if source != self._source:
            self.merge()
            self._source = source
        advance = Advance(read.lowest, read.highest, read.disorder_s)
        self.plain.add(read.hits, map(short_id(f"source {source}"), read.positions), source, advance)
        self._reads.append((None if as_lines else read_block(data, ARRIVED, position)) or read)
        if len(self._reads) == self._chunks_at_once:
            self.merge()

    def merge(self) -> None:
        if self._reads:
            some = pickle.loads(pickle.dumps(stretch_hits(self._reads, f"source {self._source}", self.rules)))
            self.counted += some.counted
            self.gathered.merge(some.by_key(), self._source)
            for advance in some.advances:
                self.gathered.clocks.observe(self._source, advance, 0.0)
            self._reads = []
            self.plain.flush()

    def assert_same_sweep(self) -> None:
        self.merge()
        assert self.gathered.sweep() == self.plain.sweep()
        assert self.counted == self.plain.counted
        assert list(self.gathered.open) == list(self.plain.open)

    def assert_same_end(self) -> None:
        self.merge()
        assert list(self.gathered.finish()) == list(self.plain.finish())
        assert self.counted == self.plain.counted


@settings(max_examples=examples(120), deadline=None)
@given(
    st.lists(logs(max_lines=25), min_size=1, max_size=2),
    RULES,
    st.lists(st.integers(1, 12), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=6),
    st.sampled_from([1, 2, 5, 1000]),
)
def test_any_log_in_any_chunks_gives_the_same_deliveries(
    sources: list[bytes], rules: Rules, sizes: list[int], plans: list[tuple[int, bool]], chunks_at_once: int
) -> None:
    both = Both(rules, chunks_at_once)
    for source, data in enumerate(sources):
        for number, (position, chunk) in enumerate(cut(data, sizes)):
            by_line, sweep = plans[number % len(plans)]
            both.add(chunk, position, source, by_line == 0)
            if sweep:
                both.assert_same_sweep()
    both.assert_same_end()


@settings(max_examples=examples(60), deadline=None)
@given(logs(hostile=False), RULES, st.integers(1, 9), st.sampled_from([1, 8, 1000]))
def test_chunks_that_come_again_change_nothing(data: bytes, rules: Rules, size: int, chunks_at_once: int) -> None:
    both = Both(rules, chunks_at_once)
    for position, chunk in cut(data, [size]) * 2:
        both.add(chunk, position, 0, False)
    both.merge()
    assert sorted(both.gathered.finish()) == sorted(both.plain.finish())


@pytest.mark.parametrize(
    ("window", "chunks_at_once"),
    [
        ("last_touch", 3),
        *(pytest.param(window, size, marks=pytest.mark.long) for window in WINDOWS for size in (4, 100)),
    ],
)
def test_a_delivery_of_more_hits_than_are_kept_is_the_same(window: str, chunks_at_once: int) -> None:
    line = b"2020-07-31\t2020-07-31 16:%02d:%02d\t10.0.0.1\tcurl\tGET /a\t206\t%d-%d\n"
    data = b"".join(
        line % (at // 600, at // 10 % 60, at * 7 % 9973 * 10, at * 7 % 9973 * 10 + 4 + at % 5)
        for at in range(MAX_HITS + 500)
    )
    both = Both(Rules(window), chunks_at_once)
    for position, chunk in cut(data, [1000]):
        both.add(chunk, position, 0, False)
    both.assert_same_end()


def reduced(
    paths: list[Path], rules: Rules, chunk_bytes: int, columns: bool
) -> tuple[list[Delivery], Statistics, list[tuple[str, BadAt]]]:
    rejects: list[tuple[str, BadAt]] = []
    job = Job(
        [str(path) for path in paths],
        ReadOptions("weblog_tsv", chunk_bytes, 1024),
        rules,
        columns_from_bytes=0 if columns else NEVER,
        on_reject=lambda name, bad: rejects.append((name, bad)),
    )
    statistics = Statistics()
    deliveries = list(deliveries_of(job, statistics))
    statistics.seconds = 0.0
    return deliveries, statistics, rejects


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(logs(), min_size=1, max_size=2), RULES, st.sampled_from([64, 700, 1 << 16]))
def test_files_give_the_same_deliveries_statistics_and_rejects(
    contents: list[bytes], rules: Rules, chunk_bytes: int
) -> None:
    with TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.tsv") for number in range(len(contents))]
        for path, data in zip(paths, contents, strict=True):
            path.write_bytes(data)
        assert reduced(paths, rules, chunk_bytes, True) == reduced(paths, rules, chunk_bytes, False)


@pytest.fixture(scope="module", params=SHAPES)
def simulated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logs") / f"{request.param}.tsv"
    log = SimulatedLog(LogPlan(examples(20_000), 7, request.param))
    path.write_text(log.head() + "".join(log.blocks()), "utf-8")
    return path


@pytest.mark.sampled
@pytest.mark.parametrize(
    "window", ["last_touch", *(pytest.param(window, marks=pytest.mark.long) for window in WINDOWS[1:])]
)
def test_a_simulated_log_gives_the_same_deliveries(
    simulated: Path, window: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.reducing.run._SWEEP_HITS", 5000)
    rules = Rules(window, 3600.0, 600.0)
    assert reduced([simulated], rules, 1 << 17, True) == reduced([simulated], rules, 1 << 17, False)


@pytest.mark.parametrize("seconds", [(10, 30, 20), (30, 10, 20), (10, 30, 50, 20), (10, 30, 50, 40, 20)])
def test_hits_between_two_known_sessions_join_them(seconds: tuple[int, ...]) -> None:
    both = Both(Rules("last_touch", 15.0), 1)
    line = b"2020-07-31\t2020-07-31 16:46:%02d\t10.0.0.1\tcurl\tGET /a\t206\t%d-%d\n"
    for number, second in enumerate(seconds):
        data = line % (second, second, second + number)
        both.add(data, number * len(data), 0, False)
    both.assert_same_end()
