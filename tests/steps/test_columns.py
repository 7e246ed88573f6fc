"""Hits that go through the topic as columns are those that go line by line, and make the same state and the same records."""

from __future__ import annotations

import random
from functools import partial
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.formats.base import BYTES_KINDS
from app.domain.records import Delivery, Hit, HitFlag
from app.domain.tallies import MAX_HITS
from app.domain.watermarks import Clock
from app.domain.windows import WINDOWS, Rules
from app.messages.headers import Headers
from app.messages.origins import Lines
from app.messages.splitting import MAX_MESSAGE_BYTES
from app.messages.tokens import TokenMessage, decode_tokens, encode_tokens, hits_of
from app.steps.tokenizer import Tokenizer
from tests.columns import combined_logs
from tests.columns.logs import logs
from tests.properties import examples
from tests.steps.flow import NewestVersions, Worker, run_with_crashes

NOW = 1_700_000_000.0
NEVER = 1 << 62
RULES = st.builds(
    Rules, st.sampled_from(WINDOWS), st.sampled_from([1.0, 10.0, 45.0, 86400.0]), st.sampled_from([0.0, 20.0, 86400.0])
)
FORMS = {
    "weblog_tsv": logs(),
    "combined": combined_logs.logs("combined"),
    "combined_range": combined_logs.logs("combined_range"),
    combined_logs.FORMAT_STRING: combined_logs.logs("combined_range").map(combined_logs.with_endings),
}
LOGS = st.sampled_from(sorted(FORMS)).flatmap(lambda form: st.tuples(st.just(form), FORMS[form]))
"""Format and content."""
KINDS = st.sampled_from(sorted(BYTES_KINDS))
FAST = settings(deadline=None, max_examples=examples(80))


def messages(data: bytes, sizes: list[int], form: str = "weblog_tsv", kind: str = "") -> list[Lines]:
    """Cut into messages of so many lines each, the sizes again and again."""
    lines = [line + b"\n" for line in data.split(b"\n") if line]
    cuts = [0, *accumulate(sizes[number % len(sizes)] for number in range(len(lines)))]
    chunks = [b"".join(lines[begin:end]) for begin, end in pairwise(cuts)]
    headers = {"source": b"0" * 32, "name": b"a.log", "format": form.encode(), Headers.BYTES: kind.encode()}
    found, position = [], 0
    for offset, chunk in enumerate(filter(None, chunks)):
        found.append(Lines("weblogs@1", 0, offset, NOW + offset, chunk, headers | {"position": b"%d" % position}))
        position += len(chunk)
    return found


BY_PLACE = itemgetter(Hit._fields.index("position"))


def both(partitions: int) -> tuple[Tokenizer, Tokenizer]:
    """Line by line, and as columns."""
    return Tokenizer(partitions, columns_from_bytes=NEVER), Tokenizer(partitions, columns_from_bytes=0)


def sent(tokens: TokenMessage, max_bytes: int = MAX_MESSAGE_BYTES) -> list[TokenMessage]:
    return [decode_tokens(value) for value in encode_tokens(tokens, max_bytes)]


@FAST
@given(
    LOGS,
    st.lists(st.integers(1, 30), min_size=1, max_size=3),
    st.integers(1, 3),
    st.integers(1, 5),
    st.sampled_from([300, 4 << 20]),
    KINDS,
)
def test_any_log_gives_the_same_hits_rejects_and_clocks(
    log_of_form: tuple[str, bytes], sizes: list[int], in_a_batch: int, partitions: int, max_bytes: int, kind: str
) -> None:
    by_line, as_columns = both(partitions)
    form, data = log_of_form
    log = messages(data, sizes, form, kind)
    for at in range(0, len(log), in_a_batch):
        batch = log[at : at + in_a_batch]
        one, other = by_line.tokenize(batch), as_columns.tokenize(batch)
        assert (other.lines, other.hits, other.rejects) == (one.lines, one.hits, one.rejects)
        assert other.tokens.keys() == one.tokens.keys()
        for partition, tokens in one.tokens.items():
            pieces = sent(other.tokens[partition], max_bytes)
            hits = sorted((hit for piece in pieces for hit in hits_of(piece)), key=BY_PLACE)
            assert hits == hits_of(tokens)
            assert {group.advance for piece in pieces for group in piece.groups} == {
                group.advance for group in tokens.groups
            }
    assert {number: vars_of(clock) for number, clock in as_columns.clocks.of.items()} == {
        number: vars_of(clock) for number, clock in by_line.clocks.of.items()
    }


def test_plain_lines_go_as_columns_and_odd_ones_as_rows() -> None:
    plain = b"2020-07-31\t2020-07-31 16:46:07\t10.0.0.1\tcurl/8\tPOST /a\t404\t-\n"
    odd = plain.replace(b"404", b"206").replace(b"\t-\n", b"\t0-%d\n" % 2**70)
    (message,) = messages(plain * 5 + odd + plain, [7])
    (tokens,) = Tokenizer(1, columns_from_bytes=0).tokenize([message]).tokens.values()
    (group,) = tokens.groups
    assert [len(block) for block in group.columns] == [6]
    assert [row[7] for row in group.rows] == [2**70]
    assert group.count == 7


