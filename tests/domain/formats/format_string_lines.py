"""Random format strings with the lines that servers write by them, and lines that were damaged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

from hypothesis import strategies as st

from app.domain.formats.clients import clients
from app.domain.records import HitFlag, Parsed
from tests.domain.formats.reading import ODD_TEXTS

H, A, E, N, TWO = HitFlag.HEADERS_COUNTED, HitFlag.ABORTED, HitFlag.ENDED, HitFlag.ANNOUNCED, HitFlag.HTTP2


class Column(NamedTuple):
    """One column of a random format: its word, and what is written there."""

    word: str
    quoted: bool
    written: str
    expected: dict[str, Any]
    """Field of Parsed -> value; flags are added up."""


def nginx_text(text: str) -> str:
    """As nginx writes what clients sent, `escape=default`."""
    return "".join(
        f"\\x{byte:02X}" if byte < 32 or byte > 126 or byte in b'"\\' else chr(byte) for byte in text.encode()
    )


def apache_text(text: str) -> str:
    """As Apache's ap_escape_logitem does."""
    named = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return "".join(
        named.get(one) or (one if 32 <= ord(one) < 127 else "".join(f"\\x{byte:02x}" for byte in one.encode()))
        for one in text
    )


def as_sent(text: str) -> str:
    return text


class Dialect(NamedTuple):
    """The words of one server for the same hit, and how it writes texts."""

    escape: Any
    client: str
    time: str
    clock: str
    request: str
    status: str
    agent: str
    content_range: str
    length: str
    sent: tuple[tuple[str, int], ...]
    ended: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    others: tuple[str, ...]


CONNECTION = (("X", A), ("+", E), ("-", E))
DIALECTS = {
    "nginx": Dialect(
        nginx_text, "$remote_addr", "[$time_local]", "clf", "$request", "$status", "$http_user_agent", "$sent_http_content_range",
        "$sent_http_content_length", (("$body_bytes_sent", 0), ("$bytes_sent", H)),
        (("$request_completion", (("OK", E), ("", A))),), ("$request_time", "$remote_port", "$not_known"),
    ),
    "apache": Dialect(
        apache_text, "%h", "%t", "clf", "%r", "%>s", "%{User-Agent}i", "%{Content-Range}o", "%{Content-Length}o",
        (("%b", N), ("%O", H)), (("%X", CONNECTION),), ("%l", "%D", "%{SSL_PROTOCOL}x", "%y"),
    ),
    "lighttpd": Dialect(
        apache_text, "%h", "%t", "clf", "%r", "%s", "%{User-Agent}i", "%{Content-Range}o", "%{Content-Length}o",
        (("%b", 0), ("%O", H)), (("%X", CONNECTION),), ("%V", "%D"),
    ),
    "haproxy": Dialect(
        as_sent, "%ci", "[%trl]", "clf", "%r", "%ST", "%[capture.req.hdr(0)]", "%[capture.res.hdr(0)]", "%[res.hdr(content-length)]",
        (("%B", H),), (("%ts", (("--", E), ("CD", A), ("SL", A), ("LR", 0))),), ("%cp", "%ft", "%Ta"),
    ),
    "squid": Dialect(
        as_sent, "%>a", "%ts.%03tu", "epoch", "%rm %ru HTTP/%rv", "%>Hs", "%{User-Agent}>h", "%{Content-Range}<h", "%{Content-Length}<h",
        (("%<st", H),), (("%Ss", (("TCP_HIT", 0), ("TCP_MISS_ABORTED", A))),), ("%tr", "%Sh", "%<a"),
    ),
    "envoy": Dialect(
        as_sent, "%DOWNSTREAM_REMOTE_ADDRESS%", "%START_TIME%", "iso", "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%", "%RESPONSE_CODE%",
        "%REQ(USER-AGENT)%", "%RESP(CONTENT-RANGE)%", "%RESP(CONTENT-LENGTH)%", (("%BYTES_SENT%", 0),),
        (("%RESPONSE_FLAGS%", (("-", 0), ("DC", A), ("UF,DC", A))),), ("%DURATION%", "%UPSTREAM_HOST%"),
    ),
}  # fmt: skip

ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(lambda address: clients("").of[str(address)])
TOKENS = st.text("abcXYZ019._~%&=-+", min_size=1, max_size=12)
MILLISECONDS = st.integers(0, 4_000_000_000_000)


