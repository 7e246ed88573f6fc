"""Articles and retention: exact on the example, on simulated rows in any order, cut and repeated."""

from __future__ import annotations

import gzip
import json
import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from app.__main__ import main
from app.cli.clickstream import retention as retention_command
from app.clickstream.events import Account, Events, events_of
from app.clickstream.questions import MOST_DAYS, ArticleCount, ArticleCounts, Retained, RetentionQuestion
from tests.called import call_app
from tests.clickstream.example import (
    ARTICLES,
    BACK,
    BY_DAY,
    CLICKSTREAM,
    COHORT,
    DAY,
    LIKED_BY_EVENTS,
    LIKED_BY_USERS,
    PERCENT,
)

ROWS = CLICKSTREAM.read_text().splitlines()[1:]


def ask(*arguments: object, data: bytes | None = None) -> Result:
    """The answer of a command; `data` is what its file `-` holds."""
    with tempfile.NamedTemporaryFile() as file:
        if data is not None:
            file.write(data)
            file.flush()
            arguments = tuple(file.name if each == "-" else each for each in arguments)
        return CliRunner().invoke(main, [str(each) for each in arguments], catch_exceptions=False)


def likes(path: object, *more: object, data: bytes | None = None) -> Result:
    return ask("articles", path, "--action", "LIKE_ARTICLE", "--on", DAY, *more, data=data)


def written_rows(result: Result, output: Path) -> list[tuple[Any, ...]]:
    assert result.exit_code == 0, result.output
    return [tuple(row.values()) for row in json.loads(output.read_text())["rows"]]


def rows_shown(result: Result) -> list[str]:
    """The table on the screen."""
    return [line for line in result.stdout.splitlines() if line[:6].isdigit()]


def head_of(output: Path) -> dict[str, int]:
    return {each["name"]: each["value"] for each in json.loads(output.read_text())["head"]}


def as_parquet(path: Path, times: pa.DataType | None = None) -> Path:
    """The example; times as texts, or of a type."""
    rows = [row.split(",") for row in ROWS]
    users, texts, actions, objects = (list(column) for column in zip(*rows, strict=True))
    moments: Any = [datetime.fromisoformat(text) for text in texts] if times else texts
    pq.write_table(
        pa.table({"objectId": objects, "userId": users, "time": pa.array(moments, times), "action": actions}), path
    )
    return path


@pytest.mark.parametrize(("by", "wanted"), [("users", LIKED_BY_USERS), ("events", LIKED_BY_EVENTS)])
def test_the_articles_of_the_example(by: str, wanted: list[tuple[str, str, int, int]], tmp_path: Path) -> None:
    result = likes(CLICKSTREAM, "--titles", ARTICLES, "--by", by, "-o", tmp_path / "a.json")
    assert written_rows(result, tmp_path / "a.json") == wanted


def test_the_retention_of_the_example_whole_and_by_day(tmp_path: Path) -> None:
    result = ask("retention", CLICKSTREAM, "--first-action", "FIRST_INSTALL", "--on", DAY, "-o", tmp_path / "r.json")
    rows = written_rows(result, tmp_path / "r.json")
    assert head_of(tmp_path / "r.json")["cohort"] == COHORT
    assert rows[0][:3] == ("1-7", "2017-04-02 to 2017-04-08", BACK) and round(100 * rows[0][3], 2) == PERCENT
    assert [row[2] for row in rows[1:]] == BY_DAY


def test_the_screen_tells_rows_and_definitions_before_the_answer() -> None:
    shown = likes(CLICKSTREAM, "--titles", ARTICLES).stdout
    assert "rows 25 events 25 rejects 0" in " ".join(shown.split())
    assert shown.index("rows") < shown.index("First, of all") < shown.index("distinct users")


@pytest.mark.parametrize("times", [None, pa.timestamp("us"), pa.timestamp("ns")], ids=str)
def test_parquet_has_the_same_answers(times: pa.DataType | None, tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "c.parquet", times)
    titles = tmp_path / "titles.parquet"
    pq.write_table(pa.table({"id": ["111111", "111112"], "title": ["First, of all", "Second"]}), titles)
    result = likes(path, "--titles", titles, "-o", tmp_path / "a.json")
    assert written_rows(result, tmp_path / "a.json") == LIKED_BY_USERS


def test_times_of_parquet_are_read_in_their_own_zone(tmp_path: Path) -> None:
    late = pa.array([datetime(2017, 4, 1, 22, 30)], pa.timestamp("us", "UTC")).cast(pa.timestamp("us", "Europe/Berlin"))
    path = tmp_path / "c.parquet"
    pq.write_table(pa.table({"userId": ["u"], "time": late, "action": ["A"], "objectId": ["x"]}), path)
    assert "x" in ask("articles", path, "--action", "A", "--on", "2017-04-02", "-q").stdout