def test_plain_lines_of_any_protocol_and_kind_of_bytes_go_as_columns_too() -> None:
    line = b'10.0.0.1 - - [31/Jul/2020:16:46:07 +0000] "GET /a HTTP/%b" 206 10 "-" "curl/8" "bytes 0-9/20"\n'
    (message,) = messages(line % b"1.1" + line % b"2.0", [2], "combined_range", "with-headers")
    (tokens,) = Tokenizer(1, columns_from_bytes=0).tokenize([message]).tokens.values()
    (group,) = tokens.groups
    assert [len(block) for block in group.columns] == [2]
    headers_counted = int(HitFlag.HEADERS_COUNTED)
    assert [hit[10] for hit in group.hits()] == [headers_counted, headers_counted | int(HitFlag.HTTP2)]


def test_plain_lines_with_counts_and_sizes_go_as_columns_too() -> None:
    line = b'10.0.0.1 - - [31/Jul/2020:16:46:07 +0000] "GET /a HTTP/1.1" 206 %b "-" "curl/8" "%b"\n'
    told = [(b"10", b"bytes 0-9/20"), (b"4", b"bytes 10-19/*"), (b"-", b"-"), (b"-", b"bytes 10-19/20")]
    (message,) = messages(b"".join(line % one for one in told), [4], "combined_range")
    (tokens,) = Tokenizer(1, columns_from_bytes=0).tokenize([message]).tokens.values()
    (group,) = tokens.groups
    assert [len(block) for block in group.columns] == [4]
    assert [hit[6:10] for hit in group.hits()] == [
        (0, 9, 10, 20),
        (10, 19, 4, None),
        (None, None, None, None),
        (10, 19, 0, 20),
    ]


def vars_of(clock: Clock) -> dict[str, object]:
    return {name: getattr(clock, name) for name in clock.__slots__}


def tokens_of(
    tokenizer: Tokenizer, data: bytes, sizes: list[int], ticks: bool, form: str = "weblog_tsv", kind: str = ""
) -> list[TokenMessage]:
    """What partition 0 gets."""
    found = []
    for message in messages(data, sizes, form, kind):
        found += [piece for tokens in tokenizer.tokenize([message]).tokens.values() for piece in sent(tokens)]
        if ticks:
            found += sent(tokenizer.tick(message.timestamp, 0.0))
    return found


def keep(records: dict[tuple[Any, ...], list[Delivery]], some: list[Delivery]) -> None:
    for one in some:
        records.setdefault(one[:4], []).append(one)


@FAST
@given(LOGS, RULES, st.lists(st.integers(1, 30), min_size=1, max_size=3), st.booleans(), st.integers(1, 3), KINDS)
def test_any_log_makes_the_same_state_and_records(
    log_of_form: tuple[str, bytes], rules: Rules, sizes: list[int], ticks: bool, in_a_batch: int, kind: str
) -> None:
    form, data = log_of_form
    made: list[tuple[dict[bytes, bytes], dict[tuple[Any, ...], list[Delivery]]]] = []
    for tokenizer in both(1):
        records: dict[tuple[Any, ...], list[Delivery]] = {}
        worker = Worker(rules, partial(keep, records))
        tokens = tokens_of(tokenizer, data, sizes, ticks, form, kind)
        for at in range(0, len(tokens), in_a_batch):
            worker.take(*tokens[at : at + in_a_batch])
        made.append((worker.state, records))
    assert made[1] == made[0]


@FAST
@given(logs(hostile=False), RULES, st.integers(1, 9), st.integers(0, 2**32))
def test_after_the_same_crashes_state_and_deliveries_are_the_same(
    data: bytes, rules: Rules, size: int, seed: int
) -> None:
    """What comes later than the lateness allows may be cut elsewhere after a crash, but by columns as by lines."""
    found = []
    for tokenizer in both(1):
        store = NewestVersions()
        worker = Worker(rules, store.write)
        crashes = run_with_crashes(worker, tokens_of(tokenizer, data, [size], True), random.Random(seed))
        found.append((crashes, worker.state, store.held))
    assert found[1] == found[0]


def test_a_delivery_of_more_hits_than_are_kept_is_the_same() -> None:
    line = b"2020-07-31\t2020-07-31 16:%02d:%02d\t10.0.0.1\tcurl\tGET /a\t206\t%d-%d\n"
    data = b"".join(
        line % (at // 600, at // 10 % 60, at * 7 % 9973 * 10, at * 7 % 9973 * 10 + 4 + at % 5)
        for at in range(MAX_HITS + 500)
    )
    states = []
    for tokenizer in both(1):
        worker = Worker(Rules(), lambda records: None)
        worker.take(*tokens_of(tokenizer, data, [1000], False))
        states.append(worker.state)
    assert states[0] == states[1]
