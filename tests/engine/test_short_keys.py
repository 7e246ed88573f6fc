"""Short keys: nobody who asks with a whole key sees a difference, and nothing stays of agents that no key has."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.short_keys import ShortKeys
from app.messages.state_values import key_bytes

TEXTS = st.sampled_from(["", "a", "b", '","', '\\","', "\n", "\\n", "1\n2", '["', '"]', "é", "\0", "\\"]) | st.text(
    max_size=6
)
KEYS = st.tuples(TEXTS, TEXTS, TEXTS).map(key_bytes) | st.sampled_from([b"\0rules", b'\0clock|","', b"\0\n"])


@settings(deadline=None)
@given(st.lists(KEYS, unique=True, max_size=12), st.data())
def test_keys_are_found_and_come_back_whole(keys: list[bytes], data: st.DataObject) -> None:
    short_keys = ShortKeys()
    shorts = {key: short_keys.make(key) for key in keys}
    assert len(set(shorts.values())) == len(keys), "no two keys share one"
    kept = data.draw(st.lists(st.sampled_from(keys), unique=True)) if keys else []
    short_keys.keep_only([shorts[key] for key in kept])
    for key in kept:
        assert (short_keys.find(key), short_keys.make(key), short_keys.whole(shorts[key])) == (
            shorts[key],
            shorts[key],
            key,
        )
    assert len(short_keys) == len({key.split(b'","')[1] for key in kept if key[0]})
    again = {key: short_keys.make(key) for key in keys}
    assert len(set(again.values())) == len(keys)
    assert [short_keys.whole(short) for short in again.values()] == keys


def test_an_agent_takes_its_room_once() -> None:
    short_keys, agent = ShortKeys(), "Mozilla/5.0 " * 20
    shorts = [short_keys.make(key_bytes((f"10.0.0.{number}", agent, "GET /a"))) for number in range(200)]
    assert len(short_keys) == 1
    assert max(map(len, shorts)) < 24


def test_a_key_that_was_never_made_is_not_found() -> None:
    assert ShortKeys().find(key_bytes(("10.0.0.1", "curl/8", "GET /a"))) is None
