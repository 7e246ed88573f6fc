"""From messages of lines to messages of hits: the same lines give the same hits however they are cut into messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.formats import FORMATS, FormatOptions
from app.domain.records import Hit, id_of_given, raw_ids
from app.domain.watermarks import source_number
from app.errors import SettingsError
from app.messages.headers import pack_positions
from app.messages.origins import Lines, headers_of, unwrap
from app.messages.records import decode_rejects, encode_rejects
from app.messages.tokens import HitGroup, TokenMessage, decode_tokens, encode_tokens, hits_of, partition_of
from app.steps.tokenizer import Tokenized, Tokenizer
from tests.properties import examples

FAST = settings(deadline=None, max_examples=examples(60))
NOW = datetime(2020, 8, 25, tzinfo=UTC).timestamp()
SOURCE = "0123456789abcdef0123456789abcdef"
TOPIC = "weblogs@3f"
HEADER = "date\ttimestamp\tip\tagent\trequest\tstatus\tbytes"
Hits = dict[str, tuple[int, Hit]]


def tsv(second: int, ip: str = "203.0.113.9", path: str = "/a", status: str = "206") -> str:
    return f"-\t2020-08-24 10:{second // 60:02}:{second % 60:02}\t{ip}\tcurl/8\t{path}\t{status}\t{second}-{second + 9}"


def message(value: bytes | str, offset: int = 0, partition: int = 0, /, **headers: str | bytes) -> Lines:
    data = value.encode() if isinstance(value, str) else value
    return Lines(
        TOPIC,
        partition,
        offset,
        NOW,
        data,
        {name: text.encode() if isinstance(text, str) else text for name, text in headers.items()},
    )


def decoded_tokens(tokens: TokenMessage) -> TokenMessage:
    (value,) = encode_tokens(tokens)
    return decode_tokens(value)


def found_in(tokenized: Tokenized) -> Hits:
    """raw id -> partition and hit, through the"""
    decoded = {partition: decoded_tokens(tokens) for partition, tokens in tokenized.tokens.items()}
    hits = [(partition, Hit._make(hit)) for partition, tokens in decoded.items() for hit in hits_of(tokens)]
    by_id = {hit.raw_id: (partition, hit) for partition, hit in hits}
    assert len(by_id) == len(hits) == tokenized.hits
    return by_id


def all_of(tokenizer: Tokenizer, batches: Iterable[Sequence[Lines]]) -> tuple[Hits, set[Any], int]:
    hits: Hits = {}
    rejects, lines = set(), 0
    for batch in batches:
        tokenized = tokenizer.tokenize(batch)
        hits |= found_in(tokenized)
        rejects |= set(tokenized.rejects)
        lines += tokenized.lines
    return hits, rejects, lines


LINES_OF_A_LOG = st.lists(
    st.one_of(
        st.builds(
            tsv,
            st.integers(0, 3599),
            st.sampled_from(["203.0.113.9", "2001:db8::7"]),
            st.sampled_from(["/a", "/ü", "/a_b"]),
        ),
        st.sampled_from(["", "nonsense", tsv(5, status="999"), tsv(7) + "\r", "café\t"]),
        st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12),
    ),
    min_size=1,
    max_size=12,
)


@FAST
@given(LINES_OF_A_LOG, st.booleans(), st.sets(st.integers(1, 11)), st.integers(1, 4), st.integers(1, 5))
def test_ids_and_hits_do_not_depend_on_how_lines_are_cut_into_messages(
    lines: list[str], header: bool, cuts: set[int], in_a_batch: int, partitions: int
) -> None:
    lines = [HEADER, *lines] if header else lines
    raw = [line.encode() + b"\n" for line in lines]
    labels = {"source": SOURCE, "name": "a.log", "format": "weblog_tsv"}
    whole = all_of(Tokenizer(partitions), [[message(b"".join(raw), position="0", **labels)]])
    edges = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    messages = [
        message(b"".join(raw[first:end]), number, position=str(sum(map(len, raw[:first]))), **labels)
        for number, (first, end) in enumerate(pairwise(edges))
    ]
    tokenizer = Tokenizer(partitions)
    cut = all_of(tokenizer, [messages[at : at + in_a_batch] for at in range(0, len(messages), in_a_batch)])
    assert cut == whole
    assert cut[2] == len(raw)
    assert all_of(tokenizer, [messages]) == whole, "the same messages again"


def test_ids_are_made_of_source_and_byte_offset() -> None:
    first, second = tsv(1, path="/ü"), tsv(2)
    tokenized = Tokenizer(1).tokenize(
        [message(f"{first}\n{second}\n", position="100", source=SOURCE, format="weblog_tsv")]
    )
    hits = sorted(hit for _, hit in found_in(tokenized).values())
    assert [hit.position for hit in hits] == [100, 100 + len(first.encode()) + 1]
    assert [hit.raw_id for hit in hits] == [raw_ids(SOURCE)(hit.position) for hit in hits]
    assert {hit.source for hit in hits} == {SOURCE}


def test_lines_that_are_not_in_a_row_have_each_its_own_position() -> None:
    places = [700, 0, 2**63]
    lines = "".join(f"{tsv(second)}\n" for second in (7, 0, 9))
    labels = {"source": SOURCE, "position": "700", "format": "weblog_tsv", "unordered": "1"}
    tokenized = Tokenizer(1).tokenize([message(lines, positions=pack_positions(places), **labels)])
    assert [hit.position for _, hit in found_in(tokenized).values()] == places
    assert all(group.unordered for tokens in tokenized.tokens.values() for group in tokens.groups)


@pytest.mark.parametrize("packed", [b"", b"123", pack_positions([1]), pack_positions([1, 2, 3])])
def test_positions_that_are_not_one_a_line_are_passed_over(packed: bytes) -> None:
    """Ids made of wrong positions would be those of other lines; so these lines count as ones without a source."""
    lines = f"{tsv(1)}\n{tsv(2)}\n"
    tokenized = Tokenizer(1).tokenize(
        [message(lines, 3, source=SOURCE, position="0", positions=packed, format="weblog_tsv")]
    )
    assert {hit.source for _, hit in found_in(tokenized).values()} == {f"{TOPIC}/0"}
    assert tokenized.hits == 2


@pytest.mark.parametrize("position", [None, "", "x", "-5", "1e3"])
def test_a_source_without_a_position_does_not_name_its_lines(position: str | None) -> None:
    labels = {"source": SOURCE, "format": "weblog_tsv"} | ({} if position is None else {"position": position})
    messages = [message(f"{tsv(number)}\n", number, **labels) for number in range(3)]
    assert len(all_of(Tokenizer(2), [messages])[0]) == 3


def test_lines_without_a_source_are_named_by_topic_partition_offset_and_number() -> None:
    lines = f"{tsv(1)}\n{tsv(1)}\n"
    messages = [message(lines, offset, partition) for partition in (0, 1) for offset in (5, 6)]
    found = all_of(Tokenizer(3), [[one] for one in messages])[0]
    assert len(found) == 8
    assert found == all_of(Tokenizer(3), [messages[:2], messages[2:]])[0]
    again = [one._replace(topic="weblogs@other") for one in messages]
    assert not found.keys() & all_of(Tokenizer(3), [again])[0].keys()


def test_a_message_that_the_shipper_gave_an_id_counts_once_wherever_it_stands() -> None:
    lines = f"{tsv(1)}\n{tsv(1)}\n"
    first = all_of(Tokenizer(1), [[message(lines, 5, id="order-1")]])[0]
    again = all_of(Tokenizer(1), [[message(lines, 9, 3, id="order-1")]])[0]
    other = all_of(Tokenizer(1), [[message(lines, 5, id="order-2")]])[0]
    assert len(first) == 2
    assert first == again
    assert not first.keys() & other.keys()
    assert id_of_given("order-1") not in first


@pytest.mark.parametrize("value", [b"", b"\n", b"\n\n", b"\r\n"])
@pytest.mark.parametrize("headers", [{}, {"source": SOURCE, "position": "0"}, {"id": "x"}, {"format": "json"}])
def test_messages_with_nothing_in_them_do_no_harm(value: bytes, headers: dict[str, str]) -> None:
    tokenized = Tokenizer(2).tokenize([message(value, **headers)])
    assert tokenized.hits == 0
    assert tokenized.lines == len(tokenized.rejects) == value.count(b"\n")


def test_a_header_row_at_the_beginning_of_a_source_is_no_reject() -> None:
    labels = {"source": SOURCE, "format": "weblog_tsv"}
    tokenizer = Tokenizer(1)
    tokenized = tokenizer.tokenize([message(f"{HEADER}\n{tsv(1)}\n", position="0", **labels)])
    assert (tokenized.lines, tokenized.hits, tokenized.rejects) == (2, 1, [])
    later = tokenizer.tokenize([message(f"{HEADER}\n{tsv(1)}\n", position="500", **labels)])
    assert (later.hits, [reject.position for reject in later.rejects]) == (1, [500])


def test_posted_lines_may_begin_with_a_header_row() -> None:
    tokenized = Tokenizer(1).tokenize([message(f"{HEADER}\n{tsv(1)}\n"), message(f"1 {HEADER}\n{tsv(2)}\n", 1)])
    assert (tokenized.lines, tokenized.hits) == (4, 2)
    assert [reject.line for reject in tokenized.rejects] == [f"1 {HEADER}"]


def test_each_message_may_have_another_format() -> None:
    """Lines without a source: the header of the message names its format, and where none does the first lines tell."""
    common = FORMATS["common"].example.split("\n")[0]
    tokenizer = Tokenizer(1)
    for value, headers in [
        (tsv(1), {"format": "weblog_tsv"}),
        (common, {"format": "common"}),
        (tsv(2), {}),
        (tsv(3), {"format": "no such"}),
        ("203.0.113.9|1596213967|GET /a|200", {"format": "nginx:$remote_addr|$msec|$request|$status"}),
        (tsv(4), {"format": "nginx:$no_format_string"}),
    ]:
        assert tokenizer.tokenize([message(value, **headers)]).hits == 1, value


@pytest.mark.parametrize("name", FORMATS)
def test_the_example_of_every_format_is_read_without_its_name(name: str) -> None:
    named, unnamed = (
        Tokenizer(2).tokenize([message(FORMATS[name].example + "\n", source=SOURCE, position="0", **labels)])
        for labels in ({"format": name}, {})
    )
    assert named.hits > 0
    assert (unnamed.hits, unnamed.lines, unnamed.rejects) == (named.hits, named.lines, named.rejects)


def test_lines_that_no_format_reads_are_rejects_and_the_next_message_is_looked_at_anew() -> None:
    tokenizer = Tokenizer(1)
    assert [reject.reason for reject in tokenizer.tokenize([message("what is this")]).rejects] == ["bad_columns"]
    assert tokenizer.tokenize([message(tsv(1), 1)]).hits == 1


def test_head_lines_come_with_the_message() -> None:
    lines = FORMATS["w3c"].example.split("\n")
    head = "\n".join(line for line in lines if line.startswith("#"))
    labels = {"source": SOURCE, "format": "w3c"}
    assert Tokenizer(1).tokenize([message(lines[-1], position="900", head=head, **labels)]).hits == 1
    assert Tokenizer(1).tokenize([message(lines[-1], position="900", **labels)]).hits == 0


def test_hits_of_one_key_meet_in_one_partition() -> None:
    lines = "".join(f"{tsv(second, path=f'/{second % 50}')}\n" for second in range(500))
    tokenizer = Tokenizer(4)
    partitions: dict[str, set[int]] = {}
    for offset in range(3):
        for partition, hit in found_in(tokenizer.tokenize([message(lines, offset)])).values():
            partitions.setdefault(hit.request or "", set()).add(partition)
    assert len(partitions) == 50
    assert all(len(some) == 1 for some in partitions.values())
    assert set.union(*partitions.values()) == {0, 1, 2, 3}
    assert {partition_of("a", None, "b", f"{number:032x}", 4) for number in range(50)} == {0, 1, 2, 3}


def test_lone_surrogates_from_json_escapes_go_through_the_wire() -> None:
    fields = {
        "time": "2020-08-24T10:00:00Z",
        "ip_address": "203.0.113.9",
        "user_agent": "\ud800x",
        "path": "/\udfff",
        "status": 200,
    }
    tokenizer = Tokenizer(4)
    tokenized = tokenizer.tokenize(
        [message(json.dumps(fields) + "\n" + json.dumps({**fields, "status": "\ud800"}), format="json")]
    )
    ((partition, hit),) = found_in(tokenized).values()
    assert (hit.user_agent, hit.request) == ("\\ud800x", "/\\udfff")
    assert partition == partition_of(hit.ip_address, hit.user_agent, hit.request, hit.raw_id, 4)
    assert [reject.reason for reject in decode_rejects(encode_rejects(tokenized.rejects)[0])] == ["bad_status"]


def test_bytes_that_are_no_utf8_are_kept_escaped() -> None:
    raw = tsv(1).encode().replace(b"curl/8", b"\xff\xfe") + b"\n\xf0\x28\n"
    tokenized = Tokenizer(1).tokenize([message(raw, format="weblog_tsv")])
    ((_, hit),) = found_in(tokenized).values()
    assert hit.user_agent == "\\xff\\xfe"
    assert [reject.line for reject in tokenized.rejects] == ["\\xf0("]


def test_a_line_that_is_too_long_is_one_reject_with_its_length() -> None:
    labels = {"source": SOURCE, "position": "4096", "format": "weblog_tsv"}
    tokenized = Tokenizer(1).tokenize([message(b"x" * 1024, too_long="104857600", **labels)])
    (reject,) = tokenized.rejects
    assert (reject.reason, reject.detail, reject.position, len(reject.line)) == (
        "too_long",
        "a line of 104857600 bytes",
        4096,
        1024,
    )
    assert (tokenized.lines, tokenized.hits) == (1, 0)


def test_the_end_of_a_source_is_told_to_every_partition() -> None:
    labels = {"source": SOURCE, "name": "a.log", "format": "weblog_tsv"}
    tokenizer = Tokenizer(4)
    end = message(b"", 2, position="70", end="1", **labels)
    before = tokenizer.tokenize([message(tsv(1) + "\n", position="0", **labels)])
    assert len(before.tokens) == 1
    tokens = tokenizer.tokenize([end]).tokens
    assert set(tokens) == {0, 1, 2, 3}
    for one in tokens.values():
        (group,) = decoded_tokens(one).groups
        assert (group.ended, group.clock, group.rows) == (True, source_number(SOURCE), [])
        assert group.highest == before.tokens[next(iter(before.tokens))].groups[0].highest
    together = Tokenizer(4).tokenize([message(tsv(1) + "\n", position="0", **labels), end]).tokens
    assert all(group.ended for one in together.values() for group in one.groups)


def test_a_tick_tells_the_watermark_of_every_source_heard_of() -> None:
    tokenizer = Tokenizer(2)
    assert tokenizer.tick(NOW, 0.0).groups == []
    tokenizer.tokenize([message(f"{tsv(30)}\n{tsv(10)}\n", source=SOURCE, name="a.log", position="0")])
    tokenizer.tokenize([message(tsv(50), 3, 1)])
    tick = decode_tokens(encode_tokens(tokenizer.tick(NOW + 1, 0.0))[0])
    assert (tick.tick, tick.now) == (True, NOW + 1)
    assert {(group.name, group.disorder_s) for group in tick.groups} == {("a.log", 20.0), (f"{TOPIC}/1", 0.0)}
    assert {group.advance.lowest for group in tick.groups} == {float("inf")}
    assert tokenizer.tick(NOW + 1, NOW + 0.5).groups == []
    assert tokenizer.names == {}


def test_disorder_is_seen_over_messages() -> None:
    tokenizer = Tokenizer(1)
    labels = {"source": SOURCE, "name": "a.log", "format": "weblog_tsv"}
    tokenizer.tokenize([message(tsv(100) + "\n", position="0", **labels)])
    (group,) = tokenizer.tokenize([message(tsv(40) + "\n", 1, position="99", **labels)]).tokens[0].groups
    assert group.disorder_s == 60.0
    assert group.advance.highest - group.advance.lowest == 60.0


def test_headers_may_be_pairs_or_a_mapping_of_text_or_bytes() -> None:
    assert headers_of([("a", b"1"), ("b", "ü")]) == headers_of({"a": b"1", "b": "ü"}) == {"a": b"1", "b": "ü".encode()}
    assert headers_of(None) == headers_of([]) == {}


def test_lone_surrogates_of_any_parser_become_escapes() -> None:
    row = (
        NOW,
        "203.0.113.9",
        "\ud800",
        "/ü",
        "GET",
        206,
        0,
        9,
        None,
        None,
        0,
        {"referer": "\ud800"},
        raw_ids(SOURCE)(7),
        7,
        "/\udfff?sig=1",
    )
    tokens = TokenMessage(NOW, [HitGroup(SOURCE, 1, "a", NOW, NOW, 0.0, False, False, [row])])
    ((hit,),) = [hits_of(decoded_tokens(tokens))]
    assert tuple(hit) == (*row[:2], "\\ud800", *row[3:11], {"referer": "\\ud800"}, row[12], SOURCE, 7, "/\\udfff?sig=1")


@pytest.mark.parametrize(
    "options", [FormatOptions(json_fields="no such field"), FormatOptions(realtime_fields="nothing")]
)
def test_columns_that_can_not_be_are_refused_at_the_start(options: FormatOptions) -> None:
    with pytest.raises(SettingsError, match="cannot be read so"):
        Tokenizer(1, options=options)


@FAST
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=12), st.integers(1, 400))
def test_a_message_that_would_be_too_large_is_cut_into_some_with_the_same_hits_and_times(
    shape: list[tuple[str, int]], max_bytes: int
) -> None:
    tokenizer = Tokenizer(1)
    sent = [
        message(
            "".join(tsv(second) + "\n" for second in range(count)),
            0,
            0,
            source=name,
            position=str(1000 * at),
            name=name,
        )
        for at, (name, count) in enumerate(shape)
    ]
    for tokens in (*tokenizer.tokenize(sent).tokens.values(), tokenizer.tick(NOW, 0.0)):
        pieces = [decode_tokens(value) for value in encode_tokens(tokens, max_bytes)]
        assert [hit for piece in pieces for hit in hits_of(piece)] == hits_of(decoded_tokens(tokens))
        assert {group.clock for piece in pieces for group in piece.groups} == {group.clock for group in tokens.groups}
        assert {(piece.now, piece.tick) for piece in pieces} == {(tokens.now, tokens.tick)}
        assert all(
            len(encode_tokens(piece)[0]) <= max_bytes or sum(max(1, len(g.rows)) for g in piece.groups) <= 1
            for piece in pieces
        )


def test_a_line_in_a_json_envelope_is_that_line_under_its_id_wherever_it_comes_again() -> None:
    line = tsv(3)
    plain = all_of(Tokenizer(1), [[message(line, 0, 0, id="7")]])[0]
    for name in ("line", "message"):
        wrapped = message(json.dumps({"id": "7", name: line}), 5, 0)
        assert all_of(Tokenizer(1), [[wrapped]])[0] == plain


def test_a_json_log_line_is_no_envelope() -> None:
    for value in ('{"line": "x", "status": 200}', '{"line": 1}', '{"line": "x", "message": "y"}', "{", '{"id": "x"}'):
        assert unwrap(value.encode()) is None
