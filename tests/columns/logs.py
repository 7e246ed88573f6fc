"""Logs of the format weblog_tsv for the tests beside this file: good lines, hostile ones, and what lies between."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

_ODD_TEXTS = [
    b"",
    b"-",
    b" ",
    b"\xff",
    rb"\xff",
    b"\xc3",
    "für 音楽 ١".encode(),
    b'"quoted"',
    b'"',
    b"a\x00b",
    b"NA",
    b"null",
    b"#",
    b"a\rb",
    b"\xef\xbb\xbf",
]
_ODD_TIMES = [
    b"2020-07-31T16:46:07", b"2020-07-31 16:46:60", b"2020-07-31 16:46:61", b"2020-02-30 16:46:07", b"2020-07-31 24:46:07",
    b"2020-07-31 16:46:7x", b"2020-07-31 16:46:07Z", b"2020-07-31 16:46:07.25", b"2020-07-31 16:46:07+05:30", b"16:46:07", b"16:46:07.5",
    b"1970-01-01 00:00:00", b"1899-01-01 00:00:00", b"9999-01-01 00:00:00", b"2099-01-01 00:00:00", "2020-07-31 16:46:٠٧".encode(),
    "2020-07-31 16:46:é".encode(), b"2020-07-31 16:46:\x00\x01", b"2020-07-31 16:46 07", b"2020-07-31 16:4\x00:07", b"",
    b"2020-07-31 16:46:0\xff",
]  # fmt: skip
_ODD_RANGES = [
    b"-", b"", b"0-", b"-5", b"9-3", b"5-4", b"0-0", b"1-2-3", b"--", b"+1-5", b" 1-5", b"1-5 ", b"0x1-0x5", b"1e3-2e3", b"007-0010",
    b"%d-%d" % (2**44 - 9, 2**44 - 1), b"%d-%d" % (2**44 - 9, 2**44), b"0-99999999999999", b"%d-%d" % (2**63 - 1, 2**63),
    b"0-%d" % 2**64, b"0-" + b"9" * 1200, "١-٢".encode(), "1-²".encode(), b"1-\xff", b"1-5\r", b"0-\x005", b"00000000000000000001-5",
]  # fmt: skip
_ODD_STATUSES = [
    b"",
    b"0",
    b"000",
    b"099",
    b"600",
    b"999",
    b"20",
    b"2000",
    b"2x6",
    b"20\xff",
    "٢٠٦".encode(),
    b"304",
    b"404",
    b" 06",
    b"\x00\x00\x00",
]
_ODD_REQUESTS = [
    b"", b"-", b"/a", b"GET  /a", b"HEAD /a HTTP/1.1", b"POST /a", b"get /a", b"http://h/a", b"GET /a HTTP/3", b"GET /a HTTP/1.1 HTTP/1.1",
    b"\xff", b"GET /\xff HTTP/1.1", rb"GET /\xff HTTP/2.0", b"GET /a HTTP/x",
]  # fmt: skip
_ODD_LINES = [
    b"", b"\t", b"\t\t\t\t\t\t", b"\t" * 7, b"a", b"#Fields: x", b"date\ttime\tip_address\tuser_agent\trequest\tstatus\tbyte_range", b"\r",
    b"\xef\xbb\xbf", b"\x00", b"\xff\xfe", b'"a\tb"\tc\td\te\tf\tg', b'"',
]  # fmt: skip


def _time(second: int) -> bytes:
    return datetime.fromtimestamp(1_596_000_000 + second, UTC).strftime("%Y-%m-%d %H:%M:%S").encode()


_TIMES = st.one_of(st.integers(0, 90), st.integers(0, 400_000)).map(_time)
_RANGES = st.tuples(st.one_of(st.integers(0, 30), st.integers(0, 2**43)), st.integers(0, 12)).map(
    lambda pair: b"%d-%d" % (pair[0], sum(pair))
)
_GOOD = (
    st.just(b"2020-07-29"),
    _TIMES,
    st.sampled_from([b"10.0.0.1", b"2001:db8::7"]),
    st.sampled_from([b"curl/8", "Büro 音楽".encode()]),
    st.sampled_from([b"GET /a HTTP/1.1", b"GET /a HTTP/2.0", b"GET /b", b"/b", b"GET /b.html"]),
    st.sampled_from([b"206", b"206", b"206", b"200"]),
    _RANGES,
)
_ODD = (_ODD_TEXTS, _ODD_TIMES, _ODD_TEXTS, _ODD_TEXTS, _ODD_REQUESTS, _ODD_STATUSES, _ODD_RANGES)
good_lines = st.tuples(*_GOOD).map(b"\t".join)


@st.composite
def _hostile_lines(draw: st.DrawFn) -> bytes:
    """A good line with one column replaced, or any bytes."""
    if draw(st.integers(0, 3)) == 0:
        return draw(
            st.one_of(st.sampled_from(_ODD_LINES), st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")))
        )
    columns = list(draw(st.tuples(*_GOOD)))
    at = draw(st.integers(0, 6))
    columns[at] = draw(
        st.one_of(st.sampled_from(_ODD[at]), st.text(alphabet="0123456789-: .+T\r٣é", max_size=20).map(str.encode))
    )
    return b"\t".join(columns)


@st.composite
def logs(draw: st.DrawFn, hostile: bool = True, max_lines: int = 40) -> bytes:
    """Lines with newlines or CR LF, some of them again; the last one may lack its end."""
    line = st.one_of(good_lines, good_lines, good_lines, _hostile_lines()) if hostile else good_lines
    pool = draw(st.lists(line, min_size=1, max_size=max_lines))
    lines = pool + draw(st.lists(st.sampled_from(pool), max_size=5))
    end = draw(st.sampled_from([b"\n", b"\n", b"\r\n"]))
    data = b"".join(one + end for one in lines)
    return data[: -len(end)] if draw(st.booleans()) and lines[-1] else data
