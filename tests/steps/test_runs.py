"""Messages of one line each are read together, and give what each gives alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.domain.formats import FORMATS, FormatOptions
from app.domain.formats.base import AUTO
from app.messages.headers import pack_positions
from app.messages.origins import Lines, runs
from app.steps.tokenizer import MessageReader, Tokenizer
from tests.properties import examples
from tests.steps.test_columns import vars_of
from tests.steps.test_tokenizing import HEADER, NOW, SOURCE, TOPIC, found_in, message, tsv

EXAMPLES = [line for each in FORMATS.values() for line in each.example.split("\n")]
DAY_S = 86_400.0
LIMIT = 2_000
SIGNED = tsv(3, path="/films/1.mp4?X-Amz-Signature=abc&v=2")

LINES = st.one_of(
    st.builds(tsv, st.integers(0, 3599), st.sampled_from(["203.0.113.9", "2001:db8::7"]), st.sampled_from(["/a", "/ü"])),
    st.sampled_from(EXAMPLES),
    st.sampled_from([HEADER, SIGNED, "", "nonsense", "#Fields: date time", "\ufeff" + tsv(1), "x" * (LIMIT + 1), tsv(7) + "\r"]),
    st.sampled_from([json.dumps({"id": "a:7", "line": tsv(9)}), json.dumps({"message": tsv(11)}), "{}"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12),
)  # fmt: skip
VALUES = st.one_of(
    LINES.map(lambda line: line.encode()),
    LINES.map(lambda line: line.encode() + b"\n"),
    st.lists(LINES, max_size=3).map(lambda lines: "\n".join(lines).encode()),
    st.sampled_from([tsv(1).encode().replace(b"curl/8", b"\xff\xfe"), b"\n", b"\n\n"]),
)
OPTIONAL = {
    "format": st.sampled_from(["weblog_tsv", "combined", "auto", "", "no such", "nginx:$remote_addr $status"]),
    "head": st.sampled_from(["#Fields: date time c-ip", ""]),
    "id": st.sampled_from(["a:1", "a:2", "", "null:3"]),
    "name": st.just("a.log"),
    "bytes": st.just("announced"),
    "unordered": st.just("1"),
    "end": st.just("1"),
    "form": st.sampled_from(["1", "0"]),
    "positions": st.sampled_from([pack_positions([4]), pack_positions([4, 9, 2])]),
    "too_long": st.just("70000"),
    "traceparent": st.just("00-1-1-00"),
}


@st.composite
def some_messages(draw: st.DrawFn) -> list[Lines]:
    """Most have the headers of the one before them, as a shipper's have."""
    found: list[Lines] = []
    headers: dict[str, Any] = {}
    for offset in range(draw(st.integers(1, 12))):
        if not draw(st.integers(0, 3)):
            names = draw(st.lists(st.sampled_from([*OPTIONAL]), max_size=2))
            headers = {name: draw(OPTIONAL[name]) for name in names}
            if draw(st.booleans()):
                headers["source"] = SOURCE
        place = {"position": str(draw(st.sampled_from([100 * offset, 0])))} if "source" in headers else {}
        own = message(draw(VALUES), offset, draw(st.sampled_from([0, 0, 0, 1])), **headers, **place)
        found.append(own._replace(timestamp=NOW + draw(st.sampled_from([0.0, 0.0, -2 * DAY_S, 5.0]))))
    return found


def told(tokenizer: Tokenizer, batches: Sequence[Sequence[Lines]]) -> dict[str, Any]:
    """All that is found, whatever the batches."""
    hits: Counter[Any] = Counter()
    rejects: Counter[Any] = Counter()
    lines = 0
    bad_ids, unread = Counter[str](), Counter[str]()
    for batch in batches:
        found = tokenizer.tokenize(batch)
        for partition, tokens in found.tokens.items():
            hits.update((partition, group.source, group.clock, group.name, *hit) for group in tokens.groups for hit in map(_plain, group.hits()))  # fmt: skip
        rejects.update(found.rejects)
        lines += found.lines
        bad_ids.update(found.bad_ids)
        unread.update(found.unread)
    clocks = {number: vars_of(clock) for number, clock in tokenizer.clocks.of.items()}
    return {
        "hits": hits,
        "rejects": rejects,
        "lines": lines,
        "bad_ids": bad_ids,
        "unread": unread,
        "clocks": clocks,
        "names": tokenizer.names,
    }