def test_compressed_standard_input_without_a_head_line_is_read(tmp_path: Path) -> None:
    packed = gzip.compress("\n".join(ROWS).encode())
    done = call_app(["articles", "-", "--action", "LIKE_ARTICLE", "--on", DAY, "-q"], tmp_path, {}, packed)
    assert done.returncode == 0 and "111111 2 3" in " ".join(done.stdout.replace("(none)", "").split())


def test_a_head_line_names_the_columns_in_any_order_with_others_beside_them() -> None:
    head = "Object_Id,country,TIME,user_id,action\n"
    rows = [row.split(",") for row in ROWS]
    text = head + "".join(f"{row[3]},DE,{row[1]},{row[0]},{row[2]}\n" for row in rows)
    assert likes("-", "-q", data=text.encode()).stdout == likes(CLICKSTREAM, "-q").stdout


def test_quoted_fields_and_carriage_returns_change_nothing() -> None:
    text = "".join(",".join(f'"{field}"' for field in row.split(",")) + "\r\n" for row in ROWS)
    assert likes("-", "-q", data=text.encode()).stdout == likes(CLICKSTREAM, "-q").stdout


BAD = [
    ("u1,2017-04-01 10:00:00,LIKE_ARTICLE", "bad_columns", "3 columns instead of 4"),
    ("u1,2017-04-01 10:00:00,LIKE_ARTICLE,1,2", "bad_columns", "5 columns instead of 4"),
    ("u1,yesterday,LIKE_ARTICLE,1", "bad_time", "'yesterday' is no time"),
    ("u1,2017-02-30 10:00:00,LIKE_ARTICLE,1", "bad_time", "'2017-02-30 10:00:00' is no time"),
    ("u1,2017-04-01 24:00:00,LIKE_ARTICLE,1", "bad_time", "'2017-04-01 24:00:00' is no time"),
    ("u1,,LIKE_ARTICLE,1", "bad_time", "'' is no time"),
    (",2017-04-01 10:00:00,LIKE_ARTICLE,1", "no_user", "the user is empty"),
    (" ,2017-04-01 10:00:00,LIKE_ARTICLE,1", "no_user", "the user is empty"),
    ('"u1,2017-04-01 10:00:00,LIKE_ARTICLE,1', "bad_columns", "quotes are not in pairs"),
    ("u1,2017-04-01 10:00:00,LIKE_ARTICLE," + "x" * 70_000, "too_long", "a line of 70036 bytes"),
]


@pytest.mark.parametrize(("row", "reason", "detail"), BAD, ids=[f"{row[1]}-{at}" for at, row in enumerate(BAD)])
def test_a_bad_row_is_a_reject_with_place_and_reason_and_takes_no_other_row_with_it(
    row: str, reason: str, detail: str
) -> None:
    before = "\n".join(ROWS[:5]) + "\n"
    result = likes("-", "--debug", data=f"{before}{row}\n{chr(10).join(ROWS[5:])}\n".encode())
    assert f", byte {len(before)}: {reason}: {detail}" in result.stderr
    assert f"events 25 rejects 1 {reason} 1 " in " ".join(result.stdout.split())
    assert rows_shown(result) == rows_shown(likes(CLICKSTREAM))


def test_several_bad_rows_each_have_their_own_place(tmp_path: Path) -> None:
    text = "u1,2017-04-01\nu2,x,LIKE_ARTICLE,1\n,2017-04-01,A,\nu3,2017-04-01,A,1\nu4,y,A,1\n"
    (tmp_path / "c.csv").write_text(text)
    found: list[tuple[str, str]] = []
    account = Account(on_reject=lambda place, bad: found.append((place.rpartition(" ")[2], bad.line)))
    assert sum(len(events.users) for events in events_of([str(tmp_path / "c.csv")], account)) == 1
    assert found == [(str(text.index(line)), line) for line in text.splitlines() if line != "u3,2017-04-01,A,1"]


def test_bytes_that_are_no_utf8_are_escaped_and_counted() -> None:
    result = ask("articles", "-", "--action", "A", "--on", DAY, "-q", data=b"u1,2017-04-01,A,caf\xe9\n")
    assert "caf\\xe9" in result.stdout


def test_a_file_that_cannot_be_read_ends_with_1_after_the_answer_of_the_others(tmp_path: Path) -> None:
    result = likes(CLICKSTREAM, tmp_path / "missing.csv", "-q")
    assert result.exit_code == 1 and "111111" in result.stdout and "missing.csv does not exist" in result.stderr
    alone = likes(tmp_path / "missing.csv")
    assert alone.exit_code == 1 and alone.stdout == ""


