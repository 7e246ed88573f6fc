"""What the client says of a download that was resumed inside the bytes that were in flight."""

from __future__ import annotations

from app.client.answer import AskedBytes, Exit, answer
from app.client.text import answer_text, sentence
from tests.domain.hits import KEY, delivery_of, hit

RESUMED = delivery_of(hit(0, 999, sent=600, total=1000), hit(400, 999, sent=600, total=1000))


def said(part: AskedBytes | None) -> tuple[Exit, str]:
    found = answer(KEY, [RESUMED], [], 2, part, False)
    return found.exit, sentence(found)


def test_it_is_whole_on_a_condition_that_is_said() -> None:
    condition = "if the client had received what was sent before the connection broke"
    assert said(None) == (Exit.WHOLE, f"Whole, {condition}: bytes 0-399.")
    assert said(AskedBytes(300, 500)) == (Exit.WHOLE, f"Whole, {condition}: bytes 300-399.")
    assert said(AskedBytes(400, 999)) == (Exit.WHOLE, "Whole: bytes 400-999 arrived.")


def test_a_part_that_may_have_arrived_is_not_missing() -> None:
    cut = delivery_of(hit(0, 999, sent=600, total=1000))
    codes = [answer(KEY, [cut], [], 1, AskedBytes(lo, hi), False).exit for lo, hi in ((0, 599), (500, 700), (600, 999))]
    assert codes == [Exit.UNKNOWN, Exit.NOT_WHOLE, Exit.NOT_WHOLE]


def test_what_may_have_arrived_is_named_below_what_is_missing() -> None:
    cut = delivery_of(hit(0, 999, sent=400, total=1000))

    def told(part: AskedBytes | None) -> str:
        return answer_text(answer(KEY, [cut], [], 1, part, False), "")

    assert "\nMissing    400-999\nIn doubt   0-399\n" in told(None)
    assert "\nMissing    400-599\nIn doubt   300-399\n" in told(AskedBytes(300, 599))
    assert "In doubt" not in told(AskedBytes(400, 599))


def test_of_a_count_without_a_size_the_bytes_alone_are_told() -> None:
    page = delivery_of(hit(status=200, sent=4000))._replace(ranges=[], evidence="bytes")
    assert "\nMissing    not known; 4,000 bytes sent\n" in answer_text(answer(KEY, [page], [], 1, None, False), "")
