"""Ids that shippers give: one that names no line is passed over, and one id never joins two lines. Both are counted."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from app.messages.tokens import hits_of
from app.steps.tokenizer import Tokenized, Tokenizer
from tests.steps.test_tokenizing import message, tsv


def shipped(*lines: tuple[object, str]) -> Tokenized:
    """As envelopes, one a message; without an id where it is `...`."""
    tokenizer = Tokenizer(1, "weblog_tsv")
    return tokenizer.tokenize(
        message(json.dumps({"line": line} if given is ... else {"id": given, "line": line}), offset)
        for offset, (given, line) in enumerate(lines)
    )


def raw_ids(found: Tokenized) -> list[str]:
    return [str(hit[12]) for token in found.tokens.values() for hit in hits_of(token)]


@pytest.mark.parametrize("given", [None, "", " ", "null:0", "undefined:0", "web-1:null:0", "%{[log][file]}:0", ":"])
def test_an_id_that_names_no_line_joins_no_lines_and_is_counted(given: str | None) -> None:
    """The first is what Filebeat 7.17 makes of a fingerprint that it does not know, for the first line of two files."""
    found = shipped((given, tsv(1)), (given, tsv(1, ip="203.0.113.10")), (given, tsv(1)))
    assert len(set(raw_ids(found))) == 3
    assert found.bad_ids == {"empty": 3}


def test_the_same_id_for_different_lines_joins_them_not_and_is_counted() -> None:
    found = shipped(("a:0", tsv(1)), ("a:0", tsv(2)), ("a:0", tsv(1)))
    assert sorted(Counter(raw_ids(found)).values()) == [1, 2]
    assert found.bad_ids == {"shared": 1}


def test_a_line_without_an_id_or_with_a_good_one_is_not_counted() -> None:
    found = shipped((..., tsv(1)), ("d41d8:0", tsv(1)), ("d41d8:60", tsv(2)))
    assert len(set(raw_ids(found))) == 3 and not found.bad_ids
