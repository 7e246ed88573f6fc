"""The record of the usage log: canonical bytes, checksum, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.fields import Field, Kind
from app.domain.usage.records import (
    KINDS,
    OUTCOMES,
    USAGE,
    Producer,
    UsageRecord,
    canonical,
    fault_of,
    fields_of,
    is_intact,
    producer_of,
    record_of,
    sealed,
    sealed_json,
    user_key,
)
from tests.together import together

START = UsageRecord("start", "shop", "m1", "ab" * 16, 1, 1.25, 7, "", memory_records=10)


def values(field: Field) -> st.SearchStrategy[Any]:
    if field.name in ("kind", "outcome"):
        found: st.SearchStrategy[Any] = st.sampled_from(KINDS if field.name == "kind" else OUTCOMES)
    elif field.name == "seq":
        found = st.integers(min_value=1)
    else:
        found = {
            Kind.TEXT: st.text(st.characters(exclude_categories=())),
            Kind.INTEGER: st.integers(),
            Kind.SMALL: st.integers(-(1 << 31), (1 << 31) - 1),
            Kind.TIME: st.floats(allow_nan=False, allow_infinity=False),
            Kind.BOOLEAN: st.booleans(),
        }[field.kind]
    return found | st.none() if field.optional else found


RECORDS = st.tuples(*map(values, USAGE.fields)).map(UsageRecord._make)


@given(RECORDS)
def test_a_sealed_record_survives_json_with_its_checksum(record: UsageRecord) -> None:
    one = sealed(record)
    again = record_of(json.loads(json.dumps(one)))
    assert again == one and is_intact(again)
    assert canonical(again) == canonical(record)


@given(RECORDS)
def test_the_json_of_a_sealed_record_is_that_of_its_fields(record: UsageRecord) -> None:
    assert sealed_json(record).decode() == json.dumps(sealed(record), separators=(",", ":"))


@given(RECORDS, st.integers(0, len(UsageRecord._fields) - len(Producer._fields) - 3))
def test_fields_by_position_make_the_record_that_they_make_by_name(record: UsageRecord, count: int) -> None:
    one = record._asdict()
    producer = Producer(**{name: one[name] for name in Producer._fields})
    own = (record.kind, record.seq, record.time)
    named: dict[str, Any] = dict(zip(("kind", "seq", "time"), own, strict=True)) | producer._asdict()
    others = {name: value for name, value in one.items() if name not in named}
    assert producer.record(*own, fields_of(**others)) == record
    first = dict(list(others.items())[:count])
    assert producer.record(*own, tuple(first.values())) == UsageRecord(**named, **first)


@given(
    RECORDS, st.sampled_from(USAGE.fields), st.sampled_from(["", "x", 0, -1, 1 << 31, 0.5, float("nan"), True, None])
)
def test_a_record_is_judged_the_same_whatever_was_judged_before(record: UsageRecord, field: Field, value: Any) -> None:
    other = record._replace(**{field.name: value})
    first = fault_of(other)
    assert fault_of(record) == ""
    assert fault_of(other) == first
    assert first == "" or field.name in first


@given(RECORDS, st.data())
def test_a_change_of_any_field_is_seen(record: UsageRecord, data: st.DataObject) -> None:
    one = sealed(record)
    field = data.draw(st.sampled_from(USAGE.fields))
    other = one._replace(**{field.name: data.draw(values(field))})
    assert is_intact(other) == (canonical(other) == canonical(one) and other.sha256 == one.sha256)


def test_the_canonical_bytes_are_an_array_of_all_fields_but_the_checksum() -> None:
    tail = ",".join(["null"] * 7 + ["false"] + ["null"] * 12 + ["10"])
    assert canonical(sealed(START)) == f'["start","shop","m1","{"ab" * 16}",1,1.25,7,"",{tail}]'.encode()


def test_the_checksum_is_the_last_field_and_every_field_has_a_meaning() -> None:
    assert USAGE.fields[-1].name == "sha256"
    assert all(field.what for field in USAGE.fields)


@together(
    ("changed", "message"),
    [
        ({"seq": 0}, "seq is below 1: 0"),
        ({"seq": True}, "seq is no integer: True"),
        ({"seq": "1"}, "seq is no integer: '1'"),
        ({"kind": "other"}, "kind is none of request, response, start, stop, heartbeat, dropped: 'other'"),
        ({"service": None}, "service is no text: None"),
        ({"time": float("inf")}, "time is no time: inf"),
        ({"time": 10**400}, "time is no time: 10*"),
        ({"status": 1 << 31}, "status is no small integer: 2147483648"),
    ],
)
def test_a_value_that_is_none_of_its_field_is_refused_by_name(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        record_of(list(START._replace(**changed)))


@pytest.mark.parametrize("row", [None, {}, [], list(START)[:-1], "text"])
def test_what_is_no_list_of_all_fields_is_refused(row: object) -> None:
    with pytest.raises(ValueError, match="is a list of 30 fields"):
        record_of(row)


def test_anonymous_users_are_told_apart_by_address_and_records_of_a_producer_are_its_own() -> None:
    call = START._replace(kind="request", user_id="anonymous", address="10.0.0.1")
    assert user_key(call) != user_key(call._replace(address="10.0.0.2"))
    assert user_key(call._replace(user_id="u1", address="10.0.0.2")) == "u1"
    assert user_key(START) == producer_of(START) == f"shop@m1/{'ab' * 16}"
