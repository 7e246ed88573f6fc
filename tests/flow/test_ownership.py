"""A worker that lost a partition while it held messages of it sends nothing that it would compute without the state."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# In a process of its own: what Faust makes along with an app ends with it. Nothing is started, so a send would raise.
MERGED = """
import asyncio, sys
from types import SimpleNamespace
from agents.merge_ranges import _merge, byte_ranges
from agents.count_votes import flow
from app.engine.batches import Taken
from app.engine.partition import MemoryPart
from app.engine.topology import app

case = sys.argv[1]
app.consumer_generation_id = 7
app.rebalancing = case == "taking over"
event = SimpleNamespace(message=SimpleNamespace(partition=2, generation_id=6 if case == "read before" else 7))
for table in (byte_ranges, flow.table):
    if case != "given up":
        table.parts[2] = MemoryPart()
message = Taken(2, 0, 0.0, b"never looked at", {}, event, True)
print(asyncio.run(_merge([message])), asyncio.run(flow._count("votes@1", [message])))
"""


@pytest.mark.parametrize("case", ["given up", "taking over", "read before"])
def test_messages_of_a_partition_that_is_not_ours_in_this_generation_are_left_alone(tmp_path: Path, case: str) -> None:
    own = {"WEBLOGS_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", MERGED, case],
        cwd=ROOT,
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.split()[-2:] == ["False", "False"], done.stderr[-2000:]
