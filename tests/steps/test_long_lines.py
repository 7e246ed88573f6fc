"""WEBLOGS_MAX_LINE_BYTES holds for messages of Kafka as for files: the same reject, and the lines around it as they are."""

from __future__ import annotations

import json
from io import BytesIO

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.formats import FormatOptions
from app.domain.records import Hit, Reject
from app.messages.tokens import hits_of
from app.sources.files.chunks import chunks
from app.steps.tokenizer import Tokenized, Tokenizer
from tests.properties import examples
from tests.steps.test_tokenizing import HEADER, SOURCE, message, tsv

LIMIT = 120
SIGNED = FormatOptions(query="signed")
GOOD = tsv(5)


def tokenized(*messages: object) -> tuple[list[Hit], list[Reject]]:
    found: Tokenized = Tokenizer(1, "weblog_tsv", SIGNED, max_line_bytes=LIMIT).tokenize(messages)  # type: ignore[arg-type]
    hits = [Hit._make(hit) for token in found.tokens.values() for hit in hits_of(token)]
    return sorted(hits, key=lambda hit: hit.position), sorted(found.rejects, key=lambda reject: reject.position)


def as_replay_sends(data: bytes) -> tuple[list[Hit], list[Reject]]:
    """The same bytes as the messages that `replay` and `reduce` make of a file."""
    sent = []
    for chunk in chunks(BytesIO(data), 4096, LIMIT):
        headers = {"source": SOURCE, "name": "a", "position": str(chunk.position)}
        if chunk.too_long:
            headers["too_long"] = str(chunk.too_long)
        sent.append(message(chunk.data, 0, 0, **headers))
    return tokenized(*sent)


@settings(deadline=None, max_examples=examples(80))
@given(
    st.lists(st.sampled_from([GOOD, HEADER, "x" * LIMIT, "y" * (LIMIT + 1), "é" * 700, GOOD + "\r", "", "z" * 3000]))
)
def test_a_message_gives_what_the_same_bytes_of_a_file_give(lines: list[str]) -> None:
    data = "\n".join(lines).encode()
    if data:
        own = message(data, 0, 0, source=SOURCE, name="a", position="0")
        assert tokenized(own) == as_replay_sends(data)


def test_a_long_line_between_others_is_the_only_reject() -> None:
    data = f"{GOOD}\n{'x' * 500}\n{tsv(7)}\n"
    hits, rejects = tokenized(message(data))
    assert [hit.time % 60 for hit in hits] == [5.0, 7.0]
    assert [(each.reason, each.detail) for each in rejects] == [("too_long", "a line of 500 bytes")]
    assert [hit.position for hit in hits] == [0, 2] and rejects[0].position == 1


def test_a_line_in_an_envelope_has_the_same_limit() -> None:
    hits, rejects = tokenized(message(json.dumps({"id": "a:1", "line": "x" * 500})))
    assert (hits, [each.reason for each in rejects]) == ([], ["too_long"])


def test_the_columns_of_a_large_message_hold_no_long_line() -> None:
    data = "\n".join([GOOD] * 3000 + ["x" * 500] + [GOOD] * 3)
    hits, rejects = tokenized(message(data, 0, 0, source=SOURCE, name="a", position="0"))
    assert len(hits) == 3003 and [each.reason for each in rejects] == ["too_long"]


def test_a_long_line_leaves_the_keys_of_its_neighbours_as_they_are() -> None:
    signed = tsv(7, path="/a.mp4?X-Amz-Signature=0&v=2")
    alone, _ = tokenized(message(f"{signed}\n"))
    beside, rejects = tokenized(message(f"{signed}\n{'x' * 500}\n"))
    assert [hit.request for hit in alone] == [hit.request for hit in beside] == ["/a.mp4?v=2"]
    assert [each.reason for each in rejects] == ["too_long"]
