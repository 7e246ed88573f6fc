"""Secrets never leave the request."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.usage.masking import Masking

MASKING = Masking(["Customer-No"])
SECRET = "hunter2hunter2"
NAMES = [
    "password",
    "user[password]",
    "Old-Password",
    "api_key",
    "X-API-Key",
    "access_token",
    "sessionid",
    "Signature",
    "customer_no",
    "pwd",
    "user_pass",
    "cardPin",
    "passcode",
    "creditCard",
    "cc_number",
    "security_code",
    "subscription-key",
    "_csrf",
    "totp",
    "SAMLResponse",
    "passwort",
    "\uff30assword",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_value_with_a_secret_name_is_masked_everywhere(name: str) -> None:
    assert SECRET not in MASKING.uri(f"/a?b=1&{name}={SECRET}&c=2")
    assert SECRET not in str(MASKING.body("application/x-www-form-urlencoded", f"{name}={SECRET}".encode(), 1000))
    nested = json.dumps({"a": [{"b": {name: [SECRET]}}]}).encode()
    assert SECRET not in str(MASKING.body("application/json; charset=utf-8", nested, 1000))


@pytest.mark.parametrize(
    "name", ["keyboard", "q", "author", "page", "passenger", "country_code", "sort_key", "compass", "card_type"]
)
def test_other_values_stay(name: str) -> None:
    assert MASKING.uri(f"/a?{name}=x%20y&z") == f"/a?{name}=x%20y&z"


def test_a_name_that_is_written_with_percent_signs_is_known() -> None:
    assert SECRET not in MASKING.uri(f"/a?pass%77ord={SECRET}")


@pytest.mark.parametrize(
    "uri",
    [
        "/a?b=1;token={}",
        "/cart;jsessionid={}?a=1",
        "/a?%2570assword={}",
        "/a?token%3D{}",
        "/a?next=/b?token={}",
        "/a?next=%2Fb%3Fc%3D1%26token%3D{}",
        "/a?next=http://ada:{}@host/",
        "/a?next=http%253A%252F%252Fada%253A{}%2540host",
        "/fetch/http%3A%2F%2Fada%3A{}%40host/b",
        "/a?filter=%7B%22password%22%3A%20%22{}%22%7D",
        "/a?head=Authorization:%20Bearer%20{}",
        "/a?b=1#token={}",
    ],
)
def test_a_secret_within_a_value_is_masked(uri: str) -> None:
    assert SECRET not in MASKING.uri(uri.format(SECRET))
    assert SECRET not in str(MASKING.body("application/x-www-form-urlencoded", uri[3:].format(SECRET).encode(), 1000))
    assert SECRET not in str(MASKING.body("application/json", json.dumps([{"a": uri.format(SECRET)}]).encode(), 1000))


@pytest.mark.parametrize(
    "value",
    [
        f"http://ada:{SECRET}@host/",
        json.dumps({"password": SECRET}),
        json.dumps({"a": json.dumps({"password": SECRET})}),
        {"name": "password", "value": SECRET},
    ],
)
def test_a_secret_within_a_text_of_json_is_masked(value: Any) -> None:
    assert SECRET not in str(MASKING.body("application/json", json.dumps({"a": [value]}).encode(), 1000))


@pytest.mark.parametrize(
    "query", ["q=key:+up", "at=12:30:00", "next=/b?page=2", "filter=%7B%22id%22:1%7D", "a=b=c", "to=ada@host;b"]
)
def test_a_value_without_a_secret_stays(query: str) -> None:
    assert MASKING.uri(f"/a;v=1/b?{query}") == f"/a;v=1/b?{query}"


@given(
    st.lists(
        st.sampled_from(["/a", "/b?q=1", "/b?pwd=1", "/b?q=1&pwd=2", "http://u:p@h/", "http://u:p@h/?q=1"]), max_size=8
    )
)
def test_what_was_masked_before_changes_nothing_and_no_uri_with_a_secret_is_remembered(uris: list[str]) -> None:
    masking = Masking()
    assert [masking.uri(uri) for uri in uris] == [Masking().uri(uri) for uri in uris]
    assert set(masking.plain_uris) <= {"/a", "/b?q=1"}  # what stays in memory is the point


def test_the_uris_that_are_remembered_are_bounded_and_short() -> None:
    masking = Masking()
    for number in range(3000):
        masking.uri(f"/a?number={number}")
        masking.uri(f"/a?long={'x' * 300}{number}")
    assert 0 < len(masking.plain_uris) <= 1000 and max(map(len, masking.plain_uris)) < 300


def test_long_names_that_a_client_makes_up_are_not_remembered() -> None:
    masking = Masking()
    tracemalloc.start()
    for number in range(1200):
        assert masking.uri(f"/a?{number}{'x' * 50_000}=1").endswith("=1")
        masking.body("application/json", f'{{"{number}{"y" * 50_000}": 1}}'.encode(), 10)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 10_000_000


def test_a_login_in_an_absolute_uri_is_masked() -> None:
    assert MASKING.uri(f"http://ada:{SECRET}@host/a?b=1") == "http://(secret)@host/a?b=1"
    assert MASKING.uri(f"//ada:{SECRET}@host/a") == "//(secret)@host/a"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b"password=x"),
        ("", b"{}"),
        ("application/json", b'{"a": '),
        ("application/json", b"\xff"),
        ("application/json", b"[" * 100_000),
        ("multipart/form-data; boundary=x", b"--x"),
    ],
)
def test_a_body_that_nobody_can_look_through_is_left_out(kind: str, body: bytes) -> None:
    assert MASKING.body(kind, body, 1000) is None


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "name", "q"]), inner, max_size=3)
    ),
    max_leaves=10,
)


def without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "(secret)" if name in NAMES else without_secrets(inner) for name, inner in value.items()}
    return [without_secrets(inner) for inner in value] if isinstance(value, list) else value


@given(JSON)
def test_json_keeps_its_shape_and_all_that_is_not_secret(value: Any) -> None:
    masked = MASKING.body("application/json", json.dumps(value).encode(), 1 << 20)
    assert masked is not None and json.loads(masked) == without_secrets(value)
