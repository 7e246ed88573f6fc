"""The client, as a process and by its `main`, on the worked example of nine lines: exit codes, what it prints, what it never prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.client.__main__ import main
from app.client.answer import AskedBytes, Exit, answer
from app.client.text import answer_text
from app.domain import byteranges
from app.domain.coverage import coverage_signs
from app.domain.records import Delivery, Hit, key_text
from app.stores.sqlite.store import SqliteStore
from app.words import visible
from tests import ROOT
from tests.called import called
from tests.stores.records import delivery, hit, with_store

NOON = 1596153600.0

FIREFOX = (
    "63.110.194.22",
    "Mozilla/5.0 (Macintosh) Gecko/20100101 Firefox/78.0",
    "/6d8a9754-e8c7-4193-8491-58b2122c1c10",
)
CHROME = (
    "120.250.243.111",
    "Mozilla/5.0 (Windows NT 10.0) Chrome/84.0_x Safari/537.36",
    "/c66c0276-3cc2-47f9-a5ae-42954421a4b1",
)
ALIKE = ("120.250.243.111_Mozilla/5.0 (Windows NT 10.0) Chrome/84.0", "x Safari/537.36", CHROME[2])
"""Joins to the same text as CHROME."""
HOSTILE = ("10.0.0.9", "evil\x1b]0;owned\x07\x1b[31m\u202e\ud800", "GET /'\"<script>")
WINDOWS = ("10.0.0.2", "player/1", "GET /film")
COUNTED = ("10.0.0.3", "player/1", "GET /film")
ONLY_HITS = ("10.0.0.4", "player/1", "GET /film")


def _hits() -> list[Hit]:
    first = [(60367, 206, 0, 289), (46111, 206, 289, 578), (51848, 206, 578, 867), (54320, 206, 867, 1156)]
    second = [
        (100, 500, 0, 359),
        (200, 500, 359, 718),
        (300, 206, 718, 1077),
        (400, 206, 1077, 1436),
        (500, 206, 1436, 1795),
    ]
    made: list[Hit] = []
    for key, lines in ((FIREFOX, first), (CHROME, second)):
        for second_of_day, status, lo, hi in lines:
            made.append(_hit(len(made), key, time=NOON + second_of_day, status=status, lo=lo, hi=hi, bytes_sent=None))
    made.append(_hit(len(made), HOSTILE))
    made.extend(_hit(len(made) + n, ONLY_HITS, status=500) for n in range(150))
    return made


def _hit(position: int, key: tuple[str, str, str], **changes: Any) -> Hit:
    return hit(position, ip_address=key[0], user_agent=key[1], request=key[2], **changes)


def _delivery(key: tuple[str, str, str], **changes: Any) -> Delivery:
    return delivery(ip_address=key[0], user_agent=key[1], request=key[2], **changes)


def _deliveries() -> list[Delivery]:
    start_missing: dict[str, Any] = {"verdict": "partial", "reason": "start_missing"}
    return [
        _delivery(FIREFOX, ranges=[[0, 1156]], covered_bytes=1157, hits=4, bytes_sent=None),
        _delivery(
            CHROME,
            ranges=[[718, 1795]],
            missing=[[0, 717]],
            covered_bytes=1078,
            hits=3,
            bytes_sent=None,
            **start_missing,
        ),
        _delivery(HOSTILE),
        _delivery(WINDOWS, window_start=3.0, ranges=[[10, 19]], missing=[[0, 9]], covered_bytes=10, **start_missing),
        _delivery(WINDOWS, window_start=2.0, total_bytes=50, size_known=True, ranges=[[0, 49]], covered_bytes=50),
        _delivery(
            WINDOWS, window_start=1.0, verdict="unknown", reason="size_changed", ranges=[[0, 99]], covered_bytes=100
        ),
        _delivery(WINDOWS, window_start=0.0, ranges=[[0, 10**30]], covered_bytes=10**30 + 1, superseded_by=1.0),
        _delivery(
            COUNTED,
            verdict="unknown",
            reason="no_offsets",
            evidence="bytes",
            ranges=[],
            covered_bytes=0,
            total_bytes=500,
            size_known=True,
        ),
    ]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")

    async def fill(store: SqliteStore) -> None:
        assert await store.writes.write_hits(_hits()) == []
        assert await store.writes.write_deliveries(_deliveries()) == []

    with_store(folder / "weblogs.db", fill)
    return folder


def run(data_dir: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return called(main, arguments, data_dir, {"DATA_DIR": data_dir})


def run_process(data_dir: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """As users start it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WEBLOGS_")}
    environment = inherited | {"WEBLOGS_DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "app.client", *map(str, arguments)]
    return subprocess.run(command, cwd=data_dir, env=environment, capture_output=True, text=True, timeout=60)


def by_parts(key: tuple[str, str, str]) -> tuple[str, ...]:
    return "-i", key[0], "-u", key[1], "-r", key[2]


@pytest.mark.parametrize(
    ("key", "part", "code"),
    [
        (FIREFOX, (), Exit.WHOLE),
        (FIREFOX, ("-l", 0, "-h", 1156), Exit.WHOLE),
        (FIREFOX, ("-l", 0, "-h", 1157), Exit.NOT_WHOLE),
        (CHROME, (), Exit.NOT_WHOLE),
        (CHROME, ("-l", 0, "-h", 1795), Exit.NOT_WHOLE),
        (CHROME, ("-l", 718, "-h", 1795), Exit.WHOLE),
        (("203.0.113.1", *FIREFOX[1:]), (), Exit.NOTHING_KNOWN),
        (COUNTED, (), Exit.UNKNOWN),
        (ONLY_HITS, (), Exit.UNKNOWN),
    ],
)
def test_the_exit_code_answers(data_dir: Path, key: tuple[str, str, str], part: tuple[Any, ...], code: Exit) -> None:
    done = run(data_dir, *by_parts(key), *part)
    assert done.returncode == code, done.stderr
    hint = "client: asked the store sqlite; WEBLOGS_STORES, in .env too, or --store names another\n"
    assert done.stderr == (hint if code == Exit.NOTHING_KNOWN else "")


def test_a_whole_delivery_is_printed_in_sections_with_counts(data_dir: Path) -> None:
    out = run(data_dir, "-k", key_text(*FIREFOX)).stdout
    assert "Raw hits: 4\n  2020-07-31 12:48:31  206  289-578\n" in out
    assert "Reduced deliveries: 1\n" in out and "arrived 0-1156: 1,157 bytes, size unknown, 4 hits" in out
    assert "Deliveries that are whole: 1\n" in out
    assert f"[{'#' * 50}] 0-1156" in out
    assert "Missing    none" in out
    assert out.endswith(
        "Whole: all 1,157 bytes of the file arrived; the log does not name its size, so a missing end would not show.\n"
    )


def test_a_partial_delivery_names_what_is_missing_and_counts_the_hits_not_merged(data_dir: Path) -> None:
    out = run(data_dir, *by_parts(CHROME), "-l", 0, "-h", 1795).stdout
    assert "Raw hits: 5\n" in out
    assert "Deliveries that contain bytes 0-1795: 0\n" in out
    assert "Missing    0-717\n" in out
    assert out.endswith("Not whole: 718 bytes of bytes 0-1795 did not arrive.\n")
    assert run(data_dir, *by_parts(CHROME)).stdout.endswith("Not whole: the start is missing; 718 bytes are missing.\n")


def test_json_is_one_object_that_holds_the_whole_answer(data_dir: Path) -> None:
    done = run_process(data_dir, *by_parts(CHROME), "-l", 0, "-h", 1795, "--json")
    found = json.loads(done.stdout)
    assert found["key"] == key_text(*CHROME)
    assert (found["verdict"], found["whole"], found["reason"], found["evidence"]) == (
        "partial",
        False,
        "start_missing",
        "ranges",
    )
    assert (found["missing"], found["asked"], found["hits_total"]) == ([[0, 717]], {"lo": 0, "hi": 1795}, 5)
    assert [one["status"] for one in found["hits"]] == [500, 500, 206, 206, 206]
    assert found["deliveries"][0]["ranges"] == [[718, 1795]] and found["containing"] == []


def test_json_of_an_unknown_key_says_null(data_dir: Path) -> None:
    done = run(data_dir, "-k", "nobody", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == Exit.NOTHING_KNOWN
    assert (found["key"], found["verdict"], found["whole"], found["deliveries"], found["hits_total"]) == (
        "nobody",
        None,
        None,
        [],
        0,
    )


def test_raw_hits_are_bounded_and_all_counted(data_dir: Path) -> None:
    out = run(data_dir, *by_parts(ONLY_HITS)).stdout
    assert "Raw hits: 150\n" in out and "… and 50 more\n" in out
    assert out.count("  500  ") == 100
    assert "no delivery was made of them" in out


def test_the_newest_window_answers_unless_all_are_asked(data_dir: Path) -> None:
    newest = run(data_dir, *by_parts(WINDOWS))
    assert newest.returncode == Exit.NOT_WHOLE
    assert "Reduced deliveries: 1 (newest window; 2 older: --all-windows)\n" in newest.stdout
    every = run(data_dir, *by_parts(WINDOWS), "--all-windows")
    assert every.returncode == Exit.WHOLE
    assert "Reduced deliveries: 3\n" in every.stdout
    assert every.stdout.endswith(
        "Whole: all 50 bytes of the file arrived in the window that starts 1970-01-01 00:00:02 UTC.\n"
    )
    part = run(data_dir, *by_parts(WINDOWS), "--all-windows", "-l", 60, "-h", 99)
    assert part.returncode == Exit.WHOLE and "starts 1970-01-01 00:00:01 UTC" in part.stdout


def test_superseded_deliveries_are_not_shown(data_dir: Path) -> None:
    assert str(10**30) not in run(data_dir, *by_parts(WINDOWS), "--all-windows").stdout


def test_a_key_that_fits_several_lists_them(data_dir: Path) -> None:
    async def add(store: SqliteStore) -> None:
        await store.writes.write_deliveries([_delivery(ALIKE)])

    with_store(data_dir / "weblogs.db", add)
    assert key_text(*ALIKE) == key_text(*CHROME)
    done = run(data_dir, "-k", key_text(*CHROME))
    assert done.returncode == Exit.USAGE
    assert done.stdout.startswith("2 keys are written like this")
    keys = json.loads(run(data_dir, "-k", key_text(*CHROME), "--json").stdout)["keys"]
    assert [tuple(key.values()) for key in keys] == [CHROME, ALIKE]


def test_a_request_may_be_asked_with_its_protocol(data_dir: Path) -> None:
    assert run(data_dir, *by_parts((*WINDOWS[:2], WINDOWS[2] + " HTTP/1.1")), "--all-windows").returncode == Exit.WHOLE


def test_escape_sequences_from_the_log_do_not_reach_the_terminal(data_dir: Path) -> None:
    async def keys(store: SqliteStore) -> list[Any]:
        return (await store.reads.keys_by_text_part("evil")).keys

    assert with_store(data_dir / "weblogs.db", keys, read_only=True) == [HOSTILE]
    out = answer_text(answer(HOSTILE, [_delivery(HOSTILE)], [_hit(0, HOSTILE)], 1, None, False), "")
    assert "evil\\x1b]0;owned\\x07\\x1b[31m\\u202e\\ud800" in out
    assert out.replace("\n", "").isprintable()
    done = run(data_dir, "-k", "x\x1b[31m")
    assert "\x1b" not in done.stdout and "x\\x1b[31m" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give a key"),
        (("-i", "1.1.1.1"), "-u and -r lacks"),
        (("-k", "a", "-i", "b"), "not both"),
        (("-k", "a", "-l", "5"), "-l and -h belong together"),
        (("-k", "a", "-h", "5"), "-l and -h belong together"),
        (("-k", "a", "-l", "6", "-h", "5"), "-h 5 lies before -l 6"),
        (("-k", "a", "-l", "-1", "-h", "5"), "'-1' is no byte position"),
        (("-k", "a", "-l", "x", "-h", "5"), "'x' is no byte position"),
        (("-k", "a", "--jso"), "unrecognized arguments: --jso"),
    ],
)
def test_a_wrong_question_is_one_sentence_and_exit_code_2(
    data_dir: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[Any, ...], says: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert ended.value.code == Exit.USAGE
    assert says in err and err.count("\n") == 1 and out == ""


def test_a_store_of_another_name_is_a_wrong_question(data_dir: Path) -> None:
    done = run(data_dir, "-k", "a", "--store", "nowhere")
    assert done.returncode == Exit.USAGE
    assert done.stderr == "client: there is no store 'nowhere'; there are: sqlite, elasticsearch, cassandra\n"


def test_help_tells_the_exit_codes(data_dir: Path) -> None:
    done = run_process(data_dir, "--help")
    assert done.returncode == 0
    assert "3 nothing known, 4 store not reachable" in " ".join(done.stdout.split()) and "-h HI" in done.stdout


def test_a_store_that_is_not_there_is_exit_code_4(tmp_path: Path) -> None:
    done = run_process(tmp_path, "-k", "a", "--json")
    assert done.returncode == Exit.UNREACHABLE
    assert "is not there; start the worker" in done.stderr and done.stderr.count("\n") == 1
    assert "is not there" in json.loads(done.stdout)["error"]
    assert list(tmp_path.iterdir()) == []


def test_the_client_imports_nothing_heavy() -> None:
    code = "import app.client.__main__, app.stores.sqlite.store, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"faust", "aiohttp", "rich", "pyarrow", "click", "jinja2"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("changes", "part", "code"),
    [
        ({}, None, Exit.WHOLE),
        ({"verdict": "unknown", "reason": "fragmented"}, AskedBytes(0, 499), Exit.WHOLE),
        ({"verdict": "unknown", "reason": "fragmented"}, AskedBytes(0, 500), Exit.UNKNOWN),
        ({"verdict": "unknown", "reason": "size_changed"}, AskedBytes(0, 500), Exit.NOT_WHOLE),
        ({"verdict": "partial", "total_bytes": 900}, AskedBytes(100, 200), Exit.WHOLE),
        ({"verdict": "partial", "total_bytes": 900}, AskedBytes(0, 899), Exit.NOT_WHOLE),
        (
            {"verdict": "unknown", "evidence": "bytes", "ranges": [], "total_bytes": 900},
            AskedBytes(0, 899),
            Exit.UNKNOWN,
        ),
        (
            {"verdict": "unknown", "evidence": "bytes", "ranges": [], "total_bytes": 900},
            AskedBytes(0, 900),
            Exit.NOT_WHOLE,
        ),
        ({"verdict": "partial", "evidence": "bytes", "ranges": [], "total_bytes": 900}, AskedBytes(5, 6), Exit.UNKNOWN),
        (
            {"verdict": "partial", "evidence": "bytes", "ranges": [], "total_bytes": 900},
            AskedBytes(0, 899),
            Exit.NOT_WHOLE,
        ),
    ],
)
def test_the_part_asked_for_is_answered_by_what_is_proved(
    changes: dict[str, Any], part: AskedBytes | None, code: Exit
) -> None:
    assert answer(("a", "b", "c"), [delivery(**changes)], [], 0, part, False).exit is code