def written_time(clock: str, at_ms: int, zone_minutes: int) -> tuple[str, float]:
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    if clock == "epoch":
        return f"{at_ms // 1000}.{at_ms % 1000:03}", at_ms / 1000
    if clock == "iso":
        return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03}Z", at_ms / 1000
    local = when.astimezone(timezone(timedelta(minutes=zone_minutes)))
    return local.strftime("%d/%b/%Y:%H:%M:%S %z"), float(at_ms // 1000)


@st.composite
def formats_with_lines(draw: st.DrawFn) -> tuple[str, str, Parsed]:
    """A random format string, a line that the server would write by it, and the hit."""
    name = draw(st.sampled_from(sorted(DIALECTS)))
    words = DIALECTS[name]
    method, path = draw(st.sampled_from(["GET", "HEAD", "POST"])), "/" + draw(TOKENS)
    protocol = draw(st.sampled_from(["HTTP/1.0", "HTTP/1.1", "HTTP/2.0"]))
    said = TWO if protocol == "HTTP/2.0" else 0
    status = draw(st.sampled_from([200, 206, 304, 404]))
    agent = words.escape(
        draw(
            st.text(
                st.characters(
                    exclude_categories=["Cs", "Cc"], exclude_characters='"\\' if words.escape is as_sent else ""
                ),
                min_size=1,
                max_size=20,
            )
        )
    )
    written, time = written_time(words.clock, draw(MILLISECONDS), draw(st.integers(-12 * 60, 14 * 60)))
    client = draw(ADDRESSES) or "-"
    mixed = name == "envoy" and draw(st.booleans())
    columns = [
        Column(
            words.client,
            False,
            f"[{client}]:4711" if mixed and ":" in client else f"{client}:4711" if mixed else client,
            {},
        ),
        Column(words.time, False, f"[{written}]" if words.clock == "clf" else written, {}),
        Column(words.request, True, f"{method} {path} {protocol}", {}),
        Column(words.status, False, str(status), {}),
        Column(words.agent, True, agent, {}),
    ]
    lo = hi = total = sent = None
    if draw(st.booleans()):
        lo, length, more = draw(st.integers(0, 10**15)), draw(st.integers(1, 10**15)), draw(st.integers(0, 10**15))
        hi, total = lo + length - 1, draw(st.sampled_from([None, lo + length + more]))
        columns.append(Column(words.content_range, True, f"bytes {lo}-{hi}/{'*' if total is None else total}", {}))
    elif draw(st.booleans()):
        size = draw(st.integers(0, 10**15))
        columns.append(Column(words.length, draw(st.booleans()), str(size), {}))
        total = size if status == 200 and method == "GET" else None
    if draw(st.booleans()):
        word, kind = draw(st.sampled_from(words.sent))
        sent = draw(st.integers(0, 10**15))
        columns.append(Column(word, False, str(sent), {}))
        said |= kind
    if draw(st.booleans()):
        word, ends = draw(st.sampled_from(words.ended))
        text, end = draw(st.sampled_from(ends))
        columns.append(Column(word, not text or draw(st.booleans()), text, {}))
        said |= 0 if ends is CONNECTION and protocol == "HTTP/2.0" else end
    for other in draw(st.lists(st.sampled_from(words.others), max_size=3)):
        columns.append(Column(other, draw(st.booleans()), draw(TOKENS), {}))
    columns = draw(st.permutations(columns))
    gap = draw(st.sampled_from([" ", " ", "\t", " | "]))
    text = gap.join(f'"{column.word}"' if column.quoted else column.word for column in columns)
    line = gap.join(f'"{column.written}"' if column.quoted else column.written for column in columns)
    hit = Parsed(time, client, agent, f"{method} {path}", method, status, lo, hi, sent, total, int(said))
    return f"{name}:{text}", line, hit


@st.composite
def damaged(draw: st.DrawFn, line: str, most: int) -> str:
    """The line after so many changes at most: something is put in, perhaps in place of a part."""
    for _ in range(draw(st.integers(0, most))):
        at, end = sorted((draw(st.integers(0, len(line))), draw(st.integers(0, len(line)))))
        line = (
            line[:at]
            + draw(st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=5)))
            + line[at if draw(st.booleans()) else end :]
        )
    return line