def _plain(hit: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(json.dumps(each, sort_keys=True) if isinstance(each, dict) else each for each in hit)


@settings(deadline=None, max_examples=examples(300))
@given(some_messages(), st.sampled_from([AUTO, "weblog_tsv", "combined"]), st.integers(1, 4))
@example([message(value, offset) for offset, value in enumerate([tsv(1), EXAMPLES[3], tsv(2), tsv(3)])], AUTO, 1)
def test_many_messages_of_a_line_give_what_each_gives_alone(messages: list[Lines], form: str, partitions: int) -> None:
    at_once, alone = (
        Tokenizer(partitions, form, FormatOptions(query="signed"), max_line_bytes=LIMIT) for _ in range(2)
    )
    assert told(at_once, [messages]) == told(alone, [[each] for each in messages])


def test_a_source_without_a_name_has_a_clock_in_each_partition() -> None:
    """Its lines may come by several partitions in one batch: the clock of one is not moved by those of another."""
    labels = {"source": SOURCE, "format": "weblog_tsv"}
    messages = [
        message(tsv(second), 0, partition, position=f"{second}", **labels) for partition, second in ((0, 5), (1, 3000))
    ]
    (tokens,) = Tokenizer(1).tokenize(messages).tokens.values()
    assert sorted((group.name, (group.highest or 0) % 3600) for group in tokens.groups) == [
        (f"{TOPIC}/0", 5.0),
        (f"{TOPIC}/1", 3000.0),
    ]


def together(messages: list[Lines]) -> list[int]:
    """How many messages stand in each run."""
    return [len(run.messages) for run in runs(messages, LIMIT)]


def read(messages: list[Lines]) -> list[int]:
    """How many messages were read at a time."""
    reader = MessageReader(AUTO, FormatOptions(), 1 << 20, LIMIT)
    return [len(run.messages) for whole in runs(messages, LIMIT) for run, _ in reader.readings(whole)]


def test_lines_of_a_shipper_are_read_together_with_an_id_each_or_none() -> None:
    plain = [message(tsv(at), at) for at in range(9)]
    shipped = [message(tsv(at), at, id=f"web-1:{at}") for at in range(9)]
    replayed = [message(tsv(at) + "\n", at, source=SOURCE, name="a.log", position=f"{at * 99}") for at in range(9)]
    for messages in (plain, shipped, replayed):
        assert together(messages) == read(messages) == [9]
        assert len(found_in(Tokenizer(2).tokenize(messages))) == 9


def test_an_odd_line_is_read_alone_and_its_neighbours_together() -> None:
    messages = [message("nonsense" if at == 4 else tsv(at), at) for at in range(9)]
    assert (together(messages), read(messages)) == ([9], [4, 1, 4])


def test_lines_that_are_to_be_read_in_another_way_do_not_join() -> None:
    common = message(FORMATS["common"].example.split("\n")[0], 1, format="common")
    assert together([message(tsv(1)), common, message(tsv(2), 2)]) == [1, 1, 1]
    assert together([message(tsv(1)), message(tsv(2), 1, 1), message(f"{tsv(3)}\n{tsv(4)}", 2)]) == [1, 1, 1]


def test_a_line_dated_ahead_is_judged_by_its_own_arrival() -> None:
    early = message(tsv(1), 0)._replace(timestamp=NOW - 9 * DAY_S)
    found = Tokenizer(1).tokenize([message(tsv(0), 1), early, message(tsv(2), 2)])
    assert [(bad.reason, bad.position) for bad in found.rejects] == [("bad_time", 0)]
    assert found.hits == 2
