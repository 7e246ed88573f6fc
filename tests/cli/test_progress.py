"""What is told to a log or a pipe while lines are on the way."""

from __future__ import annotations

import pytest

from app.cli import progress


def test_messages_on_the_way_are_told_only_if_there_are_some(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_STATUS_EVERY_S", 0.0)
    with progress.open_screen() as screen:
        for messages in (2, 1, 0):
            screen.waiting(messages)
    assert capsys.readouterr().err.splitlines() == [
        "2 messages on the way to the store",
        "1 message on the way to the store",
    ]
