"""Which file a request asks for: what of its query tells files apart."""

from __future__ import annotations

import doctest
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import requests
from app.domain.requests import key_request, may_change, query_rule

NAMES = [
    "v",
    "id",
    "se",
    "t",
    "X-Amz-Date",
    "x-goog-signature",
    "Signature",
    "Expires",
    "sig",
    "sv",
    "token",
    "hdnea",
    "Policy",
]
RULES = ["keep", "signed", "drop", "only:v", "only:v,t"]
each_rule = pytest.mark.parametrize("rule", RULES)
queries = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["", "=", "=1", "=a%20b"])), max_size=6)


def address(query: list[tuple[str, str]]) -> str:
    return "GET /a" + ("?" + "&".join(map("".join, query)) if query else "")


def test_the_examples_in_the_docstrings_hold() -> None:
    result = doctest.testmod(requests)
    assert (result.failed, result.attempted > 0) == (0, True)


@each_rule
@given(query=queries)
def test_a_rule_applied_twice_changes_nothing_more(rule: str, query: list[tuple[str, str]]) -> None:
    once = key_request(address(query), query_rule(rule))
    assert key_request(once, query_rule(rule)) == once


@each_rule
@given(query=queries)
def test_what_is_kept_keeps_its_order_and_spelling(rule: str, query: list[tuple[str, str]]) -> None:
    given_pieces = address(query).partition("?")[2].split("&")
    kept = key_request(address(query), query_rule(rule)).partition("?")[2]
    left = iter(given_pieces)
    assert all(piece in left for piece in kept.split("&") if kept)


@given(query=queries, chance=st.randoms(use_true_random=False))
def test_signing_parameters_anywhere_leave_the_key_as_it_is(
    query: list[tuple[str, str]], chance: random.Random
) -> None:
    signed = query_rule("signed")
    plain = [pair for pair in query if pair[0] in ("v", "id", "t")]
    mixed = list(plain)
    for name in ("X-Amz-Signature", "sig", "se", "Key-Pair-Id"):
        mixed.insert(chance.randint(0, len(mixed)), (name, "=x"))
    assert key_request(address(mixed), signed) == address(plain)


@each_rule
@given(query=queries)
def test_a_line_that_the_quick_look_passes_over_is_not_changed(rule: str, query: list[tuple[str, str]]) -> None:
    request = address(query)
    if not may_change(request.encode(), query_rule(rule)):
        assert key_request(request, query_rule(rule)) == request


@pytest.mark.parametrize("text", ["", "only", "only:", "only: ,", "some", "Signed", "drop:a"])
def test_another_text_is_no_rule(text: str) -> None:
    with pytest.raises(ValueError, match="write keep, signed, drop, or only:"):
        query_rule(text)
