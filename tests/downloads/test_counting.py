"""Downloads counted in files: each request is accounted for, order, repeats and cuts change no count, a certificate is repeated."""

from __future__ import annotations

import gzip
import json
import random
import shlex
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.__main__ import main
from app.domain.formats import FormatOptions
from app.downloads.counting import Count, DownloadPlan, count
from app.downloads.episodes import read_episodes
from app.downloads.lists import Lists, open_lists
from app.downloads.rules import RULES, WINDOWS, DownloadRules, Episode
from app.errors import SettingsError
from app.reports.logs import write_index
from app.reports.reading import Inputs
from app.sources.files.read_options import ReadOptions
from tests.properties import examples

HEAD = "date\ttime\tip_address\tuser_agent\trequest\tstatus\tbyte_range\n"
NOBODY = Lists(lambda agent: False, lambda address: False)


def line(
    at: str = "05 10:00:00",
    ip: str = "192.0.2.1",
    agent: str = "Player/1.0",
    request: str = "GET /e.mp3 HTTP/1.1",
    status: int = 206,
    got: str = "0-1999999",
) -> str:
    return f"2020-10-{at[:2]}\t2020-10-{at}\t{ip}\t{agent}\t{request}\t{status}\t{got}\n"


def downloads(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["report", "downloads", *map(str, arguments)], catch_exceptions=False)


def log_of(folder: Path, *lines: str, name: str = "a.tsv") -> Path:
    path = folder / name
    path.write_text(HEAD + "".join(lines))
    return path


ONE_A_RULE = [
    ("method", line(request="HEAD /e.mp3 HTTP/1.1")),
    ("status", line(status=404)),
    ("no_file", line(request="GET * HTTP/1.1")),
    ("no_client", line(agent="-")),
    ("not_media", line(request="GET /feed.xml HTTP/1.1")),
    ("probe", line(got="0-1")),
    ("crawler", line(agent="Googlebot/2.1 (+http://www.google.com/bot.html)")),
    ("data_centre", line(ip="3.5.140.1")),
    ("watch_os", line(agent="atc/1.0 watchOS/7.0.1 model/Watch4,2")),
    ("period", line(at="04 10:00:00")),
    ("answered_only", line(request="GET /answered.mp3 HTTP/1.1", status=200, got="-")),
    ("below_threshold", line(ip="192.0.2.9", got="0-1000")),
]


def test_a_log_of_one_line_a_rule_names_each_with_its_place_and_rule(tmp_path: Path) -> None:
    log = log_of(tmp_path, *(text for _, text in ONE_A_RULE), line())
    told = tmp_path / "left.tsv"
    result = downloads(log, "--from", "2020-10-05", "--to", "2020-10-05", "--left-out", told)
    assert result.exit_code == 0, result.output
    rows = [row.split("\t") for row in told.read_text().splitlines()[1:]]
    data = log.read_text()
    assert {int(row[1]): row[3] for row in rows} == {data.index(text): rule for rule, text in ONE_A_RULE}
    assert len(rows) == len(ONE_A_RULE) and {rule for rule, _ in ONE_A_RULE} >= set(RULES) - {
        "no_offsets",
        "size_unknown",
    }
    shown = " ".join(result.stdout.split())
    assert " hits 13 rejects 0 hits counted here 1 left out 12 " in shown and "downloads 1 listeners 1" in shown
    assert all(f" {rule} 1 " in shown and f"{rule}: {RULES[rule]}." in shown for rule, _ in ONE_A_RULE)


def test_listeners_are_counted_once_in_a_row_and_once_in_all(tmp_path: Path) -> None:
    log = log_of(
        tmp_path,
        line(),
        line(request="GET /e.mp3?token=9 HTTP/1.1", got="0-9"),
        line(at="06 10:00:00"),
        line(agent="Other/1.0"),
        line(request="GET /f.mp3 HTTP/1.1"),
        line(ip="2001:db8:1:2::1", agent="Six/1.0", got="0-499999"),
        line(ip="2001:db8:1:2:9::9", agent="Six/1.0", got="500000-999999"),
    )
    for by, wanted in (
        ("file", [{"file": "/e.mp3", "downloads": 4, "listeners": 3, "requests": 6},
                  {"file": "/f.mp3", "downloads": 1, "listeners": 1, "requests": 1}]),
        ("day", [{"day": "2020-10-05", "downloads": 4, "listeners": 3, "requests": 6},
                 {"day": "2020-10-06", "downloads": 1, "listeners": 1, "requests": 1}]),
    ):  # fmt: skip
        out = tmp_path / "o.json"
        assert downloads(log, "--by", by, "-o", out).exit_code == 0
        told = json.loads(out.read_text())
        assert told["rows"] == wanted and told["totals"] == {"downloads": 5, "listeners": 3}


