"""Short keys: nobody who asks with a whole key sees a difference, and nothing stays of agents that no key has."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from app import wire
from app.domain.shortkeys import ShortKeys

TEXTS = st.sampled_from(["", "a", "b", '","', '\\","', "\n", "\\n", "1\n2", '["', '"]', "é", "\0", "\\"]) | st.text(max_size=6)
KEYS = st.tuples(TEXTS, TEXTS, TEXTS).map(wire.key_bytes) | st.sampled_from([b"\0rules", b'\0clock|","', b"\0\n"])


@settings(deadline=None)
@given(st.lists(KEYS, unique=True, max_size=12), st.data())
def test_keys_that_are_held_are_found_and_come_back_whole(keys: list[bytes], data: st.DataObject) -> None:
    short_keys = ShortKeys()
    held = {key: short_keys.hold(key) for key in keys}
    gone = data.draw(st.lists(st.sampled_from(keys), unique=True)) if keys else []
    for key in gone:
        short_keys.release(held.pop(key))
    assert len(set(held.values())) == len(held), "no two keys share one"
    for key, short in held.items():
        assert (short_keys.find(key), short_keys.whole(short)) == (short, key)
    for key in gone:
        assert short_keys.find(key) not in held.values()
    again = {key: short_keys.hold(key) for key in gone}
    assert len({*held.values(), *again.values()}) == len(keys)
    for short in (*held.values(), *again.values()):
        short_keys.release(short)
    assert len(short_keys) == 0


def test_an_agent_takes_its_room_once() -> None:
    short_keys, agent = ShortKeys(), "Mozilla/5.0 " * 20
    shorts = [short_keys.hold(wire.key_bytes((f"10.0.0.{number}", agent, "GET /a"))) for number in range(200)]
    assert len(short_keys) == 1
    assert max(map(len, shorts)) < 24
