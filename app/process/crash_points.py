"""Named points at which tests kill the process, as a power cut would.

`WEBLOGS_CRASH_AT=NAME` kills at the first pass, `NAME:3` at the third.
"""

from __future__ import annotations

import os
import signal

from app.settings import settings

__all__ = [
    "ALERT_POINTS",
    "ARCHIVE_POINTS",
    "COUNT_POINTS",
    "POINTS",
    "REPAIR_POINTS",
    "REPLAY_POINTS",
    "USAGE_POINTS",
    "WORKER_POINTS",
    "crash_point",
]

REPLAY_POINTS = (
    "replay_sent",  # the log has acknowledged, the checkpoint is not written
    "replay_checkpoint",  # the checkpoint is written
)
WORKER_POINTS = (
    "tokens_sent",  # the tokenizer: tokens and rejects are durable, nothing acked
    "outputs",  # the reducer: reduced records are durable, the changelog is not
    "changelog",  # the reducer: the changelog is durable, the local state is not
    "applied",  # the reducer: the local state is changed, nothing acked
    "acked",  # the reducer: acked, not yet committed
    "slice",  # the reducer: between two slices of one message
    "recovery",  # the table: half of the changelog is read
    "store_written",  # a sink: the store has acknowledged, nothing acked
)
COUNT_POINTS = ("count_outputs", "count_written", "count_slice", "count_acked")
"""The agents that count votes and spending: outputs durable; state changed; between two slices of a batch; acked, not committed."""
REPAIR_POINTS = (
    "mended",  # a batch is mended in the store, others are not
)
ARCHIVE_POINTS = ("archive_manifest", "archive_file", "archive_done")
"""The archive worker: the manifest is there, the file is, what the file is."""
ALERT_POINTS = ("alerts_stored", "alerts_delivered")
"""Alerts: the notices are in the stored state; they are delivered, the state does not say so yet."""
USAGE_POINTS = ("monitored_sent",)
"""The agent that selects monitored calls: their records are durable, nothing acked."""
POINTS = REPLAY_POINTS + WORKER_POINTS + COUNT_POINTS + REPAIR_POINTS + ARCHIVE_POINTS + ALERT_POINTS + USAGE_POINTS

_passes: dict[str, int] = {}


def crash_point(name: str) -> None:
    """Kill this process if the setting says so; otherwise nothing."""
    wanted = settings().crash_at
    if not wanted:
        return
    point, _, nth = wanted.partition(":")
    if point == name:
        _passes[name] = _passes.get(name, 0) + 1
        if _passes[name] >= int(nth or 1):
            os.kill(os.getpid(), signal.SIGKILL)
