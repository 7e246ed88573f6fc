"""Every message says in which form it is written; each form that ever was is read, any other one is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from app.domain.records import FOREIGN, Delivery, Hit, Reject, raw_ids
from app.errors import UnknownForm
from app.messages.forms import DamagedMessage, FormDecoders, form_of, read_at
from app.messages.headers import HEADERS_FORM, Headers
from app.messages.origins import Lines
from app.messages.packed_hits import PackedHits
from app.messages.packing import pack_numbers
from app.messages.records import decode_deliveries, decode_rejects, encode_deliveries, encode_rejects
from app.messages.tokens import HitGroup, TokenMessage, decode_tokens, encode_tokens, hits_of
from app.steps.tokenizer import Tokenizer
from tests.together import together

FILES = Path(__file__).resolve().parents[1] / "data" / "forms"
NOON = 1_596_196_800.0
SOURCE = "0123456789abcdef0123456789abcdef"
KEY = ("203.0.113.9", "curl/8", "GET /film.mp4")
ID, OTHER_ID = raw_ids(SOURCE)(0), raw_ids(SOURCE)(80)
LARGE = 10**30
"""More than 64 bits."""

LOGGED = KEY[2] + "?sig=1"
EXTRAS = {"referer": "https://example.com/"}
TOKENS = TokenMessage(
    NOON,
    [
        HitGroup(
            SOURCE, 7, "access.log", NOON, NOON + 1, 0.5, False, True,
            [(NOON, *KEY, "GET", 206, 0, LARGE, None, None, 0, EXTRAS, ID, 0, LOGGED)],
            [
                PackedHits(
                    [KEY], ["GET"], pack_numbers("I", [0]), pack_numbers("d", [NOON + 1]),
                    pack_numbers("Q", [80]), pack_numbers("H", [206]), pack_numbers("q", [10]), pack_numbers("q", [19]),
                    pack_numbers("q", [10]), pack_numbers("q", [20]), pack_numbers("H", [16]),
                    [EXTRAS], pack_numbers("I", [0]),
                )
            ],
        )
    ],
)  # fmt: skip
HITS = [
    Hit(NOON, *KEY, "GET", 206, 0, LARGE, None, None, 0, EXTRAS, ID, SOURCE, 0, LOGGED),
    Hit(NOON + 1, *KEY, "GET", 206, 10, 19, 10, 20, 16, EXTRAS, OTHER_ID, SOURCE, 80),
]
TOKENS_OF_FORM_2 = deepcopy(TOKENS)
(row,) = TOKENS_OF_FORM_2.groups[0].rows
TOKENS_OF_FORM_2.groups[0].rows[0] = (*row[:11], {}, *row[12:])
TOKENS_OF_FORM_2.groups[0].columns[0].all_extras = []
TOKENS_OF_FORM_2.groups[0].columns[0].extras = b""
TOKENS_OF_FORM_1 = deepcopy(TOKENS_OF_FORM_2)
TOKENS_OF_FORM_1.groups[0].columns[0].flags = b""
TOKENS_OF_FORM_1.groups[0].rows[0] = (*TOKENS_OF_FORM_2.groups[0].rows[0][:-1], None)
DELIVERIES = [
    Delivery(
        *KEY, NOON, NOON, NOON + 1, [[0, 9], [12, LARGE]], [[10, 11]], LARGE - 1, None, False, "partial", "ranges", "gap", 2, None,
        ["cut_off"], [ID[:16]], False, 16, None, [[20, 29]],
    )
]  # fmt: skip
REJECTS = [Reject("bad_time", "no time: x", "x\ty", ID, SOURCE, 0, NOON)]


class Kind(NamedTuple):
    """One kind of message: how it is written and read, and what stands in the files of all its forms."""

    encode: Callable[[Any], list[bytes]]
    decode: Callable[..., Any]
    said: Any
    said_before: Mapping[int, Any] = {}
    """What the files of older forms say, where they could not say as much."""


KINDS = {
    "weblogs_tokens": Kind(encode_tokens, decode_tokens, TOKENS, {1: TOKENS_OF_FORM_1, 2: TOKENS_OF_FORM_2}),
    "weblogs_reduced": Kind(
        encode_deliveries, decode_deliveries, DELIVERIES, {1: [one._replace(doubtful=[]) for one in DELIVERIES]}
    ),
    "weblogs_rejects": Kind(encode_rejects, decode_rejects, REJECTS),
}
FORMS = [(path.name.partition(".")[0], path) for path in sorted(FILES.glob("weblogs_*.json"))]


class At(NamedTuple):
    """As an agent holds a message."""

    partition: int
    offset: int
    value: bytes


def test_every_kind_has_a_file_of_each_form_up_to_the_one_that_is_written() -> None:
    for topic, kind in KINDS.items():
        (value,) = kind.encode(kind.said)
        form = form_of(value)
        assert form is not None
        assert [path.name for name, path in FORMS if name == topic] == [
            f"{topic}.{number}.json" for number in range(1, form + 1)
        ]


@pytest.mark.parametrize(("topic", "path"), FORMS, ids=[path.name for _, path in FORMS])
def test_the_file_of_a_form_says_what_it_was_made_to_say(topic: str, path: Path) -> None:
    value = path.read_bytes().rstrip()
    form, kind = form_of(value), KINDS[topic]
    assert form == int(path.name.split(".")[1])
    assert kind.decode(value) == kind.said_before.get(form, kind.said)


@pytest.mark.parametrize("topic", KINDS)
def test_the_newest_form_is_written_as_its_file_has_it(topic: str) -> None:
    kind = KINDS[topic]
    (value,) = kind.encode(kind.said)
    assert value == (FILES / f"{topic}.{form_of(value)}.json").read_bytes().rstrip()


@pytest.mark.parametrize(
    ("form", "flags", "logged", "extras"), [(1, 0, None, {}), (2, 16, LOGGED, {}), (3, 16, LOGGED, EXTRAS)]
)
def test_packed_and_plain_hits_of_a_file_are_hits(
    form: int, flags: int, logged: str | None, extras: dict[str, str]
) -> None:
    value = (FILES / f"weblogs_tokens.{form}.json").read_bytes().rstrip()
    row, packed = HITS
    assert list(map(Hit._make, hits_of(decode_tokens(value)))) == [
        row._replace(logged_request=logged, extras=extras),
        packed._replace(flags=flags, extras=extras),
    ]


@together("topic", KINDS)
@together("form", [0, "next", 99])
def test_a_message_of_an_unknown_form_is_refused_by_topic_partition_offset_and_form(
    topic: str, form: int | str
) -> None:
    kind = KINDS[topic]
    (value,) = kind.encode(kind.said)
    newest, *rest = json.loads(value)
    form = newest + 1 if form == "next" else form
    known = rf"this program knows form {newest}\b"
    with pytest.raises(UnknownForm, match=rf"^message 12 of {topic}/3 has form {form}; {known}"):
        read_at(topic, At(3, 12, json.dumps([form, *rest]).encode()), kind.decode)


@together("topic", KINDS)
@together("value", [b"", b"null", b"[]", b'[["a"]]', b"\x93\x01\x02\x03", b"GET / HTTP/1.1", b"[1596196800.0,[]]"])
def test_a_message_without_a_form_is_refused(topic: str, value: bytes) -> None:
    with pytest.raises(UnknownForm, match=rf"^message 12 of {topic}/3 has no form number"):
        read_at(topic, At(3, 12, value), KINDS[topic].decode)


@together("topic", KINDS)
@together("value", [b"[1,", b"[1]", b'[1,"x"]', b'[1,[["x"]]]', b"[1,[1]]", b'[1,["\xff"]]'])
def test_a_damaged_message_is_refused_with_its_place(topic: str, value: bytes) -> None:
    with pytest.raises(DamagedMessage, match=rf"^message 12 of {topic}/3 is damaged: it names form 1"):
        read_at(topic, At(3, 12, value), KINDS[topic].decode)


@together(
    "raw_id",
    [ID.upper(), ID[:-1], ID + "0", ID + "\n", ID[:-2] + "  ", ID[:-1] + "g", ID[:-1] + "é", "", 7, None],
    ids=[
        "capitals",
        "short",
        "long",
        "with an end of line",
        "with spaces",
        "with a g",
        "not ASCII",
        "empty",
        "a number",
        "null",
    ],
)
def test_a_hit_whose_raw_id_is_not_32_hex_digits_makes_its_message_a_damaged_one(raw_id: object) -> None:
    (value,) = encode_tokens(TOKENS)
    message = json.loads(value)
    rows = message[2][0][-2]
    rows.append([raw_id if field == ID else field for field in rows[0]])
    with pytest.raises(DamagedMessage, match=r"^message 12 of weblogs_tokens/3 is damaged"):
        read_at("weblogs_tokens", At(3, 12, json.dumps(message).encode()), decode_tokens)


def test_a_decoder_of_the_last_form_stands_beside_that_of_the_next() -> None:
    decoders = FormDecoders(
        "a_topic", {1: lambda value: [*json.loads(value)[1:], "old"], 2: lambda value: json.loads(value)[1:]}
    )
    assert [decoders.decode(b'[1,"x"]'), decoders.decode(b'[2,"x"]')] == [["x", "old"], ["x"]]
    with pytest.raises(UnknownForm, match="a message of a_topic has form 3; this program knows form 2"):
        decoders.decode(b"[3]")


@pytest.mark.parametrize("form", [b"2", b"999999999"])
def test_lines_whose_headers_are_of_a_newer_form_are_refused(form: bytes) -> None:
    lines = Lines("weblogs@3f", 3, 12, NOON, b"a line\n", {Headers.FORM: form})
    with pytest.raises(UnknownForm, match=rf"^message 12 of weblogs/3, by its headers, has form {form.decode()};"):
        Tokenizer(1).tokenize([lines])


@pytest.mark.parametrize("form", [b"0", b"x", b"", b"\xff", b"9" * 5000])
def test_lines_whose_headers_no_version_wrote_are_a_reject_with_their_place(form: bytes) -> None:
    lines = Lines("weblogs@3f", 3, 12, NOON, b"a line\n", {Headers.FORM: form})
    found = Tokenizer(1).tokenize([lines])
    ((reason, detail, line, _, source, position, time),) = found.rejects
    assert (reason, line, source, position >> 24, time) == (FOREIGN, "a line\n", "weblogs@3f/3", 12, NOON)
    assert detail.startswith("message 12 of weblogs/3, by its headers, has ")
    assert (found.lines, found.hits, found.tokens) == (1, 0, {})


def test_lines_from_shippers_need_no_form() -> None:
    with_form = {Headers.FORM: b"%d" % HEADERS_FORM}
    without: dict[str, bytes] = {}
    one, other = (
        Tokenizer(1).tokenize([Lines("weblogs@3f", 3, 12, NOON, b"a line\n", headers)])
        for headers in (with_form, without)
    )
    assert one == other and one.lines == 1