def test_days_and_the_period_are_those_of_the_zone(tmp_path: Path) -> None:
    log = log_of(tmp_path, line(at="05 21:00:00"), line(at="05 23:00:00"))
    for zone, days in (("UTC", ["2020-10-05"]), ("Europe/Berlin", ["2020-10-05", "2020-10-06"])):
        out = tmp_path / "o.json"
        downloads(log, "--by", "day", "--tz", zone, "-o", out)
        assert [row["day"] for row in json.loads(out.read_text())["rows"]] == days
    downloads(log, "--by", "day", "--tz", "Europe/Berlin", "--from", "2020-10-06", "-o", out)
    assert [row["day"] for row in json.loads(out.read_text())["rows"]] == ["2020-10-06"]


def test_a_request_before_the_period_keeps_its_window(tmp_path: Path) -> None:
    log = log_of(tmp_path, line(at="05 23:00:00"), line(at="06 01:00:00"))
    out = tmp_path / "o.json"
    downloads(log, "--window", "first_touch", "--from", "2020-10-06", "-o", out)
    assert json.loads(out.read_text())["totals"]["downloads"] == 0


CLIENTS = st.sampled_from([("192.0.2.1", "A"), ("192.0.2.1", "B"), ("2001:db8::1", "A"), ("2001:db8::2", "A")])
STARTS = st.sampled_from([0, 300_000, 600_000, 900_000])
LINES = st.lists(
    st.builds(
        lambda client, day, hour, file, lo, length, status: line(
            f"{day:02} {hour:02}:00:00",
            client[0],
            client[1],
            f"GET /{file} HTTP/1.1",
            status,
            f"{lo}-{lo + length - 1}",
        ),
        CLIENTS,
        st.integers(5, 8),
        st.integers(0, 23),
        st.sampled_from(["e.mp3", "f.mp3?x=1", "f.mp3", "g.txt"]),
        STARTS,
        st.sampled_from([2, 300_000, 600_000, 1_200_000]),
        st.sampled_from([200, 206, 206, 206, 404]),
    ),
    min_size=1,
    max_size=25,
)


def counted(paths: list[Path], window: str, processes: int = 0, read: ReadOptions | None = None) -> Count:
    options = (read or ReadOptions())._replace(format="weblog_tsv")
    return count(
        DownloadPlan([str(path) for path in paths], options, DownloadRules(window), NOBODY, processes=processes)
    )


def numbers(found: Count) -> tuple[Any, ...]:
    return found.downloads, found.listeners, {key: (row.downloads, row.listeners) for key, row in found.rows.items()}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(60), deadline=None)