def test_with_all_windows_one_that_is_unknown_leaves_the_answer_open() -> None:
    windows = [delivery(verdict="partial", reason="gap"), delivery(verdict="unknown", reason="no_offsets")]
    assert answer(("a", "b", "c"), windows, [], 0, None, True).exit is Exit.UNKNOWN
    assert answer(("a", "b", "c"), windows, [], 0, None, False).exit is Exit.NOT_WHOLE


@given(st.text())
def test_what_is_printed_can_not_move_the_cursor(text: str) -> None:
    assert visible(text).isprintable()


@given(
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 20)).map(lambda pair: (pair[0], pair[0] + pair[1]))),
    st.integers(0, 60),
    st.integers(0, 60),
)
def test_each_sign_of_the_bar_tells_of_its_bytes(pairs: list[Any], lo: int, length: int) -> None:
    ranges, hi = byteranges.normalise(pairs), lo + length
    held = {byte for begin, end in ranges for byte in range(begin, end + 1)}
    bar = coverage_signs(ranges, lo, hi, 10)
    assert ("." not in bar and "+" not in bar) == (held >= set(range(lo, hi + 1)))
    assert ("#" not in bar and "+" not in bar) == held.isdisjoint(range(lo, hi + 1))
    assert len(bar) == min(10, length + 1)
