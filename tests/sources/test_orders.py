"""Trials in another order give the same lines with the same positions."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InputError
from app.sources.files.orders import ordered_chunks
from app.sources.files.read_options import ReadOptions
from app.sources.identity.heads import HeadRule

CONTENTS = st.lists(
    st.sampled_from([b"\n", b"a\n", b"bb\n", b"#x\n", b"#y\n", b"c" * 30 + b"\n", b"d\r\n", b"e" * 300 + b"\n"]),
    max_size=40,
).map(b"".join)


def rows(
    content: bytes, order: str, seed: int = 1, rule: HeadRule = HeadRule(), **options: Any
) -> list[tuple[int, bytes, tuple[str, ...]]]:
    found = []
    for chunk in ordered_chunks(BytesIO(content), order, seed, ReadOptions(max_line_bytes=100, **options), rule):
        if chunk.too_long:
            found.append((chunk.position, chunk.data[: chunk.too_long], chunk.head))
            continue
        at = chunk.position
        for number, line in enumerate(chunk.data.removesuffix(b"\n").split(b"\n")):
            found.append((at if chunk.positions is None else chunk.positions[number], line, chunk.head))
            at += len(line) + 1
    return found


def plain_rows(content: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    for line in content.split(b"\n")[:-1] + (
        [content[content.rfind(b"\n") + 1 :]] if not content.endswith(b"\n") and content else []
    ):
        found.append((at, line))
        at += len(line) + 1
    return found


@given(
    CONTENTS,
    st.sampled_from(["reverse", "random"]),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(1, 60),
    st.booleans(),
)
def test_reversed_and_shuffled_lines_are_all_lines_at_their_positions(
    content: bytes, order: str, seed: int, lines_per_message: int, chunk_bytes: int, unended: bool
) -> None:
    if unended:
        content = content.removesuffix(b"\n")
    found = rows(content, order, seed, HeadRule(b"#"), lines_per_message=lines_per_message, chunk_bytes=chunk_bytes)
    assert sorted(row[:2] for row in found) == plain_rows(content)


@given(CONTENTS, st.integers(0, 5))
def test_a_line_keeps_the_head_that_was_in_force_where_it_stood(content: bytes, seed: int) -> None:
    head: tuple[str, ...] = ()
    expected = {}
    for position, line in plain_rows(content):
        if line.startswith(b"#"):
            head = (*(old for old in head if old != line.decode()), line.decode())
        else:
            expected[position] = head
    found = rows(content, "random", seed, HeadRule(b"#"))
    assert {position: head for position, line, head in found if not line.startswith(b"#")} == expected


def test_reverse_is_the_file_from_its_end() -> None:
    assert [line for _, line, _ in rows(b"1\n2\n3", "reverse")] == [b"3", b"2", b"1"]


def test_a_header_stays_in_front_in_every_order() -> None:
    rule = HeadRule(b"", lambda line: line == "date")
    for order in ("reverse", "random", "sample"):
        found = rows(b"date\n1\n2\n3\n", order, 5, rule)
        assert found[0] == (0, b"date", ("date",))
        assert all(head == ("date",) and line != b"date" for _, line, head in found[1:])


def test_the_same_seed_gives_the_same_order_and_another_one_another() -> None:
    content = b"".join(b"%d\n" % number for number in range(1000))
    for order in ("random", "sample"):
        assert rows(content, order, 7) == rows(content, order, 7) != rows(content, order, 8)


def test_sample_draws_as_many_lines_as_there_are_with_repetition() -> None:
    content = b"".join(b"%d\n" % number for number in range(1000))
    found = rows(content, "sample", 7)
    assert len(found) == 1000
    assert 550 < len(set(found)) < 720  # 1 - 1/e of them
    assert {row[:2] for row in found} <= set(plain_rows(content))


def test_an_input_that_breaks_off_gives_the_lines_before() -> None:
    class Breaks(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if data := super().read(4):
                return data
            raise InputError("cut off")

    trial = ordered_chunks(Breaks(b"1\n2\n3\n4"), "reverse", 0, ReadOptions(), HeadRule())
    assert next(trial).data == b"3\n2\n1\n"
    with pytest.raises(InputError, match="cut off"):
        next(trial)
