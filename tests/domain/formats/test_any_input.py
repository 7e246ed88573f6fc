"""Every parser makes of any input a hit, a head line or a reject with a reason of the closed set, and nothing else."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.formats import FORMATS, BadLine, FormatOptions
from app.domain.formats.cloudfront import FIELDS
from app.domain.formats.detection import detect
from app.domain.records import REASONS, HitFlag, Parsed
from tests.domain.formats.reading import ODD_TEXTS, read
from tests.together import together

NAMES = list(FORMATS)
HTTP2 = int(HitFlag.HTTP2)
EXAMPLE_LINES = [line for log_format in FORMATS.values() for line in log_format.example.split("\n")]


def judged(name: str, line: str, head: tuple[str, ...] = ()) -> None:
    try:
        values = FORMATS[name].make_parser(head, FormatOptions())(line)
    except BadLine as error:
        assert error.reason in REASONS
        assert 0 < len(error.detail) < 400
        return
    if values is None:
        assert line.startswith(("#", FORMATS[name].head_prefix or "#")) or (
            name == "json" and "}" not in line.strip(" ]}")
        )
        return
    assert type(values) is tuple
    found = Parsed._make(values)
    assert type(found.time) is float and math.isfinite(found.time)
    datetime.fromtimestamp(found.time, UTC)
    assert found.status == 0 or 100 <= found.status <= 599
    assert (found.lo is None) == (found.hi is None)
    assert found.lo is None or found.hi is None or 0 <= found.lo <= found.hi
    assert found.bytes_sent is None or found.bytes_sent >= 0
    assert found.total_bytes is None or found.total_bytes >= 0
    assert 0 <= found.flags < 2 * max(HitFlag)
    assert all(text is None or isinstance(text, str) for text in found[1:5])
    assert found.user_agent is not None or found.ip_address is None
    assert found.ip_address not in ("", "-")


def head_of(name: str) -> tuple[str, ...]:
    return tuple(line for line in FORMATS[name].example.split("\n") if line.startswith("#"))


@st.composite
def damaged_lines(draw: st.DrawFn) -> str:
    """A line of an example with pieces cut out, put in or moved."""
    line = draw(st.sampled_from(EXAMPLE_LINES))
    for _ in range(draw(st.integers(1, 4))):
        at, end = sorted((draw(st.integers(0, len(line))), draw(st.integers(0, len(line)))))
        piece = draw(st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=5), st.just("")))
        line = line[:at] + piece + line[at if draw(st.booleans()) else end :]
    return line.replace("\n", "")


@pytest.mark.parametrize("name", NAMES)
@given(st.binary(max_size=300))
@example(b"\xff\xfe\x00")
@example(b"")
def test_any_bytes_are_judged(name: str, data: bytes) -> None:
    judged(name, data.replace(b"\n", b"").decode("utf-8", "backslashreplace"), head_of(name))


@pytest.mark.parametrize("name", NAMES)
@given(st.lists(st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=6)), max_size=40).map("".join))
def test_any_text_is_judged(name: str, text: str) -> None:
    judged(name, text.replace("\n", ""))


@pytest.mark.parametrize("name", NAMES)
@given(line=damaged_lines())
def test_damaged_lines_are_judged(name: str, line: str) -> None:
    judged(name, line, head_of(name))


@given(st.lists(st.one_of(st.text(max_size=80), damaged_lines()), max_size=8))
def test_detection_takes_any_lines(lines: list[str]) -> None:
    found = detect(lines)
    assert found is None or FORMATS[found.name] is found


@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", NAMES)
@together("piece", ['"', '" "', "[", "\\", " ", "\t", '" 20 ', "[x] ", '\\"', '" - - "', "- ", ":", ",", "("])
def test_hostile_repetitions_take_linear_time(name: str, piece: str) -> None:
    """A pattern that went back over such a line would take minutes; read once it takes a few milliseconds."""
    for start in (
        "",
        'a b [31/Jul/2020:16:46:07 +0000] "',
        'a - - [31/Jul/2020:16:46:07 +0000] "GET / HTTP/1.1" 200 5 "',
        "a b - ",
    ):
        judged(name, start + piece * (65_536 // len(piece)), head_of(name))
    judged(name, piece * (65_536 // len(piece)) + FORMATS[name].example.split("\n")[-1], head_of(name))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", NAMES)
def test_blanks_anywhere_in_a_line_and_heads_without_end_before_it_take_linear_time(name: str) -> None:
    """A line of 64 KiB took half a minute; of two dozen heads, one more doubled the time, and a thousand ended the worker."""
    line = FORMATS[name].example.split("\n")[-1]
    for at in (0, len(line), *(at for at, sign in enumerate(line) if sign in ' \t"/')):
        judged(name, line[:at] + " " * 30_000 + line[at:], head_of(name))
    for heads in (5, 24, 2_500):
        judged(name, "Jul 31 16:46:07 h app: " * heads + line[:-1], head_of(name))


# -- lines made from values give the values back

SECONDS = st.integers(0, 4_102_444_800)
SAFE = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Zs", "Zl", "Zp"), blacklist_characters='"\\[%+'),
    min_size=1,
    max_size=20,
)
CLIENTS = st.one_of(
    st.ip_addresses().map(lambda address: str(getattr(address, "ipv4_mapped", None) or address)),
    st.from_regex(r"[a-z][a-z0-9-]{0,9}[a-z0-9](\.[a-z]{2,5})?", fullmatch=True),
)
PATHS = SAFE.map(lambda text: "/" + text)
BYTES = st.integers(0, 10**40)
RANGES = st.tuples(BYTES, BYTES).map(sorted)
STATUS = st.integers(100, 599)


def clf(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")


def iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


@given(SECONDS, CLIENTS, SAFE, PATHS, STATUS, RANGES)
def test_weblog_tsv_gives_back_what_a_line_was_made_from(
    seconds: int, ip: str, agent: str, path: str, status: int, ends: list[int]
) -> None:
    line = f"-\t{iso(seconds)}\t{ip}\t{agent}\tGET {path} HTTP/1.1\t{status}\t{ends[0]}-{ends[1]}"
    assert read("weblog_tsv", line) == (
        float(seconds),
        ip,
        agent,
        f"GET {path}",
        "GET",
        status,
        *ends,
        None,
        None,
        0,
        {},
    )


@given(SECONDS, CLIENTS, SAFE, PATHS, STATUS, BYTES, RANGES, st.none() | BYTES)
def test_the_common_family_gives_back_what_a_line_was_made_from(
    seconds: int, ip: str, agent: str, path: str, status: int, sent: int, ends: list[int], total: int | None
) -> None:
    line = f'{ip} - - [{clf(seconds)}] "HEAD {path} HTTP/2.0" {status} {sent}'
    whole = float(seconds), ip, agent, f"HEAD {path}", "HEAD", status
    assert read("common", line) == (*whole[:2], "-", *whole[3:], None, None, sent, None, HTTP2, {})
    line += f' "-" "{agent}"'
    assert read("combined", line) == (*whole, None, None, sent, None, HTTP2, {})
    assert read("vhost_combined", f"example.com:80 {line}") == (*whole, None, None, sent, None, HTTP2, {})
    line += f' "bytes {ends[0]}-{ends[1]}/{"*" if total is None else total}"'
    assert read("combined_range", line) == (*whole, *ends, sent, total, HTTP2, {})


@given(SECONDS, CLIENTS, SAFE, PATHS, STATUS, BYTES, BYTES)
def test_s3_gives_back_what_a_line_was_made_from(
    seconds: int, ip: str, agent: str, path: str, status: int, sent: int, size: int
) -> None:
    line = f'o b [{clf(seconds)}] {ip} - r REST.GET.OBJECT k "GET {path} HTTP/1.1" {status} - {sent} {size} 1 1 "-" "{agent}" - h'
    assert read("s3", line) == (float(seconds), ip, agent, f"GET {path}", "GET", status, None, None, sent, size, 0, {})


@given(SECONDS, CLIENTS, SAFE, PATHS, st.integers(400, 499), BYTES, RANGES)
def test_named_columns_give_back_what_a_line_was_made_from(
    seconds: int, ip: str, agent: str, path: str, status: int, sent: int, ends: list[int]
) -> None:
    values = dict.fromkeys(FIELDS, "-")
    date, clock = iso(seconds).split()
    values.update(
        {"date": date, "time": clock, "c-ip": ip, "cs(User-Agent)": agent, "cs-method": "GET", "cs-uri-stem": path}
    )
    values.update(
        {"sc-status": str(status), "sc-bytes": str(sent), "sc-range-start": str(ends[0]), "sc-range-end": str(ends[1])}
    )
    expected = Parsed(float(seconds), ip, agent, f"GET {path}", "GET", status, ends[0], ends[1], sent, None, 1)
    assert read("cloudfront", "\t".join(values.values())) == expected
    assert read("w3c", " ".join(values.values()), ("#Fields: " + " ".join(values),)) == expected
    values = {"timestamp": f"{seconds}.0", **values}
    options = FormatOptions(realtime_fields=",".join(values))
    assert read("cloudfront_realtime", "\t".join(values.values()), (), options) == expected


@given(SECONDS, CLIENTS, st.text(max_size=20), PATHS, STATUS, BYTES, RANGES, BYTES)
def test_json_gives_back_what_a_line_was_made_from(
    seconds: int, ip: str, agent: str, path: str, status: int, sent: int, ends: list[int], total: int
) -> None:
    fields = {"time": seconds, "ip_address": ip, "user_agent": agent, "method": "GET", "path": path, "status": status}
    line = json.dumps({**fields, "size": sent, "lo": ends[0], "hi": ends[1], "total_bytes": total})
    time = float(seconds)
    assert read("json", line) == (time, ip, agent, f"GET {path}", "GET", status, *ends, sent, total, 0, {})


@given(SECONDS, PATHS, BYTES)
def test_cdn_tsv_gives_back_what_a_line_was_made_from(seconds: int, url: str, size: int) -> None:
    when = datetime.fromtimestamp(seconds, UTC).strftime("%d/%m/%Y\t%H:%M:%S")
    assert read("cdn_tsv", f"{when}\t{size}\t{url}") == (
        float(seconds),
        None,
        None,
        url,
        None,
        200,
        None,
        None,
        size,
        None,
        0,
        {},
    )