@given(lines=LINES, window=st.sampled_from(WINDOWS), seed=st.integers(0, 99))
def test_no_order_repeat_or_cut_of_the_lines_changes_a_count(
    lines: list[str], window: str, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, rng = tmp_path_factory.mktemp("logs"), random.Random(seed)
    plain = counted([log_of(folder, *lines)], window)
    assert plain.facts.hits == len(lines)
    shuffled = counted([log_of(folder, *rng.sample(lines, len(lines)), name="b.tsv")], window)
    assert numbers(shuffled) == numbers(plain) and shuffled.left_out == plain.left_out
    repeated = rng.sample(lines + rng.choices(lines, k=9), len(lines) + 9)
    assert numbers(counted([log_of(folder, *repeated, name="c.tsv")], window)) == numbers(plain)
    at = rng.randint(0, len(lines))
    files = [log_of(folder, *lines[:at], name="d.tsv"), log_of(folder, *lines[at:], name="e.tsv")]
    assert numbers(counted(files, window)) == numbers(plain)
    small = counted([folder / "a.tsv"], window, read=ReadOptions(chunk_bytes=200))
    assert numbers(small) == numbers(plain) and small.left_out == plain.left_out


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(60), deadline=None)
@given(
    lines=st.lists(
        st.builds(
            '192.0.2.{} - - [{:02}/Oct/2020:{:02}:00:00 +0000] "GET /{} HTTP/1.1" {} {} "-" "A" "{}"\n'.format,
            st.integers(1, 2),
            st.integers(5, 8),
            st.integers(0, 23),
            st.sampled_from(["e.mp3", "f.mp3", "g.mp3"]),
            st.sampled_from([200, 206, 206]),
            st.sampled_from(["-", 2, 500, 1000, 1001, 10**15, 2**62]),
            st.sampled_from(
                ["-", "bytes 0-999/2000", "bytes 1000-1999/2000", "bytes 500-2499/*", f"bytes 0-{10**15}/*"]
            ),
        ),
        min_size=1,
        max_size=25,
    ),
    rules=st.builds(
        lambda window, seconds, rate: DownloadRules(window, seconds, rate),
        st.sampled_from(WINDOWS),
        st.sampled_from([None, 0.01, 1.0]),
        st.sampled_from([8.0, 12.0, 10.0**17]),
    ),
    kind=st.sampled_from(["", "announced", "body"]),
    by=st.sampled_from(["file", "day"]),
    episodes=st.sampled_from(
        [{}, {"/e.mp3": Episode(2000, 100, 1.5), "/f.mp3": Episode(None, 10), "/g.mp3": Episode(2**70)}]
    ),
)
@example(
    lines=['192.0.2.1 - - [06/Oct/2020:00:00:00 +0000] "GET /g.mp3 HTTP/1.1" 206 4611686018427387904 "-" "A" "-"\n'],
    rules=DownloadRules("day", None, 8.0),
    kind="body",
    by="file",
    episodes={"/g.mp3": Episode(2**70)},
)
def test_columns_count_what_rows_on_disk_count(
    lines: list[str], rules: DownloadRules, kind: str, by: str, episodes: dict[str, Episode],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    log = tmp_path_factory.mktemp("logs") / "a.log"
    log.write_text("".join(lines))
    options = FormatOptions(bytes=kind)
    plan = DownloadPlan(
        [str(log)], ReadOptions(format="combined_range", format_options=options), rules, NOBODY, episodes, by, "Europe/Berlin",
        date(2020, 10, 6), date(2020, 10, 7),
    )  # fmt: skip
    columns = count(plan)
    assert columns == count(plan._replace(held_requests=0)) == count(plan._replace(on_left_out=lambda each: None))
    assert columns.facts.hits == len(lines)


def test_other_processes_and_a_file_of_hits_count_the_same_and_both_together_count_nothing_twice(
    tmp_path: Path,
) -> None:
    path = tmp_path / "w.tsv"
    assert CliRunner().invoke(main, ["simulate", "weblogs", "-n", "20000", "-o", str(path), "-q"]).exit_code == 0
    told: list[list[Any]] = [[], []]
    found = []
    for processes in (0, 2):
        plan = DownloadPlan([str(path)], ReadOptions(), DownloadRules(), open_lists(), processes=processes)
        found.append(count(plan._replace(on_left_out=told[processes // 2].append)))
    assert found[0] == found[1] and told[0] == told[1] and found[0].downloads > 100
    requests = sum(row.requests for row in found[0].rows.values())
    assert requests + len(told[0]) == found[0].facts.hits == 20_000
    assert Counter(each.rule for each in told[0]) == found[0].left_out
    index = tmp_path / "hits.parquet"
    write_index(Inputs([str(path)]), index)
    of_hits = count(plan._replace(paths=[str(index)]))
    assert numbers(of_hits) == numbers(found[0]) and of_hits.left_out == found[0].left_out
    assert of_hits.facts.lines == found[0].facts.lines == 20_001
    both = count(plan._replace(paths=[str(index), str(path)]))
    assert numbers(both) == numbers(found[0]) and len(both.facts.errors) == 1


def test_a_certificate_is_computed_again_bit_for_bit_by_its_own_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log_of(tmp_path, *(text for _, text in ONE_A_RULE), line(), line(at="06 10:00:00"))
    Path("list.tsv").write_text("# mine 1\n198.51.100.0/24\n")
    Path("episodes.tsv").write_text("/e.mp3\t2000000\t1000\t-\n")
    made = downloads(
        "a.tsv", "--certify", "c.json", "--window", "last_touch", "--whole", "--data-centres", "list.tsv", "--episodes",
        "episodes.tsv", "--tz", "+05:30", "--to", "2020-10-07", "--ext", "mp3",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    first = Path("c.json").read_bytes()
    told = json.loads(first)
    command = shlex.split(told["command"])
    assert command[:5] == ["python", "-m", "app", "report", "downloads"]
    assert downloads("--certify", "again.json", *command[5:]).exit_code == 0
    assert Path("again.json").read_bytes() == first
    assert told["inputs"][0]["name"] == "a.tsv" and len(told["inputs"][0]["sha256"]) == 64
    assert told["episodes"][0]["name"] == "episodes.tsv" and told["lists"][2]["name"] == "mine 1"
    assert told["counts"]["left_out"].keys() == RULES.keys() and told["counts"]["requests"] == 14
    log_of(tmp_path, *(text for _, text in ONE_A_RULE), line())
    assert downloads("--certify", "again.json", *command[5:]).exit_code == 0
    assert Path("again.json").read_bytes() != first


@pytest.mark.parametrize(
    "choice",
    [
        ("--log-format", '%h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-agent}i"'),
        ("--seconds", "60.623456789", "--bit-rate", "128.12345678"),
        ("--seconds", "12345678.9"),
    ],
)
def test_the_command_of_a_certificate_has_the_format_and_all_digits(choice: tuple[str, ...], tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(
        '192.0.2.1 - - [28/Mar/2020:12:00:00 +0100] "GET /a.mp3 HTTP/1.1" 200 971000 "-" "AppleCoreMedia/1.0"\n'
    )
    first, again = tmp_path / "c.json", tmp_path / "again.json"
    assert downloads(log, *choice, "--certify", first).exit_code == 0
    command = shlex.split(json.loads(first.read_text())["command"])
    assert downloads("--certify", again, *command[5:]).exit_code == 0
    assert again.read_bytes() == first.read_bytes()


def test_the_clock_decides_nothing(tmp_path: Path) -> None:
    log = log_of(tmp_path, line().replace("2020-", "2099-"))
    assert counted([log], "day").downloads == 1


def test_what_cannot_be_read_whole_is_not_certified(tmp_path: Path) -> None:
    log = log_of(tmp_path, line())
    result = downloads(log, tmp_path / "missing", "--certify", tmp_path / "c.json")
    assert result.exit_code == 1 and not (tmp_path / "c.json").exists() and "missing is no file" in result.stderr
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(log.read_bytes() * 50)[:-20])
    result = downloads(log, cut, "--certify", tmp_path / "c.json")
    assert result.exit_code == 1 and not (tmp_path / "c.json").exists() and "is not written" in result.stderr
    assert "downloads 1" in " ".join(result.stdout.replace(",", "").split())


def test_byte_counts_of_the_common_family_count_if_they_say_what_was_sent(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    sent = '192.0.2.{0} - - [05/Oct/2020:10:00:00 +0000] "GET /e.mp3 HTTP/1.1" {1} {2} "-" "Player/1.0"\n'
    log.write_text(sent.format(1, 200, 2_000_000) + sent.format(2, 206, 500_000) + sent.format(2, 206, 600_000))
    for kind, wanted in (("body", 1), ("announced", 0)):
        shown = " ".join(downloads(log, "--bytes", kind).stdout.split())
        assert f"downloads {wanted} listeners {wanted}" in shown
        assert (" no_offsets 2 " in shown) and (" answered_only 1 " in shown) is (kind == "announced")


@pytest.mark.parametrize("text", ["/e.mp3\tx", "/e.mp3\t10\t10", "/e.mp3\t10\t0\t-1", "*\t10", "/e.mp3\t9\t0\t1\t2"])
def test_a_wrong_line_of_episodes_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "e.tsv").write_text(f"# path, size\n{text}\n")
    with pytest.raises(SettingsError, match=r"e\.tsv, line 2: "):
        read_episodes(str(tmp_path / "e.tsv"))


def test_episodes_are_read_with_what_is_not_known_left_empty(tmp_path: Path) -> None:
    (tmp_path / "e.tsv").write_text("/a.mp3\t1000\n\nGET /b.mp3?x=1\t-\t5\t\n/c.mp3\t1000\t10\t2.5\n")
    assert read_episodes(str(tmp_path / "e.tsv")) == {
        "/a.mp3": Episode(1000),
        "/b.mp3": Episode(None, 5),
        "/c.mp3": Episode(1000, 10, 2.5),
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tz", "Nowhere"], "no time zone"),
        (["--left-out", "x.csv"], "ends with .tsv"),
        (["-o", "x.doc"], "ends with"),
        (["--from", "2020-10-06", "--to", "2020-10-05"], "is before --from"),
        (["--ext", ","], "names no extension"),
        (["--data-centres", "/nosuch/list"], "cannot be read"),
    ],
)
def test_what_is_asked_wrongly_ends_with_2_before_anything_is_read(
    options: list[str], said: str, tmp_path: Path
) -> None:
    result = downloads(log_of(tmp_path, line()), *options)
    assert result.exit_code == 2 and said in result.stderr and result.stdout == ""
