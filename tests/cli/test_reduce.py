"""`reduce` gives the answers of the worked examples and of the simulator's truth, and says in words what it cannot do."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.__main__ import main
from app.settings import settings
from app.sources.files.orders import ordered_chunks
from app.sources.files.read_options import ReadOptions
from app.sources.identity.identifier import Identifier
from app.sources.replay.source import open_source
from simulator.truth import Shot, WindowRule, answers
from tests.properties import examples

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
FIREFOX = "/6d8a9754-e8c7-4193-8491-58b2122c1c10"
CHROME = "/c66c0276-3cc2-47f9-a5ae-42954421a4b1"
_TRUTH_FIELDS = (
    "ip_address", "user_agent", "request", "window_start", "ranges", "missing", "covered_bytes", "total_bytes", "size_known", "verdict",
    "evidence", "reason", "hits", "bytes_sent", "first", "last",
)  # fmt: skip


@pytest.fixture(autouse=True)
def plain_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("WEBLOGS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "160")  # parallel runs of the tests set a narrow one
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    yield
    settings.cache_clear()


def run(*arguments: object, code: int = 0, command: str = "reduce") -> Result:
    result = CliRunner().invoke(main, [*command.split(), *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def deliveries(*arguments: object, code: int = 0) -> list[dict[str, Any]]:
    run(*arguments, "-q", "-o", "found.jsonl", code=code)
    return [json.loads(line) for line in Path("found.jsonl").read_text("utf-8").splitlines()]


def comparable(found: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps([one[name] for name in _TRUTH_FIELDS]) for one in found)


# -- the worked examples


def _check_nine_lines(found: list[dict[str, Any]]) -> None:
    first, second = sorted(found, key=lambda one: one["request"])
    assert (first["ip_address"], first["request"]) == ("63.110.194.22", FIREFOX)
    assert (first["ranges"], first["covered_bytes"], first["hits"]) == ([[0, 1156]], 1157, 4)
    assert (first["verdict"], first["size_known"], first["missing"]) == ("complete", False, [])
    assert (second["ip_address"], second["request"]) == ("120.250.243.111", CHROME)
    assert (second["ranges"], second["covered_bytes"], second["hits"]) == ([[718, 1795]], 1078, 3)
    assert (second["verdict"], second["reason"], second["missing"]) == ("partial", "start_missing", [[0, 717]])


def test_nine_lines_are_two_deliveries() -> None:
    _check_nine_lines(deliveries(SAMPLES / "nine-lines.tsv"))


def test_nine_lines_are_the_same_two_deliveries_in_any_order() -> None:
    head, *lines = (SAMPLES / "nine-lines.tsv").read_text().splitlines()
    orders = [
        *(lines[turn:] + lines[:turn] for turn in range(9)),
        *(lines[turn::-1] + lines[:turn:-1] for turn in range(9)),
    ]
    orders += [list(order) + lines[4:] for order in itertools.permutations(lines[:4])]
    for number, order in enumerate(orders):
        path = Path(f"{number}.tsv")
        path.write_text("\n".join([head, *order]))
        _check_nine_lines(deliveries(path))
    for way in ("reverse", "random"):
        _check_nine_lines(deliveries(SAMPLES / "nine-lines.tsv", "--order", way))


def test_a_size_one_below_what_was_covered_clips_the_ranges_and_says_so() -> None:
    Path("sizes").write_text(f"# true sizes\n\n{FIREFOX}\t1156\n")
    first, second = sorted(deliveries(SAMPLES / "nine-lines.tsv", "--sizes", "sizes"), key=lambda one: one["request"])
    assert (first["ranges"], first["verdict"], first["flags"]) == ([[0, 1155]], "complete", ["beyond_size"])
    assert (first["total_bytes"], first["size_known"]) == (1156, True)
    assert second["flags"] == []


@pytest.mark.parametrize(
    ("window", "starts"),
    [
        ("day", ["2020-07-27T00:00:00Z", "2020-07-28T00:00:00Z", "2020-07-29T00:00:00Z"]),
        ("first_touch", ["2020-07-27T22:00:00Z", "2020-07-28T22:15:00Z", "2020-07-29T23:15:00Z"]),
        ("last_touch", ["2020-07-27T22:00:00Z", "2020-07-29T23:15:00Z"]),
        ("all", ["1970-01-01T00:00:00Z"]),
    ],
)
def test_each_window_mode_starts_deliveries_at_its_requests(window: str, starts: list[Any]) -> None:
    run(SAMPLES / "windows.tsv", "--window", window, "-q", "-o", "o.csv")
    with Path("o.csv").open(newline="") as file:
        assert [row["window_start"] for row in csv.DictReader(file)] == starts


def test_a_log_without_clients_gives_hits_and_no_delivery() -> None:
    result = run(SAMPLES / "cdn.tsv")
    told = _numbers(result.stdout)
    assert (told["lines"], told["hits"], told["not counted"], told["rejects"], told["deliveries"]) == (11, 10, 10, 0, 0)
    rows = [line.split("\t") for line in (SAMPLES / "cdn.tsv").read_text().splitlines()[1:]]
    sizes = {url: int(size) for _, _, size, url in rows}
    assert sum(sizes.values()) == 85_411
    assert sum(size for url, size in sizes.items() if url.endswith(".jpg")) == 85_251


def _numbers(text: str) -> dict[str, int]:
    """Names and numbers of the statistics."""
    rows = [line.strip().rsplit("  ", 1) for line in text.splitlines() if "  " in line.strip()]
    return {
        row[0].strip(): int(row[1].replace(",", ""))
        for row in rows
        if len(row) == 2 and row[1].strip().replace(",", "").isdigit()
    }


# -- against the simulator's truth


@pytest.mark.sampled
@pytest.mark.parametrize("form", ["weblog_tsv", "combined_range"])
@pytest.mark.parametrize(
    ("window", "shape"),
    [
        ("last_touch", "mixed"),
        ("first_touch", "random"),
        ("day", "reverse"),
        ("all", "sequential"),
        ("last_touch", "random"),
    ],
)
def test_deliveries_equal_the_truth_of_a_simulated_log(form: str, window: str, shape: str) -> None:
    arguments = [
        "weblogs",
        "-n",
        examples(20_000 if form == "weblog_tsv" else 8_000),
        "-s",
        11,
        "--shape",
        shape,
        "--format",
        form,
        "--window",
        window,
    ]
    run(*arguments, "-o", "log", "--truth", "truth.jsonl", "-q", command="simulate")
    truth = [json.loads(line) for line in Path("truth.jsonl").read_text("utf-8").splitlines()]
    assert len(truth) > examples(800)
    assert comparable(deliveries("log", "--window", window)) == comparable(truth)


def test_deliveries_equal_the_truth_with_other_lengths_and_with_sizes() -> None:
    arguments = ["weblogs", "-n", 5_000, "-s", 12, "--window", "first_touch", "--window-length", 30]
    run(*arguments, "-o", "log.tsv.gz", "--truth", "truth.jsonl", "--sizes", "sizes", "-q", command="simulate")
    truth = [json.loads(line) for line in Path("truth.jsonl").read_text("utf-8").splitlines()]
    found = deliveries("log.tsv.gz", "--window", "first_touch", "--window-length", "30", "--sizes", "sizes")
    assert comparable(found) == comparable(truth)
    assert {one["reason"] for one in truth} >= {None, "start_missing", "gap", "end_missing", "probe_only"}


@pytest.mark.long
@pytest.mark.parametrize("form", ["weblog_tsv", "combined_range"])
@pytest.mark.parametrize("window", ["last_touch", "first_touch", "day", "all"])
def test_deliveries_equal_the_truth_of_a_large_log_that_is_swept_while_it_is_read(
    form: str, window: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.reducing.run._SWEEP_HITS", 10_000)
    arguments = ["weblogs", "-n", 120_000, "-s", 13, "--format", form, "--window", window]
    run(*arguments, "-o", "log", "--truth", "truth.jsonl", "-q", command="simulate")
    truth = [json.loads(line) for line in Path("truth.jsonl").read_text("utf-8").splitlines()]
    found = deliveries("log", "--window", window)
    assert comparable(found) == comparable(truth)
    assert any(one["final"] for one in found) == (window != "all")


# -- playbacks


def test_the_first_three_playbacks_agree_exactly_and_the_fourth_agrees_with_the_lines_drawn() -> None:
    result = run("--out", "out", command="playbacks")
    assert "file, reverse and random agree exactly" in result.output
    names = {path.name for path in Path("out").iterdir()}
    assert names == {
        f"weblogs-{order}{ending}" for order in ("file", "reverse", "random", "sample") for ending in (".tsv", ".xlsx")
    }
    tables = {order: Path(f"out/weblogs-{order}.tsv").read_text() for order in ("file", "reverse", "random", "sample")}
    assert tables["file"] == tables["reverse"] == tables["random"] != tables["sample"]
    for order in tables:
        assert f"{order}: " in result.output
    assert "complete" in result.output
    assert "start missing" in result.output
    assert "middle missing" in result.output


def test_the_fourth_playback_agrees_with_the_lines_that_were_drawn() -> None:
    drawn = {}
    with open_source(SAMPLES / "weblogs.tsv", Identifier(), ReadOptions()) as opened:
        assert opened.source is not None
        for chunk in ordered_chunks(opened.stream, "sample", 1, ReadOptions(), opened.source.rule):
            for position, line in zip(chunk.positions or (), chunk.data.decode().splitlines(), strict=False):
                drawn[position] = line.split("\t")
    assert 1000 < len(drawn) < 1500  # of 2,000 lines drawn 2,000 times
    shots = defaultdict(list)
    for _, when, ip_address, agent, request, status, span in drawn.values():
        if status in ("200", "206") and not request.startswith("HEAD "):
            lo, hi = map(int, span.split("-"))
            time = int(datetime.fromisoformat(when + "+00:00").timestamp())
            shots[ip_address, agent, re.sub(r" HTTP/\d\.\d$", "", request)].append(Shot(time, lo, hi, -1, -1))
    truth = [answer for key, found in shots.items() for answer in answers(key, found, WindowRule())]
    assert comparable(deliveries(SAMPLES / "weblogs.tsv", "--order", "sample", "--seed", "1")) == comparable(truth)


def test_playbacks_tell_what_is_incomplete_when_asked() -> None:
    result = run(SAMPLES / "nine-lines.tsv", "--debug", command="playbacks")
    assert f"120.250.243.111 {CHROME} 2020-07-31" in result.stderr
    assert "partial, start missing; missing 0-717" in result.stderr


# -- what it says


def test_the_table_and_the_statistics_account_for_every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    Path("log.tsv").write_text(
        (SAMPLES / "nine-lines.tsv").read_text()
        + "one\ttwo\n2020-07-31\t2020-07-31 16:46:07\t10.0.0.1\ta\t/x\t206\t9-1\n\n"
    )
    result = run("log.tsv", "--debug")
    told = _numbers(result.stdout)
    assert (told["lines"], told["head lines"], told["hits"], told["rejects"]) == (13, 1, 9, 3)
    assert (told["bad_columns"], told["bad_range"]) == (2, 1)
    assert (told["deliveries"], told["complete"], told["start missing"], told["middle missing (gap)"]) == (2, 1, 1, 0)
    assert told["not counted"] == 2
    assert told["covered bytes"] == 1157 + 1078
    assert FIREFOX in result.stdout
    size = len((SAMPLES / "nine-lines.tsv").read_text())
    assert f"log.tsv, byte {size}: bad_columns" in result.stderr


def test_complete_deliveries_that_were_resumed_are_counted_apart() -> None:
    line = '203.0.113.9 - - [31/Jul/2020:12:00:0{} +0000] "GET /{} HTTP/1.1" 206 {} "-" "curl/8" "bytes {}-999/1000"\n'
    lines = [line.format(0, "a", 600, 0), line.format(1, "a", 600, 400), line.format(2, "b", 1000, 0)]
    Path("some.log").write_text("".join(lines[2:]))
    Path("log.log").write_text("".join(lines))
    told = _numbers(run("log.log").stdout)
    assert (told["complete"], told["of them resumed after a broken response"]) == (2, 1)
    assert "of them resumed after a broken response" not in _numbers(run("some.log").stdout)


def test_quiet_says_nothing_beside_the_table() -> None:
    assert "lines/s" not in run(SAMPLES / "nine-lines.tsv", "-q").output
    assert run(SAMPLES / "nine-lines.tsv", "-q", "-o", "o.tsv").output == ""


def test_the_same_file_twice_or_zipped_counts_once() -> None:
    Path("a.tsv").write_bytes((SAMPLES / "weblogs.tsv").read_bytes())
    Path("a.gz").write_bytes(gzip.compress((SAMPLES / "weblogs.tsv").read_bytes()))
    assert comparable(deliveries("a.tsv", "a.gz", "a.tsv")) == comparable(deliveries("a.tsv"))


def test_lines_from_standard_input() -> None:
    command = [sys.executable, "-m", "app", "reduce", "-"]
    result = subprocess.run(
        command, cwd=SAMPLES.parent, input=(SAMPLES / "nine-lines.tsv").read_bytes(), capture_output=True, check=True
    )
    assert _numbers(result.stdout.decode())["deliveries"] == 2


def test_a_broken_archive_gives_what_was_good_and_exit_code_1() -> None:
    whole = gzip.compress((SAMPLES / "weblogs.tsv").read_bytes(), mtime=0)
    Path("cut.gz").write_bytes(whole[: len(whole) // 2])
    result = run("cut.gz", "-o", "o.jsonl", code=1)
    assert "cut.gz" in result.stderr
    assert 0 < _numbers(result.stdout)["deliveries"] == len(Path("o.jsonl").read_text("utf-8").splitlines())


def test_a_missing_file_among_others_is_said_and_the_others_are_reduced() -> None:
    result = run("missing.tsv", SAMPLES / "nine-lines.tsv", "-o", "o.tsv", code=1)
    assert "missing.tsv" in result.stderr
    assert len(Path("o.tsv").read_text().splitlines()) == 3


def test_where_nothing_could_be_read_an_old_result_stays() -> None:
    Path("o.tsv").write_text("old")
    result = run("missing.tsv", "-o", "o.tsv", code=1)
    assert "missing.tsv" in result.stderr
    assert Path("o.tsv").read_text() == "old"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "o.doc"], ".parquet or .xlsx"),
        (["-o", "nowhere/o.tsv"], "nowhere/o.tsv"),
        (["--format", "combned"], "combined"),
        (["--window", "week"], "week"),
        (["--window-length", "0"], "--window-length"),
        (["--sizes", "missing"], "missing"),
        (["--order", "sorted"], "sorted"),
    ],
)
def test_what_is_asked_wrongly_is_said_with_exit_code_2(arguments: list[Any], said: str) -> None:
    result = run(SAMPLES / "nine-lines.tsv", *arguments, code=2)
    assert said in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["reduce", "samples/nine-lines.tsv"],
        ["reduce", "-o", "{}.tsv", "samples/nine-lines.tsv"],
        ["simulate", "weblogs"],
    ],
)
def test_a_standard_output_that_takes_nothing_is_said_in_one_sentence(tmp_path: Path, arguments: list[Any]) -> None:
    command = [sys.executable, "-m", "app", *(argument.format(tmp_path / "o") for argument in arguments)]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            command, cwd=SAMPLES.parent, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert result.returncode == 1
    assert result.stderr.startswith("Error: standard output: cannot be written: No space left")
    assert len(result.stderr.splitlines()) == 1


def test_a_reader_of_the_pipe_who_leaves_is_no_error() -> None:
    command = f"{sys.executable} -m app reduce samples/weblogs.tsv | head -1; {sys.executable} -m app simulate weblogs -n 50000 | head -1"
    result = subprocess.run(command, shell=True, cwd=SAMPLES.parent, capture_output=True, text=True, check=True)
    assert len(result.stdout.splitlines()) == 2
    assert result.stderr == ""


def test_a_bad_line_in_the_sizes_is_named() -> None:
    Path("sizes").write_text("/a\t12\n/b twelve\n")
    assert "sizes, line 2" in run(SAMPLES / "nine-lines.tsv", "--sizes", "sizes", code=2).stderr


def test_a_setting_of_the_environment_counts_where_no_option_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBLOGS_WINDOW", "all")
    settings.cache_clear()
    assert [one["window_start"] for one in deliveries(SAMPLES / "windows.tsv")] == [0.0]


def test_an_empty_file_gives_no_deliveries_and_no_error() -> None:
    Path("empty.tsv").write_bytes(b"")
    assert _numbers(run("empty.tsv").stdout)["deliveries"] == 0


def _write_pieces(
    path: Path, lines: int, line: str = "2020-07-31\t2020-07-31 16:46:07\t10.0.0.1\tagent\t/x\t206\t{lo}-{hi}\n"
) -> None:
    """One client that fetches ever new pieces of one file, none touching."""
    with path.open("w") as file:
        for number in range(lines):
            file.write(line.format(lo=number * 10, hi=number * 10 + 4))


COMBINED_RANGE = '10.0.0.1 - - [31/Jul/2020:16:46:07 +0000] "GET /x HTTP/1.1" 206 5 "-" "agent" "bytes {lo}-{hi}/*"\n'


def test_a_delivery_in_more_pieces_than_are_kept_is_fragmented() -> None:
    _write_pieces(Path("log.tsv"), 10_200)
    (found,) = deliveries("log.tsv")
    assert (found["verdict"], found["reason"], found["hits"]) == ("unknown", "fragmented", 10_000)


@pytest.mark.long
@pytest.mark.parametrize("window", ["last_touch", "first_touch", "day", "all"])
@pytest.mark.parametrize("line", [(), (COMBINED_RANGE,)], ids=["read as columns", "read line by line"])
def test_memory_does_not_grow_with_the_lines_of_one_delivery(window: str, line: tuple[str, ...]) -> None:
    # VmHWM, in kB, is this process' own: ru_maxrss begins with what the process had that started it
    peak = "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1], file=sys.stderr)"
    code = f"import atexit, re, sys\natexit.register(lambda: {peak})\nfrom app.cli.reduce.command import command\ncommand(standalone_mode=False)"
    peaks = []
    for lines in (
        160_000,
        480_000,
    ):  # both are long enough for columns, and for readers that have all they may have at a time
        _write_pieces(Path("log.tsv"), lines, *line)
        command = [sys.executable, "-c", code, str(Path("log.tsv").absolute()), "--window", window, "--processes", "2"]
        result = subprocess.run(command, cwd=SAMPLES.parent, capture_output=True, text=True, check=True)
        assert "too many pieces" in result.stdout
        peaks.append(int(result.stderr.split()[-1]))
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 250_000
