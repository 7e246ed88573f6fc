"""One followed path: the file that stands there now, and those that stood there before and may still be written to."""

from __future__ import annotations

import logging
import math
import os
import stat
import time
from contextlib import suppress

from app.domain.formats.base import AUTO
from app.errors import InputError
from app.sources.files.decompress import MAGIC_BYTES, compression_of
from app.sources.files.inputs import reading_error
from app.sources.files.plain_lines import flattener_for
from app.sources.files.read_options import ReadOptions
from app.sources.following.growing_file import GrowingFile, Truncated
from app.sources.following.siblings import Sibling, siblings_of
from app.sources.identity.registry import Followed, Key
from app.sources.replay.run import ReplayRun
from app.sources.replay.source import Input
from app.words import counted_text

__all__ = ["FollowedPath", "NotGrowing"]

_MOST_OLD = 64
_SECOND_LOOK_S = 1.0
_SAMPLE_BYTES = 16 << 10
_CLOCK_SLACK_S = 2.0
"""Some file systems tell times in steps of so much."""

log = logging.getLogger(__name__)


class NotGrowing(Exception):
    """The path is a pipe or an archive: it is read once."""


class FollowedPath:
    """Follows one path through rotations, as `tail -F` does, and over restarts of the replay.

    A rotated file is found again among its siblings by its content; so is the copy that copytruncate leaves, which holds what
    was not read before the cut. Lines that are written between that copy and the cut are lost by copytruncate itself.
    """

    def __init__(self, path: str, run: ReplayRun, options: ReadOptions) -> None:
        self.path = os.path.abspath(path)
        self.is_given_up = False
        self._shown = path
        self._run = run
        self._options = options
        self._identifier = run.options.identifier
        self._current: GrowingFile | None = None
        self._old: list[tuple[GrowingFile, frozenset[str] | None]] = []
        self._used: set[str] = set()
        self._lost: set[str] = set()
        """Sources of which more may be found beside the path."""
        self._look_again_at = math.inf
        self._known: dict[tuple[int, int], tuple[int, float]] = {}
        self._complaint = ""
        self._noted: list[Key] = []
        self._since_s = time.time()
        self._is_taken_up = False

    # -- one turn

    def turn(self) -> bool:
        """Sends what is new. True if something was. Raises NotGrowing, LogError, Stopped."""
        try:
            if not self._is_taken_up:
                self._is_taken_up = True
                self._take_up()
            return self._turn()
        except InputError as error:
            self._complain(error)
            return False
        except OSError as error:
            self._complain(reading_error(self._shown, error))
            return False

    def _turn(self) -> bool:
        status = self._status()
        moved = False
        if self._current is not None:
            moved = self._send_current()
            if (
                status is not None
                and self._current is not None
                and self._current.inode != (status.st_dev, status.st_ino)
            ):
                while self._current is not None and self._send_current():
                    moved = True
                self._rotate()
        if self._current is None and status is not None:
            self._open()
            if self._current is not None:
                moved = self._send_current() or moved
        if time.monotonic() >= self._look_again_at:
            self._look_beside(again=True)
        return self._tend_old() or moved

    def _status(self) -> os.stat_result | None:
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            if not self._complaint:
                self._complaint = f"{self._shown} is not there: waiting for it"
                self._run.options.say(self._complaint)
            return None
        if stat.S_ISDIR(status.st_mode):
            self.is_given_up = True
            raise reading_error(self._shown, IsADirectoryError())
        return status

    def _open(self) -> None:
        if not stat.S_ISREG(os.stat(self.path).st_mode):
            raise NotGrowing
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if compression_of(os.pread(fd, MAGIC_BYTES, 0)):
                raise NotGrowing
            self._refuse_without_lines(fd)
            self._current = GrowingFile(self.path, fd)
        except BaseException:
            os.close(fd)
            raise
        self._run.result.errors = [error for error in self._run.result.errors if error != self._complaint]
        self._complaint = ""

    def _refuse_without_lines(self, fd: int) -> None:
        """Raises InputError for what only becomes lines as a whole, and gives the path up."""
        if flattener_for(os.pread(fd, _SAMPLE_BYTES, 0)) is not None:
            self.is_given_up = True
            raise InputError(
                f"{self._shown} cannot be followed: it is a JSON array, or its lines end with carriage returns alone;"
                " replay it whole, without --follow"
            )

    def _complain(self, error: InputError) -> None:
        if str(error) != self._complaint:
            self._complaint = str(error)
            self._run.result.errors.append(self._complaint)
            self._run.options.say(self._complaint)

    def _send_current(self) -> bool:
        current = self._current
        assert current is not None
        if current.is_unreadable:
            return False
        if current.source is None:  # it was empty when it was opened
            self._refuse_without_lines(current.fd)
        try:
            moved = current.send_new(self._run, self._identifier, self._options, self._used)
        except Truncated:
            self._cut(current)
            return True
        if current.source is not None and current.source.id not in self._used:
            self._adopt(current)
        if moved:
            self._run.tell(self._shown, current.position, os.fstat(current.fd).st_size)
        return moved

    def _adopt(self, file: GrowingFile) -> None:
        assert file.source is not None
        self._used.add(file.source.id)
        self._lost.discard(file.source.id)
        if self._options.format == AUTO:
            self._options = self._options._replace(format=file.source.format.name)
        self._note()

    # -- rotation

    def _rotate(self) -> None:
        """Another file stands at the path: the old one may still be written to for a while."""
        current, self._current = self._current, None
        if current is not None:
            self._old.append((current, None))
            self._look_beside()

    def _cut(self, current: GrowingFile) -> None:
        """The file was cut and is written anew; its copy may hold what was not read."""
        self._run.sender.flush()
        self._current = GrowingFile(self.path, os.dup(current.fd))
        current.close()
        if current.source is not None:
            self._lost.add(current.source.id)
            self._look_beside()

    def _look_beside(self, *, again: bool = False) -> None:
        """Takes up siblings that were not seen: those that came and went between two looks, and those of lost sources.

        A look into the middle of a rotation can miss a file, so there is a second one.
        """
        self._look_again_at = math.inf if again else time.monotonic() + _SECOND_LOOK_S
        held = {file.inode for file, _ in self._old} | ({self._current.inode} if self._current else set())
        with suppress(OSError):  # a link points to one of its siblings: that is read as the path itself
            status = os.stat(self.path)
            held.add((status.st_dev, status.st_ino))
        siblings = siblings_of(self.path)
        present = {sibling.inode for sibling in siblings}
        self._known = {inode: state for inode, state in self._known.items() if inode in present}
        for sibling in siblings:
            if sibling.inode in held or self._known.get(sibling.inode) == sibling.state:
                continue
            if sibling.packed:
                if self._lost:
                    self._read_packed(sibling, frozenset(self._lost))
            elif sibling.changed_s >= self._since_s - _CLOCK_SLACK_S:
                self._take_old(sibling, None)
            elif self._lost:
                self._take_old(sibling, frozenset(self._lost))
        if again and self._look_again_at == math.inf:
            self._warn_of_lost()

    def _take_old(self, sibling: Sibling, only: frozenset[str] | None) -> None:
        """Opens a sibling, unless it was rotated on meanwhile: then another look finds it under its next name."""
        try:
            file = GrowingFile(sibling.path, os.open(sibling.path, os.O_RDONLY | os.O_CLOEXEC))
        except FileNotFoundError:
            self._look_again_at = time.monotonic()
            return
        if file.inode != sibling.inode:
            file.close()
            self._look_again_at = time.monotonic()
            return
        self._old.append((file, only))
        self._send_old(file, only)

    def _read_packed(self, sibling: Sibling, lost: frozenset[str]) -> None:
        self._run.sender.flush()
        try:
            with Input(sibling.path, self._identifier, self._options, only=lost) as opened:
                if opened.source is not None and not opened.already_sent:
                    self._run.options.say(f"{sibling.path}: going on after {counted_text(opened.source.lines, 'line')}")
                    self._run.send_rest(opened)
                if opened.source is not None:
                    self._lost.discard(opened.source.id)
        except InputError as error:
            self._run.options.say(str(error))
        self._known[sibling.inode] = sibling.state

    # -- files that stood here before

    def _tend_old(self) -> bool:
        moved = False
        crowd = len(self._old) - _MOST_OLD
        for number, (file, only) in enumerate(list(self._old)):
            moved = self._send_old(file, only) or moved
            if time.monotonic() - file.grown_at >= self._run.options.linger_s or number < crowd or file.is_unreadable:
                self._finish_old(file, only)
        return moved

    def _send_old(self, file: GrowingFile, only: frozenset[str] | None) -> bool:
        if file.is_unreadable:
            return False
        try:
            moved = file.send_new(self._run, self._identifier, self._options, set(), only)
        except Truncated:
            self._give_up(file)
            return False
        if file.source is not None and (file.source.id not in self._used or file.source.id in self._lost):
            self._adopt(file)
        return moved

    def _finish_old(self, file: GrowingFile, only: frozenset[str] | None) -> None:
        if not file.is_unreadable:
            try:
                file.finish(self._run, self._identifier, self._options, set(), only)
            except Truncated:
                self._give_up(file)
        self._let_go(file)

    def _give_up(self, file: GrowingFile) -> None:
        log.warning("%s was cut after its rotation: what followed byte %d of it is gone", file.path, file.position)
        file.is_unreadable = True

    def _let_go(self, file: GrowingFile) -> None:
        self._known[file.inode] = file.state
        self._old = [entry for entry in self._old if entry[0] is not file]
        file.close()
        self._note()

    # -- over restarts

    def _take_up(self) -> None:
        """Where the last run stopped: sources that it had not finished may stand beside the path by now."""
        registry = self._identifier.registry
        followed = registry.followed(self.path)
        if followed is None:
            self._known = {sibling.inode: sibling.state for sibling in siblings_of(self.path)}
            registry.save_followed(Followed(self.path, self._since_s, []))
            return
        self._noted = list(followed.unfinished)
        records = [
            record for key in followed.unfinished if (record := registry.load(key)) is not None and not record.ended
        ]
        self._since_s = min([followed.since_s, *(record.changed_s for record in records if record.changed_s)])
        formats = {record.format for record in records if record.format}
        if self._options.format == AUTO and len(formats) == 1:
            self._options = self._options._replace(format=formats.pop())
        with suppress(OSError, NotGrowing):  # the next turn opens it again and says what is wrong
            self._open()
        if self._current is not None:
            self._send_current()
        self._lost = {record.id for record in records} - self._used
        self._look_beside()

    def _warn_of_lost(self) -> None:
        for source_id in sorted(self._lost):
            log.warning(
                "%s: no file beside it holds what was read of source %s: what was not sent of that is gone",
                self._shown,
                source_id,
            )
        self._lost.clear()

    def _note(self) -> None:
        """Keeps in the registry what is unfinished here."""
        files = [file for file, _ in self._old] + ([self._current] if self._current else [])
        keys = [file.source.record.key for file in files if file.source is not None and not file.source.record.ended]
        if keys != self._noted:
            self._noted = keys
            self._identifier.registry.save_followed(Followed(self.path, time.time(), keys))

    def close(self) -> None:
        for file in [*(file for file, _ in self._old), *([self._current] if self._current else [])]:
            file.close()
        self._old, self._current = [], None
