"""A name for this worker that outlives its process: one for each data folder."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from app.errors import SettingsError, UnknownForm
from app.process.folders import make_private

__all__ = ["worker_id"]

_FORM = 1


def worker_id(data_dir: Path) -> str:
    """32 hex digits, made once and kept in `data_dir/worker-id` behind the number of its form.

    Raises SettingsError if it cannot be written, UnknownForm.
    """
    path = data_dir / "worker-id"
    try:
        if path.exists() and (known := path.read_text().strip()):
            return _read(path, known)
        make_private(data_dir)
        fresh = uuid.uuid4().hex
        beside = path.with_name(f"worker-id.{os.getpid()}")
        beside.write_text(f"{_FORM} {fresh}\n")
        try:
            os.link(beside, path)  # fails where another process was faster, and leaves no half file
        except FileExistsError:
            fresh = _read(path, path.read_text().strip())
        beside.unlink()
    except OSError as error:
        raise SettingsError(
            f"the data folder {data_dir} cannot be written to ({error.strerror}): set WEBLOGS_DATA_DIR"
        ) from None
    return fresh


def _read(path: Path, text: str) -> str:
    form, _, known = text.rpartition(" ")
    if form != str(_FORM):
        raise UnknownForm(f"the worker's name in {path}", form or None, _FORM)
    return known
