"""The simulator's truth and the domain, written apart from each other, give one answer for any hits."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.proof import Proof
from app.domain.watermarks import Advance
from app.domain.windows import WINDOWS, Rules
from simulator.truth import Shot, WindowRule, answers
from tests.domain.reducing import OneByOne
from tests.properties import examples

_KEY = ("10.0.0.1", "agent", "GET /a")
_SHOTS = st.builds(
    lambda time, lo, length, sent, total, kind: (
        Shot(time, lo, lo + length, max(sent, 0) if 0 <= total <= lo + length else sent, total)
        if kind == "ranged"
        else Shot(time, -1, -1, max(sent, 0), total, kind == "from start")
    ),
    st.integers(0, 200_000),
    st.integers(0, 12),
    st.integers(0, 8),
    st.integers(-1, 9),
    st.sampled_from([-1, -1, 12, 12, 13]),
    st.sampled_from(["ranged", "ranged", "ranged", "counted", "from start"]),
)


def _hit(shot: Shot) -> tuple[Any, ...]:
    """The tuple of Parsed that a log line with these numbers gives."""
    numbers = [None if number < 0 else number for number in (shot.lo, shot.hi, shot.sent, shot.total)]
    return (float(shot.time), *_KEY, "GET", 200 if shot.from_start else 206, *numbers, 0, {})


@settings(max_examples=examples(400))
@given(
    st.lists(_SHOTS, min_size=1, max_size=10),
    st.sampled_from(WINDOWS),
    st.sampled_from([60.0, 40_000.0, 86_400.0]),
    st.sampled_from([-1, 12, 2]),
    st.sampled_from([0, 3, 8 << 20]),
)
def test_truth_and_domain_agree_on_every_field(
    shots: list[Shot], window: str, length_s: float, size: int, in_flight: int
) -> None:
    reduction = OneByOne(
        Rules(window, length_s, proof=Proof(in_flight)), lambda request, time: size if size >= 0 else None
    )
    reduction.add([_hit(shot) for shot in shots], range(len(shots)), 0, Advance(unordered=True))
    found = {delivery.window_start: delivery._asdict() for delivery in reduction.finish()}
    told = answers(_KEY, shots, WindowRule(window, length_s), size, in_flight)
    truth = {answer["window_start"]: answer for answer in told}
    assert {start: {name: fields[name] for name in truth[start]} for start, fields in found.items()} == truth
