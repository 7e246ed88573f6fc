"""What the tokenizer passes over in lines that are hits is counted, by line and as columns alike."""

from __future__ import annotations

import pytest

from app.messages.headers import Headers
from app.process.counters import Counters
from app.steps.tokenizer import Tokenizer
from tests.steps.test_tokenizing import message

LINE = '192.0.2.{} - - [01/Nov/2019:10:00:00 +0000] "GET /a HTTP/1.1" 206 10 "-" "VLC" "bytes 0-9/10" {}\n'


@pytest.mark.parametrize("columns_from_bytes", [1, 1 << 30])
def test_columns_that_are_not_read_are_counted_and_named(columns_from_bytes: int) -> None:
    text = (
        "".join(LINE.format(client, f"0.{client:03}") for client in range(1, 60)) + LINE.format(60, "DE") + "no hit\n"
    )
    found = Tokenizer(1, columns_from_bytes=columns_from_bytes).tokenize([message(text)])
    assert (found.hits, len(found.rejects)) == (60, 1)
    assert found.unread == {
        "column 11 was not read: looks like a request time": 59,
        "column 11 was not read: looks like a country": 1,
    }


@pytest.mark.parametrize("name", ["no such format", "nginx:$no_such_word $remote_addr"])
def test_a_format_that_is_not_known_is_told_and_its_lines_are_read_all_the_same(name: str) -> None:
    text = LINE.format(1, "0.001") + LINE.format(2, "0.002")
    found = Tokenizer(1).tokenize([message(text, **{Headers.FORMAT: name})])
    assert (found.hits, found.rejects) == (2, [])
    told = f"the format {name!r} is not known: lines that name it were read by what is in them"
    assert found.unread[told] == 2


def test_sentences_are_bounded_and_no_count_is_lost() -> None:
    counters = Counters()
    for column in range(5000):
        counters.pass_over({f"column {column} was not read: looks like text": 2})
    assert len(counters.unread) == 101
    assert counters.unread.total() == 10_000
