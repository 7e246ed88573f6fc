"""The agent that counts requests: what it cannot read is merge_ranges' to tell; a later form ends the worker with the place."""

from __future__ import annotations

import pytest

from agents.count_requests import requests_of
from app.errors import UnknownForm
from app.flows.requests import Request
from app.messages.origins import Lines
from app.messages.tokens import encode_tokens
from app.steps.tokenizer import Tokenizer

LINE = b'192.0.2.1 - - [18/May/2015:10:00:00 +0000] "GET /a.mp3?x HTTP/1.1" 200 %d "-" "curl"\n'


def counted(sent: int) -> list[Request]:
    found = Tokenizer(1).tokenize([Lines("weblogs@1", 0, 7, 1.6e9, LINE % sent, {})])
    return [request for value in encode_tokens(found.tokens[0]) for request in requests_of(value).events]


def test_a_request_is_a_hit_with_its_raw_id_and_its_bytes() -> None:
    (request,) = counted(100)
    assert request[1:] == (1431943200.0, "192.0.2.1", "GET /a.mp3?x", "GET", 200, 100) and len(request.raw_id) == 32


def test_bytes_that_are_no_size_add_nothing() -> None:
    assert [request.sent_bytes for sent in (10**15, 10**15 + 1) for request in counted(sent)] == [10**15, 0]


@pytest.mark.parametrize("value", [b"", b"\x00\xff", b"[0,[]]", b'{"order": 17}', b"[3,1.0,[[1]],false]"])
def test_what_cannot_be_read_counts_nothing(value: bytes) -> None:
    assert requests_of(value, "message 7 of weblogs_tokens/0") == ([], [])


def test_a_later_form_names_its_place() -> None:
    with pytest.raises(UnknownForm, match="message 7 of weblogs_tokens/0 has form 99"):
        requests_of(b"[99,[],[]]", "message 7 of weblogs_tokens/0")