@pytest.mark.parametrize("command", [("articles", "--action"), ("retention", "--first-action")], ids=" ".join)
def test_an_action_that_no_event_has_is_told_with_up_to_ten_that_there_are(command: tuple[str, str]) -> None:
    name, option = command
    rows = [f"u{number},{DAY},A{action:02},x" for action in range(12) for number in range(20 - action)]
    asked = [name, "-", "-q", "--on", DAY, option]
    told = ask(*asked, "TYPO", data="\n".join(rows).encode())
    names = ", ".join(f"A{action:02}" for action in range(10))
    assert told.exit_code == 0 and told.stderr == f"No event has the action TYPO; the most frequent actions: {names}\n"
    other_day = f"u,2017-01-01,TYPO,x\n{rows[0]}".encode()
    assert ask(*asked, "TYPO", data=other_day).stderr == ask(*asked, "TYPO", data=b"").stderr == ""


def test_parquet_without_a_column_says_which_are_there(tmp_path: Path) -> None:
    pq.write_table(pa.table({"userId": ["u"], "time": ["2017-04-01"]}), tmp_path / "c.parquet")
    result = likes(tmp_path / "c.parquet")
    assert result.exit_code == 1 and "userId, time" in result.stderr


def test_another_ending_of_the_output_is_refused_before_reading(tmp_path: Path) -> None:
    result = likes(CLICKSTREAM, "-o", tmp_path / "a.doc")
    assert result.exit_code == 2 and ".svg or .html" in result.stderr


def test_the_formula_in_a_cell_is_written_as_text(tmp_path: Path) -> None:
    ask(
        "articles",
        "-",
        "--action",
        "A",
        "--on",
        DAY,
        "--bare",
        "-o",
        tmp_path / "a.csv",
        data=b"u1,2017-04-01,A,=1+1\n",
    )
    assert (tmp_path / "a.csv").read_bytes() == b'"article","title","users","events"\r\n"\'=1+1","",1,1\r\n'


def test_the_help_and_the_bits_of_a_user_have_the_same_limit() -> None:
    assert retention_command._MOST_DAYS == MOST_DAYS
    retention = RetentionQuestion("A", DAY, MOST_DAYS)
    with retention:
        assert retention.result() == Retained(0, 0, [0] * MOST_DAYS)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["u1", "u2", "u3"]),
        st.dates(date(2017, 3, 30), date(2017, 4, 5)),
        st.sampled_from(["A", "B"]),
        st.sampled_from(["", "x", "y"]),
    )
)


@settings(deadline=None)
@given(EVENTS, st.randoms(use_true_random=False))
def test_any_order_and_cut_of_rows_has_the_counts_of_plain_sets(
    rows: list[tuple[str, date, str, str]], random: Any
) -> None:
    shuffled = random.sample(rows, len(rows))
    cut = random.randint(0, len(rows))
    with ArticleCounts("A", DAY) as counts, RetentionQuestion("A", DAY, 2) as retention:
        for some in (shuffled[:cut], shuffled[cut:]):
            users, days, actions, objects = zip(*some, strict=True) if some else ((), (), (), ())
            text = pa.string()
            events = Events(
                pa.array(users, text), pa.array(days, pa.date32()), pa.array(actions, text), pa.array(objects, text)
            )
            counts.take(events)
            retention.take(events)
        found, by_events, result = counts.top(9, "users"), counts.top(9, "events"), retention.result()
    met = [(user, article) for user, day, action, article in rows if (day, action) == (DAY, "A") and article]
    wanted = [
        ArticleCount(
            article, len({user for user, each in met if each == article}), [each for _, each in met].count(article)
        )
        for article in sorted({article for _, article in met})
    ]
    assert found == sorted(wanted, key=lambda each: (-each.users, each.article))
    assert by_events == sorted(wanted, key=lambda each: (-each.events, each.article))
    cohort = {user for user, day, action, _ in rows if (day, action) == (DAY, "A")}
    seen = [{user for user, day, *_ in rows if (day - DAY).days == number} & cohort for number in (1, 2)]
    assert result == Retained(len(cohort), len(seen[0] | seen[1]), [len(users) for users in seen])


