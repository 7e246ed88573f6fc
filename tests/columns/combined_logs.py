"""Logs of the formats combined and combined_range for the tests: good lines, hostile ones, and what lies between."""

from __future__ import annotations

from hypothesis import strategies as st

GOOD = {
    "host": b"10.0.0.1", "ident": b"-", "user": b"-", "time": b"[31/Jul/2020:16:46:07 +0000]", "request": b'"GET /a HTTP/1.1"', "status": b"206",
    "sent": b"10", "referer": b'"-"', "agent": b'"curl/8"', "range": b'"bytes 10-19/100"',
}  # fmt: skip
TEXTS = [
    b'""', b'"-"', b'" "', b'"\xff"', b'"\xc3"', "\"für 音楽 ١\"".encode(), b'"a\\"b"', b'"a\\\\"', b'"a"b"', b'"a" "b"', b"-", b"", b'"a\tb"',
    b'"a\x00b"', b'"a\rb"', b'"', b'"a', b'a"', b'""a""', b'"\\x22"', b'"a\\\\"b"', b'"\\\\\\"a"', b'"a\\"', b"'a'", b'"a b c"', b"a b",
]  # fmt: skip
WORDS = [
    b"", b"-", b"ann", b"ann b", b'"ann"', b'an"n', b"[ann", b"an[n", b"ann]", "für".encode(), b"\xff", b"a\tb", b"- frank", b"- -", b"a\\b", b"\xc2\xa0",
    b"2001:db8::7", b"a\x0bb", b" ", b"a ", b" a",
]  # fmt: skip
ODD = {
    "host": WORDS,
    "ident": WORDS,
    "user": WORDS,
    "time": [
        b"[31/Jul/2020:16:46:07 +0530]", b"[31/Jul/2020:16:46:07 -0800]", b"[31/Jul/2020:16:46:60 +0000]", b"[31/Jul/2020:16:46:61 +0000]",
        b"[31/jul/2020:16:46:07 +0000]", b"[30/Feb/2020:16:46:07 +0000]", b"[31/Jul/2020:16:46:07]", b"[31/Jul/2020:16:46:07  +0000]",
        b"[31/Jul/2020:16:46:07.5 +0000]", b"[31/Jul/2020:16:46:7x +0000]", b"[31/Jul/2020:16:46:07 +2460]", b"[31/Jul/2099:16:46:07 +0000]",
        b"31/Jul/2020:16:46:07 +0000", b"[31/Jul/2020:16:46:07 +0000", b"[]", b"", b"[-]", b"[31/Ju]/2020:16:46:07 +0000]",
        b"[31/Jul/2020 16:46:07 +0000]", b"[31/Jul/2020:16:46:07 +00\xc3\xa9]", b"[31/Jul/2020:16:46:07 00000]", b"[01/Jan/1970:00:00:00 +0000]",
        "[31/Jul/2020:16:46:٠ +0000]".encode(), b"[31/Jul/2020:16:46:07\t+0000]", b'[31/Jul/2020:16:46:"7 +0000]',
    ],
    "request": [*TEXTS, b'"/a"', b'"GET /a.html HTTP/1.1"', b'"GET  /a"', b'"HEAD /a HTTP/1.1"', b'"get /a"', b'"http://h/a"', b'"GET /a HTTP/1.1 HTTP/1.1"', b'"\\x16\\x03"'],
    "status": [b"200", b"304", b"000", b"0", b"099", b"600", b"20", b"2000", b"2x6", b"-", b"", b'"206"', "٢٠٦".encode()],
    "sent": [b"-", b"0", b"9", b"5", b"11", b"007", b"", b"1x", b"-1", b"+1", b"9" * 13, b"9" * 14, b"9" * 15, b"9" * 1200, b'"10"', "١".encode()],
    "referer": TEXTS,
    "agent": TEXTS,
    "range": [
        *TEXTS, b'"bytes 0-0/1"', b'"bytes 10-19/*"', b'"bytes */100"', b'"bytes 9-3/10"', b'"bytes=10-19/100"', b'"bytes10-19/100"', b'"bytes 10-19"',
        b'"bytes  10-19/100"', b'"bytes 0-9999999999999/*"', b'"bytes 0-99999999999999/*"', b'"bytes 0-5/%d"' % 2**70, b'"bytes 007-0019/0100"',
        b'"bytes 0-" "5/10"', b'"Bytes 0-5/10"', b'"bytes 0-5/10 "', b'"bytes 0-5/10"x', b'"bytes 0-5/10" "more"', b'"bytes 0-5/10" -', b'"bytes \xd9\xa1-5/10"',
    ],
}  # fmt: skip
ODD_LINES = [
    b"",
    b" ",
    b"a",
    b'"' * 8,
    b" " * 10,
    b"#Fields: x",
    b"\r",
    b"\xef\xbb\xbf",
    b'"" "" "" "" "" "" "" "" "" "" ""',
    b"\\",
    b"\t",
]


FORMAT_STRING = (
    'nginx:$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" '
    '"$sent_http_content_range" $request_completion'
)
"""What lines of combined_range are that say how the response ended."""


def with_endings(data: bytes) -> bytes:
    """Lines of FORMAT_STRING, from lines of combined_range: some responses broke."""
    lines = data.split(b"\n")
    return b"\n".join(line + (b" OK", b" OK", b" ")[at % 3] if line else line for at, line in enumerate(lines))


def line_of(columns: dict[str, bytes], form: str) -> bytes:
    return b" ".join(columns[name] for name in GOOD if name != "range" or form == "combined_range")


@st.composite
def logs(draw: st.DrawFn, form: str) -> bytes:
    lines = []
    for _ in range(draw(st.integers(1, 12))):
        columns = dict(GOOD)
        columns["host"] = draw(st.sampled_from([b"10.0.0.1", b"10.0.0.2"]))
        columns["time"] = b"[31/Jul/2020:16:%02d:%02d +0000]" % (draw(st.integers(0, 3)), draw(st.integers(0, 59)))
        columns["status"] = draw(st.sampled_from([b"200", b"206", b"404"]))
        columns["sent"] = draw(st.sampled_from([b"10", b"4", b"0", b"-", b"30"]))
        columns["request"] = draw(
            st.sampled_from([b'"GET /a HTTP/1.1"', b'"GET /a HTTP/2.0"', b'"GET /a.html HTTP/2.0"'])
        )
        columns["range"] = draw(st.sampled_from([b'"bytes 0-9/20"', b'"bytes 10-19/*"', b'"bytes 10-19/20"', b'"-"']))
        for name in draw(st.lists(st.sampled_from(sorted(ODD)), max_size=draw(st.sampled_from([0, 0, 0, 1, 2])))):
            columns[name] = draw(st.sampled_from(ODD[name]))
        lines.append(line_of(columns, form) if draw(st.integers(0, 15)) else draw(st.sampled_from(ODD_LINES)))
    ends = [draw(st.sampled_from([b"\n", b"\n", b"\n", b"\r\n"])) for _ in lines]
    data = b"".join(line + end for line, end in zip(lines, ends, strict=True))
    return data if draw(st.booleans()) else data.rstrip(b"\r\n")
