"""Follows several files at once as they grow and are rotated, until stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from app.errors import InputError, WeblogsError
from app.sources.following.path import FollowedPath, NotGrowing
from app.sources.replay.run import Progress, ReplayOptions, ReplayResult, ReplayRun, replay_file
from app.sources.replay.sender import Appends, Stopped

__all__ = ["follow_files"]

_POLL_S = 0.1


def follow_files(
    paths: Sequence[str],
    producer: Appends,
    options: ReplayOptions,
    on_progress: Callable[[Progress], None] | None = None,
) -> ReplayResult:
    """Sends whole lines as they are added to `paths`; blocks until `options.stop` is set or no path is left.

    Pipes and archives are read once. A path that is not there is waited for. To be stopped is no failure.
    """
    run = ReplayRun(producer, options, on_progress)
    started = time.monotonic()
    followed: list[FollowedPath] = []
    try:
        for path in dict.fromkeys(paths):
            followed.append(FollowedPath(path, run, run.read_options))
        _follow(followed, run)
    except Stopped:
        options.say("stopped; the same command goes on from there")
    except WeblogsError as error:
        run.fail(error)
    finally:
        for each in followed:
            each.close()
    run.result.seconds = time.monotonic() - started
    return run.result


def _follow(followed: list[FollowedPath], run: ReplayRun) -> None:
    while followed:
        moved = False
        for each in list(followed):
            try:
                moved = each.turn() or moved
            except NotGrowing:
                followed.remove(each)
                _replay_once(each.path, run)
            if each.is_given_up and each in followed:
                followed.remove(each)
        run.sender.flush()
        if run.options.stop.is_set():
            raise Stopped
        if not moved and run.options.stop.wait(_POLL_S):
            raise Stopped


def _replay_once(path: str, run: ReplayRun) -> None:
    try:
        replay_file(path, run)
    except InputError as error:
        run.fail(error)