def test_a_simulated_clickstream_has_its_true_answers_and_rejects(tmp_path: Path) -> None:
    rows, truth, out = tmp_path / "c.csv", tmp_path / "t.json", tmp_path / "o.json"
    made = ask("simulate", "clickstream", "-n", 3000, "--bad", 0.05, "-o", rows, "--truth", truth)
    assert made.exit_code == 0, made.output
    wanted = json.loads(truth.read_text())
    liked = wanted["likes"]["2017-04-03"]
    found = written_rows(
        ask("articles", rows, "--action", "LIKE_ARTICLE", "--on", "2017-04-03", "--top", 1000, "-o", out), out
    )
    assert {row[0]: [row[2], row[3]] for row in found} == liked and len(liked) > 20
    assert {**wanted["rejects"], "events": wanted["events"]}.items() <= head_of(out).items()
    came = written_rows(ask("retention", rows, "--first-action", "FIRST_INSTALL", "--on", "2017-04-03", "-o", out), out)
    retention = wanted["retention"]["2017-04-03"]
    assert [row[2] for row in came] == [retention["back"], *retention["by_day"]]


def test_the_same_seed_makes_the_same_rows() -> None:
    made = [ask("simulate", "clickstream", "-n", 50, "-s", seed).stdout for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]


def test_bad_rows_of_parquet_are_rejects_with_their_row(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    users = pa.array(["u1", None, "u3", ""], pa.large_string())
    times = pa.array(["2017-04-01", "2017-04-01", None, "x"]).dictionary_encode()
    pq.write_table(pa.table({"userId": users, "time": times, "action": ["A"] * 4, "objectId": [7, 7, 7, None]}), path)
    result = ask("articles", path, "--action", "A", "--on", DAY, "--debug")
    assert [line.partition(".parquet, ")[2].split(":")[:2] for line in result.stderr.splitlines()] == [
        ["row 1", " no_user"],
        ["row 2", " bad_time"],
        ["row 3", " no_user"],
    ]
    assert [line.split()[:1] for line in result.stdout.splitlines() if line.startswith("7")] == [["7"]]


def test_a_damaged_parquet_is_an_error_in_one_sentence(tmp_path: Path) -> None:
    data = as_parquet(tmp_path / "c.parquet").read_bytes()
    (tmp_path / "c.parquet").write_bytes(data[:-20])
    result = likes(tmp_path / "c.parquet")
    assert result.exit_code == 1 and "cannot be read as Parquet" in result.stderr and result.stdout == ""


@pytest.mark.parametrize(
    ("titles", "said"),
    [
        ("id,title\n111111\n", "line 2: a row needs id and title"),
        ('111111,"x" y\n', "line 1: "),
        (None, "does not exist"),
    ],
)
def test_titles_that_cannot_be_read_are_named_with_their_line(titles: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    if titles is not None:
        path.write_text(titles)
    result = likes(CLICKSTREAM, "--titles", path)
    assert result.exit_code == 1 and said in result.stderr and result.stdout == ""


def test_titles_may_have_line_ends_and_columns_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('\ufeffTitle,ID\r\n"two\nlines",111112\r\nlater,111112\r\n')
    result = likes(CLICKSTREAM, "--titles", tmp_path / "a.csv", "-o", tmp_path / "o.json")
    assert [row[1] for row in written_rows(result, tmp_path / "o.json")] == ["", "two\nlines", ""]


def test_a_long_row_is_read_to_its_end_beside_quotes(tmp_path: Path) -> None:
    long = "x" * 5000
    rows = [f'1,2017-04-01,LIKE,"{long}A"', f"2,2017-04-01,LIKE,{long}B", f"3,2017-04-01,LIKE,{long}A"]
    result = likes("-", "--action", "LIKE", "-o", tmp_path / "a.json", data="\n".join(rows).encode())
    assert result.exit_code == 0 and head_of(tmp_path / "a.json")["rejects"] == 0
    assert written_rows(result, tmp_path / "a.json") == [(f"{long}A", "", 2, 2), (f"{long}B", "", 1, 1)]


@pytest.mark.parametrize("quoted", ["2", '"2"'])
def test_a_byte_order_mark_is_no_part_of_the_first_user(quoted: str, tmp_path: Path) -> None:
    data = f"\ufeff1,2017-04-01,LIKE,2\n1,2017-04-01,LIKE,{quoted}\n".encode()
    result = likes("-", "--action", "LIKE", "-o", tmp_path / "a.json", data=data)
    assert written_rows(result, tmp_path / "a.json") == [("2", "", 1, 2)]


def test_days_behind_the_last_date_are_refused() -> None:
    result = ask("retention", "-", "--first-action", "A", "--on", "9999-12-30", "--days", 2, data=b"1,9999-12-30,A,\n")
    assert result.exit_code == 2 and "no date any more" in result.stderr
    assert ask("retention", "-", "--first-action", "A", "--on", "9999-12-30", "--days", 1, data=b"").exit_code == 0
