"""Chunks are the stream, cut between lines."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.lines import KEPT_BYTES
from app.errors import InputError
from app.sources.files.chunks import Chunker, chunks
from app.sources.identity.digest import ContentDigest
from app.sources.identity.heads import MAX_HEAD_BYTES, MAX_HEAD_LINES, HeadRule, Heads, text_of

CONTENTS = st.lists(
    st.sampled_from([b"\n", b"\r\n", b"#", b"# h\n", b"a", b"bc\n", b"d" * 50, b"\x00\xff", b"e" * 90 + b"\n"]),
    max_size=60,
).map(b"".join)
RULES = st.sampled_from(
    [None, HeadRule(b"#"), HeadRule(b"", lambda line: line.startswith("b")), HeadRule(b"# ", lambda line: True)]
)

Head = tuple[str, ...]


class _Pieces:
    """A stream that gives fewer bytes than asked for, as pipes do."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data = BytesIO(data)
        self._sizes = sizes or [1000]
        self._reads = 0

    def read(self, size: int) -> bytes:
        self._reads += 1
        return self._data.read(min(size, self._sizes[self._reads % len(self._sizes)]))


@given(
    CONTENTS,
    st.integers(1, 200),
    st.integers(1, 100),
    RULES,
    st.integers(0, 3),
    st.lists(st.integers(1, 50), max_size=5),
)
@example(b"", 1, 1, None, 0, [])
def test_chunks_put_together_are_the_stream_and_their_positions_are_true(
    content: bytes,
    chunk_bytes: int,
    max_line_bytes: int,
    rule: HeadRule | None,
    lines_per_message: int,
    sizes: list[int],
) -> None:
    at = 0
    found = list(
        chunks(
            _Pieces(content, sizes), chunk_bytes, max_line_bytes, head_rule=rule, lines_per_message=lines_per_message
        )
    )
    for number, chunk in enumerate(found):
        assert chunk.position == at
        if chunk.too_long:
            whole = content[at : at + chunk.too_long]
            assert b"\n" not in whole and chunk.data == whole[:KEPT_BYTES] and chunk.too_long > max_line_bytes
            assert content[at + chunk.too_long : at + chunk.too_long + 1] in (b"\n", b"")
            at += chunk.too_long + 1
            continue
        assert chunk.data == content[at : at + len(chunk.data)] != b""
        assert chunk.data.endswith(b"\n") or number == len(found) - 1
        assert all(len(line) <= max_line_bytes for line in chunk.data.split(b"\n"))
        assert not lines_per_message or chunk.lines <= lines_per_message
        at += len(chunk.data)
    assert at in (len(content), len(content) + 1)  # a long last line may lack its newline
    assert sum(chunk.lines for chunk in found) == content.count(b"\n") + (
        content != b"" and not content.endswith(b"\n")
    )


@given(CONTENTS, st.integers(1, 200), st.integers(1, 200), st.integers(1, 100), RULES)
@example(b"\n# h\n", 1, 5, 3, HeadRule(b"# ", lambda line: True))
def test_digest_and_heads_do_not_depend_on_the_size_of_chunks(
    content: bytes, one_size: int, other_size: int, max_line_bytes: int, rule: HeadRule | None
) -> None:
    ends = []
    for size in (one_size, other_size):
        digest = ContentDigest()
        chunker = Chunker(size, max_line_bytes, head_rule=rule, digest=digest)
        found = list(chunker.cut(BytesIO(content)))
        by_line = [(chunk.head, line) for chunk in found for line in chunk.data.splitlines() if not chunk.too_long]
        ends.append((digest.value, chunker.position, chunker.unended, chunker.head, by_line))
        whole = content[: content.rfind(b"\n") + 1]
        expected = ContentDigest()
        expected.feed(whole)
        assert digest.value == expected.value
    # a head block cut in two by a chunk's end shows fewer of its lines at first, never to other lines
    assert ends[0][:4] == ends[1][:4]
    assert _no_heads(ends[0][4]) == _no_heads(ends[1][4])


def _no_heads(by_line: list[tuple[Head, bytes]]) -> list[tuple[Head, bytes]]:
    """Without head lines, and lines that read like one."""
    return [(head, line) for head, line in by_line if not line.startswith(b"#") and text_of(line) not in head]


@given(CONTENTS, st.integers(0, 1000), st.integers(1, 100))
def test_cutting_can_go_on_after_any_line(content: bytes, cut_after: int, chunk_bytes: int) -> None:
    rule = HeadRule(b"#")
    all_at_once = [
        (line, chunk.head)
        for chunk in chunks(BytesIO(content), 10**6, 10**6, head_rule=rule)
        for line in chunk.data.splitlines(keepends=True)
    ]
    at = content.find(b"\n", min(cut_after, len(content))) + 1
    chunker = Chunker(chunk_bytes, 10**6, head_rule=rule)
    first = list(chunker.cut(BytesIO(content[:at])))
    later = Chunker(chunk_bytes, 10**6, head_rule=rule, position=chunker.position, head=chunker.head)
    found = [
        (line, chunk.head)
        for chunk in first + list(later.cut(BytesIO(content[at:])))
        for line in chunk.data.splitlines(keepends=True)
    ]
    assert [e for e in found if not e[0].startswith(b"#")] == [e for e in all_at_once if not e[0].startswith(b"#")]


def test_a_change_of_head_lines_starts_a_chunk_that_begins_with_them() -> None:
    log = b"#Version: 1.0\n#Fields: date\n1\n2\n#Fields: date time\n3\n"
    found = list(chunks(BytesIO(log), head_rule=HeadRule(b"#")))
    assert [(chunk.data, chunk.head) for chunk in found] == [
        (b"#Version: 1.0\n#Fields: date\n1\n2\n", ("#Version: 1.0", "#Fields: date")),
        (b"#Fields: date time\n3\n", ("#Version: 1.0", "#Fields: date time")),
    ]


def test_the_first_line_is_the_head_only_where_the_rule_says_so() -> None:
    rule = HeadRule(b"", lambda line: line.startswith("date"))
    assert [chunk.head for chunk in chunks(BytesIO(b"date time\n1\n22222\n"), 4, 100, head_rule=rule)] == [
        ("date time",)
    ] * 2
    assert [chunk.head for chunk in chunks(BytesIO(b"1\ndate\n2\n"), 4, 100, head_rule=rule)] == [(), (), ()]


def test_head_lines_in_force_are_bounded_and_a_directive_outlives_remarks() -> None:
    heads = Heads()
    heads.add("#Fields: date time")
    for number in range(10_000):
        heads.add(f"# remark {number} " + "x" * (number % 700))
    assert len(heads.lines) <= MAX_HEAD_LINES
    assert sum(map(len, heads.lines)) <= MAX_HEAD_BYTES
    assert heads.lines[0] == "#Fields: date time"


def test_lines_before_an_error_of_the_stream_are_handed_out_and_the_broken_line_is_not() -> None:
    class Breaks(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            data = super().read(5)
            if not data:
                raise InputError("cut off")
            return data

    cut = chunks(Breaks(b"one\ntwo\nthr"))
    assert [next(cut).data, next(cut).data] == [b"one\n", b"two\n"]
    with pytest.raises(InputError, match="cut off"):
        next(cut)
