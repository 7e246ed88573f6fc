"""What players say of their playback is read from queries, headers and columns alike, and becomes optional fields of the hit."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.columns.formats import read_block
from app.domain.cmcd import CMCD, cmcd_of_query, read_cmcd
from app.domain.extras import EXTRAS
from app.domain.formats import FORMATS, FormatOptions
from app.domain.lines import read_lines
from app.domain.requests import key_request, query_rule
from tests.domain.formats.reading import read

ALL = FormatOptions(fields=",".join(EXTRAS))
SAID = 'bl=1500,br=3200,bs,cid="film",d=4004,mtp=25400,sid="6e2f-1"'
FOUND = {
    "cmcd_bl": "1500", "cmcd_br": "3200", "cmcd_bs": "true", "cmcd_cid": "film", "cmcd_d": "4004", "cmcd_mtp": "25400", "cmcd_sid": "6e2f-1",
}  # fmt: skip
REQUEST = f"GET /film/1.m4s?CMCD={quote(SAID)} HTTP/1.1"
LINE = f'192.0.2.1 - - [05/Oct/2020:10:00:00 +0000] "{REQUEST}" 200 1000 "-" "Player/1.0"\n'.encode()
_SAFE = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)


@pytest.mark.parametrize("query", ["signed", "keep", "drop", "only:v"])
def test_the_query_gives_them_whatever_it_is_for_the_key(query: str) -> None:
    options = ALL._replace(query=query)
    parse = FORMATS["combined"].make_parser((), options)
    found = read_lines(LINE, parse, 2e9, query=query_rule(query), fields=options.fields)
    assert found.hits[0][11] == FOUND
    assert read_block("combined", LINE, 2e9, options=options) is None, "columns would not see it"
    none = options._replace(fields="referer")
    assert read_lines(LINE, parse, 2e9, query=query_rule(query), fields=none.fields).hits[0][11] == {}


def test_segments_with_another_state_of_the_player_are_one_file() -> None:
    assert key_request(REQUEST.removesuffix(" HTTP/1.1"), query_rule("signed")) == "GET /film/1.m4s"


def test_headers_in_json_and_columns_of_cloudfront_give_the_same() -> None:
    line = {
        "time": "2020-07-31T16:46:07Z", "remote_addr": "203.0.113.9", "request": "GET /a.m4s HTTP/1.1", "status": 200,
        "body_bytes_sent": 5, "http_cmcd_request": "bl=1500,mtp=25400", "http_cmcd_object": "br=3200,d=4004",
        "http_cmcd_session": 'cid="film",sid="6e2f-1"', "http_cmcd_status": "bs",
    }  # fmt: skip
    assert read("json", json.dumps(line), options=ALL)[11] == FOUND
    columns = "timestamp c-ip sc-status sc-bytes cs-method cs-uri-stem cmcd-buffer-length cmcd-encoded-bitrate cmcd-session-id cmcd-content-id"
    options = ALL._replace(realtime_fields=columns)
    hit = read(
        "cloudfront_realtime",
        "1596213967.059\t203.0.113.9\t200\t732\tGET\t/a.m4s\t1500\t3200\t6e2f-1\t%22film%22",
        options=options,
    )
    assert hit[11] == {name: FOUND[name] for name in ("cmcd_bl", "cmcd_br", "cmcd_sid", "cmcd_cid")}


@given(_SAFE, st.integers(0, 10**12 - 1), st.booleans())
@settings(deadline=None, max_examples=60)
def test_what_is_written_is_read_again(session: str, rate: int, ran_empty: bool) -> None:
    escaped = session.replace("\\", "\\\\").replace('"', '\\"')
    said = f'br={rate},sid="{escaped}"' + (",bs" if ran_empty else "")
    wanted = {"cmcd_br": str(rate), "cmcd_sid": session} | ({"cmcd_bs": "true"} if ran_empty else {})
    assert read_cmcd(said) == wanted == cmcd_of_query(f"GET /a?b=1&CMCD={quote(said, safe='')}&c HTTP/1.1")


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=100)
def test_any_text_gives_values_of_their_keys_alone(text: str) -> None:
    for found in (read_cmcd(text), cmcd_of_query(f"/a?CMCD={text}"), read_cmcd(f"br={text},{text}")):
        assert all(CMCD[name.removeprefix("cmcd_")] and value for name, value in found.items())
